"""What a service remembers, made without builds: for tests, and for a backup of each schema that was released."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from builder.backup import back_up
from builder.database import url_of
from builder.journal import Journal
from builder.records import WHOLE, Asked, Build, Choices, Environment, Page, Version
from builder.settings import Settings
from builder.store import Store
from tests.builder.test_store import FAILED, outcome

BACKUPS = Path(__file__).parent / "builder" / "backups"
"""NAME.tar.gz: a backup of what `remember` makes, of the schema NAME, as the release wrote it that had it first."""


def opened(settings: Settings) -> Store:
    Path(settings.state_dir, "service").mkdir(parents=True, exist_ok=True)
    return Store(url_of(settings))


def remember(settings: Settings) -> None:
    """What a service would: an environment with two versions and a failed build, and an empty one."""
    store = opened(settings)
    store.migrate()
    full = store.create_environment("tides", "https://github.com/ada/tides", "main", "", Choices(extras=("plot",)))
    store.create_environment("empty", "https://github.com/ada/empty", None, "sub", Choices(), owner="ada")
    for result in (outcome("a"), outcome("b"), FAILED):
        build, _ = store.start_build(full.id, "asked", "ada", Asked())
        store.begin(build.id)
        with Journal(Path(settings.state_dir, "service", "builds")).open(build.id) as writer:
            writer.append("log", {"step": "lock", "text": "Collecting six é\n"})
        store.conclude(build.id, result)
    store.close()


Everything = tuple[Page[Environment], Page[Build], list[Version]]


def everything(settings: Settings) -> Everything:
    store = opened(settings)
    environments = store.environments()
    numbered = (
        (environment.id, version.number)
        for environment in environments.items
        for version in store.versions(environment.id).items
    )
    found = environments, store.builds(), [store.version(*place, *WHOLE) for place in numbered]
    store.close()
    return found


def keep_backup() -> Path:
    """Write the backup of this release's schema."""
    with tempfile.TemporaryDirectory() as directory:
        settings = replace(Settings(), state_dir=directory)
        remember(settings)
        store = opened(settings)
        with store.snapshot() as connection:
            file = BACKUPS / f"{store.schema(connection)}.tar.gz"
        store.close()
        file.unlink(missing_ok=True)
        back_up(settings, file)
    return file
