"""What is removed, and what stays."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder import parents, prune
from builder.address import parse
from builder.database import url_of
from builder.fake_engine import FakeEngine
from builder.journal import Journal
from builder.locks import held
from builder.prune import Kept, Removed, chosen
from builder.records import Asked, Built, Choices
from builder.repository import Commit, open_commit
from builder.settings import Settings
from builder.store import Store
from detectors.source import read
from launcher.cli import main
from tests.builder.test_store import outcome
from tests.conftest import MakeRepository
from tests.forge import Backend, serving

DAY = 86_400
NOW = time.time()


def image(name: str, days: float, size: int = 100, base: str = "") -> Kept:
    return Kept(f"sha256:{name}", (f"launchyard/{name}:1",), size, NOW - days * DAY, f"key-{name}", base)


def parent(reference: str, days: float) -> Kept:
    return Kept(f"sha256:{reference}", (reference,), 500, NOW - days * DAY, "", "")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(Settings(), cache_dir=str(tmp_path / "cache"), state_dir=str(tmp_path / "state"))


def removed(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, images: Iterable[Kept], used: tuple[str, ...] = ()
) -> list[str]:
    """Names of what a prune of thirty days removes from an engine with these images."""
    gone: list[str] = []
    monkeypatch.setattr(prune, "_listed", lambda: iter(images))
    monkeypatch.setattr(prune, "_untag", lambda image: gone.append(image.name))
    monkeypatch.setattr(
        prune, "ask", lambda *arguments: "a-container" if any(f"={id}" in arguments[-1] for id in used) else ""
    )
    said = [thing.name for thing in prune._images(settings, NOW - 30 * DAY, None, dry_run=False)]
    assert gone == said
    return said


def test_images_go_that_were_not_used_for_so_long() -> None:
    old, new = image("old", 31), image("new", 29)
    assert chosen([old, new], NOW - 30 * DAY, None) == [old]


def test_then_the_oldest_go_until_the_others_fit() -> None:
    images = [image("a", 3), image("b", 2), image("c", 1)]
    assert chosen(images, NOW - 30 * DAY, 250) == images[:1]
    assert chosen(images, NOW - 30 * DAY, 300) == []
    assert chosen(images, NOW - 30 * DAY, 0) == images


def test_image_in_use_stays_with_its_parent(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    images = [
        image("used", 90, base="launchyard/parent-none:1"),
        image("unused", 90),
        parent("launchyard/parent-none:1", 90),
    ]
    assert removed(monkeypatch, settings, images, used=("sha256:used",)) == ["launchyard/unused:1"]


def test_parent_goes_once_nothing_stands_on_it(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    images = [image("old", 90, base="launchyard/parent-none:1"), parent("launchyard/parent-none:1", 90)]
    assert removed(monkeypatch, settings, images) == ["launchyard/old:1", "launchyard/parent-none:1"]


def test_parents_of_the_next_build_stay_as_long_as_there_is_an_image(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    tools = parents.tools(settings).reference
    assert removed(monkeypatch, settings, [image("new", 1), parent(tools, 90)]) == []
    assert removed(monkeypatch, settings, [parent(tools, 90)]) == [tools]


def test_image_that_is_being_built_stays(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    with held(Path(settings.state_dir, "locks", "key-old"), 1):
        assert removed(monkeypatch, settings, [image("old", 90), parent("launchyard/parent-none:1", 90)]) == []


def test_images_of_another_installation_stay(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    other = replace(image("theirs", 90), tags=("lab/theirs:1",))
    dangling = replace(image("dangling", 90), tags=())
    assert removed(monkeypatch, settings, [other, dangling]) == ["sha256:dangling"]


def test_git_caches_locks_and_tracebacks_go_by_age(settings: Settings) -> None:
    old, new = (Path(settings.cache_dir, "git", name) for name in ("old", "new"))
    for cache in (old, new):
        (cache / "commits").mkdir(parents=True)
        (cache / "pack").write_bytes(b"x" * 1_000)
    locks = Path(settings.state_dir, "locks")
    locks.mkdir(parents=True)
    for name in ("gone", "held", "fresh"):
        (locks / name).touch()
    for path in (old / "commits", old, locks / "gone", locks / "held"):
        os.utime(path, (NOW - 40 * DAY,) * 2)

    def run(dry_run: bool) -> list[Removed]:
        before = NOW - 30 * DAY
        caches = prune._git_caches(Path(settings.cache_dir, "git"), before, dry_run)
        return [*caches, *prune._files("lock", locks, before, dry_run)]

    with held(locks / "held", 1):
        assert [(thing.kind, thing.name) for thing in run(dry_run=True)] == [
            ("git cache", "old"),
            ("lock", "gone"),
            ("lock", "held"),
        ]
        assert old.exists()
        assert [(thing.kind, thing.name) for thing in run(dry_run=False)] == [("git cache", "old"), ("lock", "gone")]
    assert not old.exists()
    assert new.exists()
    assert sorted(path.name for path in locks.iterdir()) == ["fresh", "held"]


def ancient(cache: Path) -> None:
    """Let everything in a directory be forty days old."""
    for path in (cache, *cache.rglob("*")):
        os.utime(path, (NOW - 40 * DAY,) * 2)


@contextmanager
def cached(make: MakeRepository, root: Path, settings: Settings) -> Iterator[tuple[Path, Callable[[], Commit]]]:
    """The cache of a repository that a host has and a plan has opened, and what opens it once more."""
    make({"requirements.txt": "six\n"})
    with serving(Backend, root) as host:
        settings = replace(settings, allowed_hosts=(host,))
        address = parse(f"{host}/repository", settings, allow_local=False)
        open_commit(address, None, settings)
        (cache,) = (path for path in Path(settings.cache_dir, "git").iterdir() if path.is_dir())
        yield cache, partial(open_commit, address, None, settings)


def test_git_cache_in_use_stays_though_nothing_new_was_fetched(
    make_repository: MakeRepository, tmp_path: Path, settings: Settings
) -> None:
    with cached(make_repository, tmp_path, settings) as (cache, reopened):
        ancient(cache)
        reopened()
        assert list(prune._git_caches(cache.parent, NOW - 30 * DAY, dry_run=False)) == []
        ancient(cache)
        assert len(list(prune._git_caches(cache.parent, NOW - 30 * DAY, dry_run=False))) == 1


def test_git_cache_whose_removal_was_interrupted_is_fetched_anew(
    make_repository: MakeRepository, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def interrupted(cache: Path) -> None:
        remove(cache / "objects")
        raise KeyboardInterrupt

    with cached(make_repository, tmp_path, settings) as (cache, reopened):
        ancient(cache)
        monkeypatch.setattr(shutil, "rmtree", interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(prune._git_caches(cache.parent, NOW - 30 * DAY, dry_run=False))
        monkeypatch.undo()
        assert read(reopened().source, "requirements.txt") == "six\n"


def test_git_cache_that_is_used_just_before_it_would_go_stays(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    cache = Path(settings.cache_dir, "git", "old")
    cache.mkdir(parents=True)
    ancient(cache)

    @contextmanager
    def after_another(path: Path, seconds: float) -> Iterator[bool]:
        with held(path, seconds) as waited:
            (cache / "ready").touch()
            yield waited

    monkeypatch.setattr(prune, "held", after_another)
    assert list(prune._git_caches(cache.parent, NOW - 30 * DAY, dry_run=False)) == []
    assert cache.exists()


@pytest.fixture
def no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BuildKit", FakeEngine)
    monkeypatch.setattr(prune, "_images", lambda *_: ())
    monkeypatch.setattr(prune, "_build_cache", lambda *_: ())


@pytest.mark.usefixtures("no_images")
def test_logs_of_a_services_builds_go_by_age(settings: Settings) -> None:
    journal = Journal(Path(settings.state_dir, "service", "builds"))
    for build in ("old", "new"):
        with journal.open(build) as writer:
            writer.append("log", {"text": "six\n"})
    for path in (journal.log("old"), journal.log("old").with_suffix(".events")):
        os.utime(path, (NOW - 40 * DAY,) * 2)
    gone = list(prune.prune(settings, older_than=30 * DAY, keep=None, dry_run=False))
    assert [(thing.kind, thing.name) for thing in gone] == [("build log", "old.events"), ("build log", "old.log")]
    assert (journal.log("old").exists(), journal.log("new").read_text()) == (False, "six\n")


@pytest.mark.usefixtures("no_images")
def test_the_command_prunes_the_state_directory_that_it_is_given(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "service" / "builds")
    with journal.open("old") as writer:
        writer.append("log", {"text": "six\n"})
    os.utime(journal.log("old"), (NOW - 40 * DAY,) * 2)
    result = CliRunner().invoke(main, ["prune", "--state", str(tmp_path)])
    assert (result.exit_code, "old.log" in result.output) == (0, True)
    assert not journal.log("old").exists()


def test_lock_file_that_was_removed_under_a_waiter_is_locked_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with held(path, 1):
        path.unlink()
        with held(path, 1) as waited:
            assert waited is False


@pytest.mark.parametrize(
    "text", ["2024-05-01T12:00:00.123456789Z", "2024-05-01 12:00:00.5 +0000 UTC", "2024-05-01T14:00:00+02:00"]
)
def test_times_are_read_as_docker_writes_them(text: str) -> None:
    assert prune._time(text) == 1_714_564_800.0


def test_image_that_never_had_a_tag_has_no_time() -> None:
    assert prune._time("0001-01-01T00:00:00Z") <= 0


def test_what_an_environment_of_a_service_uses_stays_though_nobody_launched_it_for_long(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    Path(settings.state_dir, "service").mkdir(parents=True)
    store = Store(url_of(settings))
    store.migrate()
    environment = store.create_environment("tides", "https://github.com/ada/tides", None, "", Choices())
    old, current = image("old", 99), image("current", 98)
    for made in (old, current):
        build, _ = store.start_build(environment.id, "asked", "", Asked())
        built = Built(made.tags[0], made.id, None, 1, made.key, "c" * 40, "a", False, "no image yet", 1.0)
        store.conclude(build.id, replace(outcome(), built=built))
    store.close()
    assert removed(monkeypatch, settings, [old, current]) == [old.name]
