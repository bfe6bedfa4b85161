"""What the commands, the service and the launcher may ask of the builder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder import build as job
from builder.address import Address, check_ref, parse
from builder.build import Planned, Wish
from builder.engine import Engine, Image, Report
from builder.failures.asked import ImageAbsent, ImageForeign, SettingsForeign
from builder.identity import LABEL
from builder.quantities import instant_of
from builder.settings import PREFIX, Settings, file_in_use, load
from detectors.failures import BuildError
from detectors.plan import Options

if TYPE_CHECKING:  # what `plan` needs nothing of, and would take a tenth of its time
    from datetime import datetime

    from builder.formats import Exported, Format
    from builder.journal import Event, Journal
    from builder.locked import Lock
    from builder.previews import Previews
    from builder.queue import Queue
    from builder.records import (
        Asked,
        Build,
        Built,
        Choices,
        Difference,
        Ended,
        Environment,
        Inventory,
        Page,
        Provenance,
        Revisions,
        Space,
        Version,
        VersionPart,
        Worker,
    )
    from builder.store import Store

__all__ = [
    "BuildError",
    "Builder",
    "Engine",
    "Image",
    "Options",
    "Planned",
    "Request",
    "Service",
    "Settings",
    "Wish",
    "load",
]


@dataclass(frozen=True, slots=True)
class Request:
    """A repository, and what the person who asks decides about its environment."""

    repository: str
    """An https address, or the path of a local repository."""
    ref: str | None = None
    options: Options = field(default_factory=Options)
    """`as_of` in any form of ISO 8601, or "commit" for the commit's own date."""
    frontend: str = "jupyterlab"
    worktree: bool = False


class Builder:
    """The builder of one installation. Every method raises BuildError."""

    def __init__(self, settings: Settings, engine: Engine, *, allow_local: bool, relative: bool = True) -> None:
        self.settings = settings
        self.engine = engine
        self._allow_local = allow_local
        self._relative = relative

    def plan(self, request: Request) -> Planned:
        """What would be built, and why. Asks no engine."""
        options = request.options
        if options.as_of and options.as_of != "commit":
            options = replace(options, as_of=instant_of(options.as_of))
        address = parse(request.repository, self.settings, allow_local=self._allow_local, relative=self._relative)
        planned = job.plan(address, request.ref, options, request.frontend, self.settings, worktree=request.worktree)
        _refuse_its_settings(planned)
        return planned

    def build(self, planned: Planned, wish: Wish, report: Report) -> Built:
        """The image of a plan: the one that exists, or one that is built now."""
        for tag in wish.tags:
            job.check_reference(tag)
        return job.build(planned, wish, self.engine, self.settings, report)

    def image(self, reference: str) -> Image:
        """An image that Launchyard built. Raises BuildError(ImageAbsent | ImageForeign)."""
        image = self.engine.inspect(job.check_reference(reference))
        if image is None:
            raise BuildError(ImageAbsent(reference))
        if LABEL + "key" not in image.labels:
            raise BuildError(ImageForeign(reference))
        return image

    def packages(self, reference: str) -> Inventory:
        """What is actually installed in an image of Launchyard's."""
        from builder.inventory import inventory

        return inventory(self.image(reference).id, self.engine)

    def contents(self, reference: str) -> tuple[Inventory, Lock]:
        """What is installed in an image of Launchyard's, and the lock that it was installed from."""
        from builder.inventory import contents

        return contents(self.image(reference).id, self.engine)

    def provenance(self, planned: Planned, subdir: str, built: Built) -> Provenance:
        """What an image was made of and with; to be asked right after its build."""
        from builder.provenance import provenance

        return provenance(planned, subdir, built, self.engine, self.settings)

    def space(self) -> Space:
        """What this installation and its engine keep on disk; takes seconds where that is much."""
        from builder.space import space

        return space(self.settings, self.engine)

    def diff(self, before: str, after: str) -> Difference:
        """What changed from one image of Launchyard's to another."""
        from builder.inventory import difference

        return difference(self.packages(before), self.packages(after))


def _refuse_its_settings(planned: Planned) -> None:
    """Settings choose what a build trusts, and which files of this machine it gets: no repository brings its own.

    Raises BuildError(SettingsForeign) where the file in use is one that the repository has committed.
    """
    file, local = file_in_use(), planned.address.local
    if file is None or local is None or PREFIX + "CONFIG" in os.environ:
        return
    path = file.resolve()
    if path.is_relative_to(local) and planned.commit.source.entry(path.relative_to(local).as_posix()):
        raise BuildError(SettingsForeign(str(file)))


def _no_choices() -> Choices:
    from builder.records import Choices

    return Choices()


@dataclass(frozen=True, slots=True)
class NewEnvironment:
    """An environment as somebody asks for it."""

    repository: str
    name: str | None = None
    """By default after the repository."""
    ref: str | None = None
    subdir: str = ""
    options: Choices = field(default_factory=_no_choices)
    owner: str | None = None
    """By default the installation's."""


def request_of(repository: str, ref: str | None, subdir: str, choices: Choices) -> Request:
    """What the builder is asked for by what a person has decided about an environment."""
    options = Options(
        subdir=subdir, strategy=choices.strategy, python=choices.python, groups=choices.groups,
        extras=choices.extras, as_of=choices.as_of,
    )  # fmt: skip
    return Request(repository, ref, options, choices.frontend)


class Service:
    """The environments of one installation, and their builds and versions. Every method raises BuildError."""

    def __init__(self, settings: Settings, store: Store, journal: Journal, queue: Queue, previews: Previews) -> None:
        self._settings = settings
        self._store = store
        self._journal = journal
        self._queue = queue
        self._previews = previews

    @property
    def is_at_hand(self) -> bool:
        """Whether its records lie in a file of this machine, and nobody waits for a network to read one."""
        return not self._settings.database

    def preview(self, new: NewEnvironment) -> Mapping[str, Any]:
        """What would be built, and why: the published document of a plan, with its Dockerfile."""
        return self._previews.of(request_of(new.repository, new.ref, new.subdir, new.options))

    def known_preview(self, new: NewEnvironment) -> Mapping[str, Any] | None:
        """A preview that is remembered, at once; None where `preview` would ask git."""
        return self._previews.known(request_of(new.repository, new.ref, new.subdir, new.options))

    def refs(self, repository: str) -> tuple[str, ...]:
        """Branches and tags of a repository."""
        from builder.repository import refs

        return refs(self._address(repository), self._settings)

    # Environments

    def create(self, new: NewEnvironment, by: str = "") -> tuple[Environment, Build]:
        """Remember an environment, and start its first build."""
        address = self._checked(request_of(new.repository, new.ref, new.subdir, new.options))
        environment = self._store.create_environment(
            new.name or address.slug, str(address.local or new.repository), new.ref, new.subdir, new.options,
            owner=self._settings.owner if new.owner is None else new.owner, exact=new.name is not None, built_for=by,
        )  # fmt: skip
        (build,) = self._store.builds(environment_id=environment.id, limit=1).items
        self._queue.put(build)
        return environment, build

    def environment(self, id: str) -> Environment:
        return self._store.environment(id)

    def environment_named(self, name: str) -> Environment:
        return self._store.environment_named(name)

    def environments(
        self, *, search: str = "", state: str | None = None, after: str | None = None, limit: int = 50
    ) -> Page[Environment]:
        return self._store.environments(search=search, state=state, after=after, limit=limit)

    def change(self, id: str, changes: Mapping[str, Any], revisions: Revisions = None) -> Environment:
        """Change name, ref, subdir, or members of options; what is built by them is the next build."""
        now = self._store.environment(id)
        options = replace(now.options, **changes.get("options", {}))
        self._checked(
            request_of(now.repository, changes.get("ref", now.ref), changes.get("subdir", now.subdir), options)
        )
        return self._store.change_environment(id, changes, revisions)

    def delete(self, id: str, revisions: Revisions = None) -> None:
        """Forget an environment and end its builds. Its images stay in the engine, for `prune`."""
        for build_id in self._store.delete_environment(id, revisions):
            self._journal.forget(build_id)

    def image(self, id: str) -> tuple[Environment, Version]:
        """What a launcher should use now. Raises BuildError(NoVersionYet)."""
        from builder.failures.served import NoVersionYet

        environment = self._store.environment(id)
        if environment.current_version is None:
            raise BuildError(NoVersionYet(environment.name, environment.state))
        return environment, self._store.version(id, environment.current_version)

    # Builds

    def rebuild(self, environment_id: str, asked: Asked, by: str = "") -> tuple[Build, bool]:
        """A new build, or the one under way for the same inputs and False. Looks at no network."""
        environment = self._store.environment(environment_id)
        asked = asked.beside(environment)
        choices = replace(environment.options, as_of=asked.as_of or environment.options.as_of)
        self._check(request_of(environment.repository, asked.ref, environment.subdir, choices))
        build, new = self._store.start_build(environment_id, "as-of" if asked.as_of else "asked", by, asked)
        if new:
            self._queue.put(build)
        return build, new

    def build(self, id: str) -> Build:
        return self._store.build(id)

    def builds(
        self,
        *,
        environment_id: str | None = None,
        state: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> Page[Build]:
        if environment_id:
            self._store.environment(environment_id)
        return self._store.builds(environment_id=environment_id, state=state, after=after, limit=limit)

    def under_way(self) -> tuple[Build, ...]:
        """Builds that have not ended, the oldest first."""
        return self._store.under_way()

    def ended(self, since: datetime) -> tuple[Ended, ...]:
        """How builds have ended from a moment on, by day, the oldest first."""
        return self._store.ended(since)

    def workers(self) -> tuple[Worker, ...]:
        """Processes that run builds."""
        return self._store.workers()

    def cancel(self, id: str) -> Build:
        """End a build, within seconds where it runs. One that has ended stays as it is."""
        build, ended = self._store.cancel(id)
        if ended:
            self._queue.end(build)
        return build

    def events(self, build_id: str, after: int) -> tuple[Event, ...]:
        """What happened in a build behind an event's id, as many as are read at once."""
        return self._journal.after(build_id, after)

    def journal_size(self, build_id: str) -> int:
        """What the ids of events come up to; 0 for none. A look at a file's size."""
        return self._journal.size(build_id)

    def has_ended(self, build_id: str) -> bool:
        from builder.records import UNDER_WAY

        return self._store.build(build_id).state not in UNDER_WAY

    def check_followed(self, build_id: str) -> None:
        """Raises BuildError(RecordAbsent) for no build; that one with a journal is there, no database has to say."""
        if not self._journal.size(build_id):
            self._store.build(build_id)

    def log(self, build_id: str) -> Path:
        """The file of a build's log; there is none before it has started."""
        self._store.build(build_id)
        return self._journal.log(build_id)

    # Versions

    def versions(self, environment_id: str, *, after: str | None = None, limit: int = 50) -> Page[Version]:
        return self._store.versions(environment_id, after=after, limit=limit)

    def version(self, environment_id: str, number: int, *parts: VersionPart) -> Version:
        """With those of its parts that are named: what is in it, its lock, how it was made."""
        return self._store.version(environment_id, number, *parts)

    def lock(self, environment_id: str, number: int, format: Format) -> Exported:
        """A version's lock as another tool reads it. Raises BuildError(KindAbsent)."""
        from builder.formats import export
        from builder.records import WHOLE

        environment = self._store.environment(environment_id)
        version = self._store.version(environment_id, number, *WHOLE)
        return export(version, environment.name, format, self._settings.conda.channel_alias)

    def dockerfile(self, environment_id: str, number: int) -> Exported:
        """What a version was built by. Raises BuildError(RecordAbsent) for one of before that was kept."""
        from builder.formats import dockerfile

        version = self._store.version(environment_id, number, "provenance")
        return dockerfile(version, self._store.environment(environment_id).name)

    def diff(self, environment_id: str, before: int, after: int) -> Difference:
        from builder.inventory import difference

        old, new = (self._store.version(environment_id, number, "inventory") for number in (before, after))
        return difference(old.inventory, new.inventory)

    def roll_back(self, environment_id: str, number: int, revisions: Revisions = None) -> Environment:
        """Let a version be the current one, until a build succeeds: then it is what that came to, new or not.

        Raises BuildError(VersionPinned) where another one is to stay the current one.
        """
        return self._store.use_version(environment_id, number, revisions=revisions)

    def pin(self, environment_id: str, number: int, revisions: Revisions = None) -> Environment:
        """Let a version be the current one, whatever is built."""
        return self._store.use_version(environment_id, number, pinned=True, revisions=revisions)

    def unpin(self, environment_id: str, revisions: Revisions = None) -> Environment:
        """Let what the next build comes to be the current one again."""
        return self._store.change_environment(environment_id, {"pinned": False}, revisions)

    # How

    def _checked(self, request: Request) -> Address:
        """Where a repository is that may be built so; looks at no network but for a host's address."""
        address = self._address(request.repository)
        self._check(request)
        return address

    def _check(self, request: Request) -> None:
        """Raises what is wrong with how a repository is to be built, wherever it is."""
        from builder.parents import check_frontend
        from detectors import check

        if request.ref is not None:
            check_ref(request.ref)
        if request.options.as_of and request.options.as_of != "commit":
            instant_of(request.options.as_of)
        check(request.options)
        check_frontend(request.frontend, self._settings)

    def _address(self, repository: str) -> Address:
        return parse(repository, self._settings, allow_local=self._settings.allow_local, relative=False)
