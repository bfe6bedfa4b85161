"""What is remembered of a build: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar, get_args

from builder.locked import Lock
from detectors.plan import Warned


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long a step took, in seconds, and whether it was taken from the cache."""

    name: str
    seconds: float
    cached: bool
    size: int | None = None
    """Bytes of the layer of the image that it made; None where it made none."""


@dataclass(frozen=True, slots=True)
class Built:
    """The outcome of one build: the image, and how it came to be."""

    reference: str
    """Immutable: NAME:<key12>-<lock12>."""
    image_id: str
    digest: str | None
    """The manifest's digest, once there is one."""
    size: int
    """Bytes."""
    key: str
    commit: str
    lock: str
    """The first 12 hex digits of the lock's SHA-256, as in the tag."""
    reused: bool
    reason: str
    seconds: float
    steps: tuple[StepTime, ...] = ()
    warnings: tuple[Warned, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form of `--metadata-file`."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Built:
        steps = tuple(StepTime(**step) for step in document["steps"])
        return cls(**{**document, "steps": steps, "warnings": tuple(Warned(**w) for w in document["warnings"])})


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is in an image."""

    name: str
    version: str
    source: str
    """"conda", "index" or "repository"."""
    requested: bool
    """Asked for by the repository, not pulled in by another package."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Package:
        return cls(
            str(document["name"]), str(document["version"]), str(document["source"]), bool(document["requested"])
        )


@dataclass(frozen=True, slots=True)
class MissingLibrary:
    """A shared library that packages of an image need and nothing in it provides."""

    library: str
    packages: tuple[str, ...]
    """Those that need it."""
    files: tuple[str, ...]
    """Of these packages, three at the most."""
    debian: str | None
    """The Debian package that has it, where it is a well-known one."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> MissingLibrary:
        debian = document["debian"]
        return cls(
            str(document["library"]),
            tuple(map(str, document["packages"])),
            tuple(map(str, document["files"])),
            None if debian is None else str(debian),
        )


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in an image, and what its build warned of."""

    packages: tuple[Package, ...]
    """By name."""
    warnings: tuple[Warned, ...]
    missing_libraries: tuple[MissingLibrary, ...] = ()
    """By name; the warnings have a line on each. Images of before they were looked for have none."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Inventory:
        return cls(
            tuple(Package.from_json(package) for package in document["packages"]),
            tuple(Warned(**warned) for warned in document["warnings"]),
            tuple(MissingLibrary.from_json(library) for library in document["missing_libraries"]),
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """What one image has that another has not."""

    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[tuple[Package, Package], ...]
    """(before, after)."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Revisions = frozenset[int] | None
"""Those on top of which a change is wanted; None for any."""

EnvironmentState = Literal["building", "ready", "failed", "empty"]
BuildState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Reason = Literal["created", "asked", "pushed", "base changed", "as-of"]

UNDER_WAY: tuple[BuildState, ...] = ("queued", "running")
ENDED = tuple(state for state in get_args(BuildState) if state not in UNDER_WAY)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person decides about an environment, beside where it comes from."""

    strategy: str | None = None
    python: str | None = None
    frontend: str = "jupyterlab"
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    as_of: str | None = None
    """An ISO 8601 date, or "commit"."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A repository whose image is kept right, under a name of its own. Times are UTC."""

    id: str
    name: str
    owner: str
    """Whose builds these are: they share caches, images and turns with nobody else's. Empty for the one there is."""
    repository: str
    ref: str | None
    subdir: str
    options: Choices
    state: EnvironmentState
    """Of its newest build; one that was cancelled, or of another ref or day, changes nothing."""
    current_version: int | None
    """In use while a rebuild runs, and when it fails."""
    pinned: bool
    """What builds come to does not become the current one."""
    revision: int
    """Grows with every change."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of an environment a build is made of: a later change is for the next one."""

    ref: str | None
    subdir: str
    options: Choices

    @classmethod
    def of(cls, environment: Environment) -> Wanted:
        return cls(environment.ref, environment.subdir, environment.options)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a build is asked to do differently from its environment's own way."""

    ref: str | None = None
    as_of: str | None = None
    fresh: bool = False
    """Decide versions anew, although an image is there."""

    def beside(self, environment: Environment) -> Asked:
        """The same, without what the environment says itself."""
        ref = None if self.ref == environment.ref else self.ref
        as_of = None if self.as_of == environment.options.as_of else self.as_of
        return replace(self, ref=ref, as_of=as_of)


@dataclass(frozen=True, slots=True)
class Build:
    """One attempt to bring an environment's image up to date. Times are UTC."""

    id: str
    environment_id: str
    state: BuildState
    reason: Reason
    asked_by: str
    asked: Asked
    wanted: Wanted
    """As it was when the build was asked for."""
    turn: int
    """Its place in the line: lower ones start first, and of the same those that came first."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    commit: str | None = None
    """Known once its ref is resolved, and kept when the build is taken up again."""
    key: str | None = None
    strategy: str | None = None
    steps: tuple[StepTime, ...] = ()
    explanation: Mapping[str, Any] | None = None
    """Why it failed: an Explanation's JSON."""
    outcome: str = ""
    """How its image came to be: "nothing like it was built before", "nothing that matters changed"."""
    version: int | None = None
    """The version that it made, or found to be right already."""
    new_version: bool = False
    """It made that version."""
    cancelling: bool = False
    """Somebody asked for its end."""
    asked_again_by: str | None = None
    """Who asked for it again while it ran: it may have looked at its ref already."""


@dataclass(frozen=True, slots=True)
class Base:
    """An image that another was built from, as it was then."""

    name: str
    digest: str | None
    """The manifest's, where a registry has given one."""
    image_id: str | None
    """Where the engine had it as an image."""


@dataclass(frozen=True, slots=True)
class Maker:
    """The build that made a version. Times are UTC."""

    id: str
    reason: Reason
    asked_by: str
    ref: str | None
    """What was asked for: a branch, a tag or a commit; None for the repository's HEAD."""
    started_at: datetime | None
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an image was made of, with what, and by which build."""

    repository: str
    commit: str
    subdir: str
    strategy: str
    python: str
    """Its version, as it was chosen: "3.10", or conda's range."""
    key: str
    platform: str
    bases: tuple[Base, ...]
    tools: Mapping[str, str]
    """Versions of those that decide and install versions, by name."""
    launchyard: str
    """Its version."""
    reused: bool
    """The image was there: another build made it, and of its bases this has what its labels say."""
    dockerfile: str = ""
    """What it was built by; empty of versions of before it was kept."""
    build: Maker | None = None
    """Known once it is recorded."""

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        if self.build:
            times = {name: time and time.isoformat() for name, time in document["build"].items() if name in _TIMES}
            document["build"] |= times
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Provenance:
        made = document["build"]
        times = {name: made[name] and datetime.fromisoformat(made[name]) for name in _TIMES} if made else {}
        bases = tuple(Base(**base) for base in document["bases"])
        return cls(**{**document, "bases": bases, "build": Maker(**{**made, **times}) if made else None})


_TIMES = ("started_at", "finished_at")


@dataclass(frozen=True, slots=True)
class Version:
    """An image of an environment: v1, v2, ..."""

    environment_id: str
    number: int
    build_id: str
    reference: str
    image_id: str
    digest: str | None
    size: int
    key: str
    lock: str
    commit: str
    created_at: datetime
    inventory: Inventory = field(default_factory=lambda: Inventory((), ()))
    """Kept here, as are the next two: they outlive the image. All three are there where they are asked for."""
    locked: Lock = field(default_factory=Lock)
    """What `lock` is the hash of."""
    provenance: Provenance | None = None


VersionPart = Literal["inventory", "locked", "provenance"]
"""What is large in a version, and takes its time to read."""

WHOLE: tuple[VersionPart, ...] = get_args(VersionPart)


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that runs builds. Times are UTC, by the database's clock."""

    id: str
    host: str
    at_once: int
    """Builds that it runs at a time."""
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """How many builds of a day, by UTC, ended in one way."""

    day: date
    state: BuildState
    code: str
    """Of the explanation, where there is one: the kind of failure."""
    count: int


@dataclass(frozen=True, slots=True)
class Space:
    """What an installation keeps on disk, in bytes."""

    free: int
    """Of the state directory's disk, as is the next."""
    total: int
    kept: Mapping[str, int]
    """By what it is, in words."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a build: an image and what is in it, or a failure in words, or neither when it was cancelled."""

    built: Built | None = None
    inventory: Inventory | None = None
    locked: Lock | None = None
    provenance: Provenance | None = None
    explanation: Mapping[str, Any] | None = None
    steps: tuple[StepTime, ...] = ()
    """What ran, where there is no image that has them."""


@dataclass(frozen=True, slots=True)
class BackedUp:
    """How much a backup holds."""

    environments: int
    builds: int
    versions: int


Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Page(Generic[Record]):
    """Some records of a list, and where the next ones start."""

    items: tuple[Record, ...]
    next: str | None
