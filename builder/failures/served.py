"""Failures of sessions and of the build service."""

from __future__ import annotations

from typing import NamedTuple


class SessionExists(NamedTuple):
    """A session of this name is running already."""

    name: str


class PortTaken(NamedTuple):
    """Another program listens on the port that was asked for."""

    port: int


class AddressUnusable(NamedTuple):
    """The service cannot listen where it was told to."""

    host: str
    port: int
    detail: str


class StateUnusable(NamedTuple):
    """The state directory cannot be written to."""

    directory: str
    detail: str


class SessionAbsent(NamedTuple):
    name: str
    running: tuple[str, ...]


class SessionEnded(NamedTuple):
    """A session that ended, or never answered, while it was waited for."""

    reason: str
    """What it did: "ended with exit code 1", "did not answer within 60 s"."""
    lines: tuple[str, ...]
    command: tuple[str, ...] = ()
    """What ran in it; empty for the image's own frontend."""
    in_start: bool = False
    """It came no further than the repository's `start`."""


class RecordAbsent(NamedTuple):
    """The service remembers no such thing."""

    what: str
    """"environment", "build", "version", "Dockerfile", "launcher", "session" or "page"."""
    id: str


class NameTaken(NamedTuple):
    name: str
    what: str = "environment"


class NoVersionYet(NamedTuple):
    """An environment that has no image so far."""

    name: str
    state: str


class KindAbsent(NamedTuple):
    """A version that holds no package of the kind which a format is for."""

    version: str
    kind: str
    """"conda", "Python"."""
    others: tuple[str, ...]
    """Formats that have something."""


class RevisionStale(NamedTuple):
    """The environment was changed since it was read."""

    name: str


class RequestInvalid(NamedTuple):
    """A request to the service that is not as its OpenAPI document says."""

    places: tuple[tuple[str, str], ...]
    """(place, what is wrong with it)."""


class HostForeign(NamedTuple):
    """A request that came under a name which the service does not answer to, or from another site's page."""

    host: str


class BuilderLost(NamedTuple):
    """The process that a build ran in ended without a word."""

    detail: str


class ServiceUnreachable(NamedTuple):
    """No build service answers at an address."""

    address: str
    detail: str


class DatabaseNeeded(NamedTuple):
    """A role of a service was asked for that works over a database only."""

    role: str


class DatabaseAway(NamedTuple):
    """The database in which a service remembers does not answer."""

    detail: str


class DatabaseRefused(NamedTuple):
    """The database in which a service remembers is there, and does not let this one in."""

    detail: str


class DatabaseBroken(NamedTuple):
    """A file of a service's is no database any more."""

    file: str
    detail: str
    is_queue: bool
    """It holds the line of builds, which is made anew of the records."""


class RecordsNewer(NamedTuple):
    """What a service remembers was written by a later release than this one."""

    place: str
    schema: str
    """The migration that it is of, which this release does not know."""


class BackupInvalid(NamedTuple):
    """A file that a backup cannot be written to, or read from."""

    file: str
    problem: str


class NotEmpty(NamedTuple):
    """The service that a backup is to be restored to remembers something already."""


class NothingRemembered(NamedTuple):
    """There is nothing to back up: no service has run there yet."""


class StateTaken(NamedTuple):
    """Another service works on the same state directory."""

    directory: str


class LauncherInvalid(NamedTuple):
    """A launcher that cannot be as it is asked for."""

    places: tuple[tuple[str, str], ...]
    """(member, what is wrong with it)."""


class CommandMissing(NamedTuple):
    """A frontend that runs something of the repository's, and is not told what."""

    frontend: str


class ResourcesAbsent(NamedTuple):
    """A class of resources that the operator has not set up."""

    name: str
    existing: tuple[str, ...]


class DataAbsent(NamedTuple):
    """Data that the operator has not set up."""

    name: str
    existing: tuple[str, ...]


class VersionPinned(NamedTuple):
    """A version that is to stay the one in use, whatever is built; another was to be used until a build succeeds."""

    environment: str
    number: int
    wanted: int


class VersionGone(NamedTuple):
    """A version whose image somebody removed."""

    number: int
    reference: str


class DataGone(NamedTuple):
    """Data that the settings have, in a directory that is not there."""

    name: str
    path: str


class GpusAbsent(NamedTuple):
    """The engine has no GPU that a session could have, or fewer than it asks for."""

    asked: int
    detail: str
    """What the engine said."""


class FrontendDiffers(NamedTuple):
    """An image that holds another frontend than the launcher opens."""

    reference: str
    frontend: str
    wanted: str


class SessionsFull(NamedTuple):
    """As many sessions as the installation allows at once."""

    limit: int


class SessionOutOfMemory(NamedTuple):
    """A session that was ended because it wanted more memory than it may have."""

    memory: int
    """Bytes that it may have."""
    lines: tuple[str, ...]


class SessionDiskFull(NamedTuple):
    """A session that was ended because it wrote more than it may."""

    used: int
    """Bytes, as is the next."""
    disk: int


class SessionClosed(NamedTuple):
    """A session that does not answer, for it is not running."""

    state: str


class SessionGuarded(NamedTuple):
    """A session that is asked for without its token."""
