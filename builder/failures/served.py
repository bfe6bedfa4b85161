"""Failures of sessions and of the build service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SessionExists:
    """A session of this name is running already."""

    name: str


@dataclass(frozen=True, slots=True)
class PortTaken:
    """Another program listens on the port that was asked for."""

    port: int


@dataclass(frozen=True, slots=True)
class SessionAbsent:
    name: str
    running: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session that ended, or never answered, while it was waited for."""

    reason: str
    """What it did: "ended with exit code 1", "did not answer within 60 s"."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordAbsent:
    """The service remembers no such thing."""

    what: str
    """"environment", "build", "version", "Dockerfile", "launcher", "session" or "page"."""
    id: str


@dataclass(frozen=True, slots=True)
class NameTaken:
    name: str
    what: str = "environment"


@dataclass(frozen=True, slots=True)
class NoVersionYet:
    """An environment that has no image so far."""

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class KindAbsent:
    """A version that holds no package of the kind which a format is for."""

    version: str
    kind: str
    """"conda", "Python"."""
    others: tuple[str, ...]
    """Formats that have something."""


@dataclass(frozen=True, slots=True)
class RevisionStale:
    """The environment was changed since it was read."""

    name: str


@dataclass(frozen=True, slots=True)
class RequestInvalid:
    """A request to the service that is not as its OpenAPI document says."""

    places: tuple[tuple[str, str], ...]
    """(place, what is wrong with it)."""


@dataclass(frozen=True, slots=True)
class HostForeign:
    """A request that came under a name which the service does not answer to, or from another site's page."""

    host: str


@dataclass(frozen=True, slots=True)
class BuilderLost:
    """The process that a build ran in ended without a word."""

    detail: str


@dataclass(frozen=True, slots=True)
class ServiceUnreachable:
    """No build service answers at an address."""

    address: str
    detail: str


@dataclass(frozen=True, slots=True)
class DatabaseNeeded:
    """A role of a service was asked for that works over a database only."""

    role: str


@dataclass(frozen=True, slots=True)
class DatabaseAway:
    """The database in which a service remembers does not answer."""

    detail: str


@dataclass(frozen=True, slots=True)
class BackupInvalid:
    """A file that a backup cannot be written to, or read from."""

    file: str
    problem: str


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """The service that a backup is to be restored to remembers something already."""


@dataclass(frozen=True, slots=True)
class NothingRemembered:
    """There is nothing to back up: no service has run there yet."""


@dataclass(frozen=True, slots=True)
class StateTaken:
    """Another service works on the same state directory."""

    directory: str


@dataclass(frozen=True, slots=True)
class LauncherInvalid:
    """A launcher that cannot be as it is asked for."""

    places: tuple[tuple[str, str], ...]
    """(member, what is wrong with it)."""


@dataclass(frozen=True, slots=True)
class CommandMissing:
    """A frontend that runs something of the repository's, and is not told what."""

    frontend: str


@dataclass(frozen=True, slots=True)
class ResourcesAbsent:
    """A class of resources that the operator has not set up."""

    name: str
    existing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataAbsent:
    """Data that the operator has not set up."""

    name: str
    existing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DataGone:
    """Data that the settings have, in a directory that is not there."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class GpusAbsent:
    """The engine has no GPU that a session could have, or fewer than it asks for."""

    asked: int
    detail: str
    """What the engine said."""


@dataclass(frozen=True, slots=True)
class FrontendDiffers:
    """An image that holds another frontend than the launcher opens."""

    reference: str
    frontend: str
    wanted: str


@dataclass(frozen=True, slots=True)
class SessionsFull:
    """As many sessions as the installation allows at once."""

    limit: int


@dataclass(frozen=True, slots=True)
class SessionOutOfMemory:
    """A session that was ended because it wanted more memory than it may have."""

    memory: int
    """Bytes that it may have."""
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionDiskFull:
    """A session that was ended because it wrote more than it may."""

    used: int
    """Bytes, as is the next."""
    disk: int


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A session that does not answer, for it is not running."""

    state: str


@dataclass(frozen=True, slots=True)
class SessionGuarded:
    """A session that is asked for without its token."""
