"""Failures of what was asked for: settings, addresses, repositories, images, and the engine that is to give them."""

from __future__ import annotations

from typing import NamedTuple


class Stopped(NamedTuple):
    """Whoever asked for it ended it."""


class SettingsInvalid(NamedTuple):
    places: tuple[tuple[str, str], ...]
    """(setting, what is wrong with it)."""


class SettingsForeign(NamedTuple):
    """The settings in force are a file of the repository that is asked for."""

    file: str


class AddressInvalid(NamedTuple):
    """What was given is neither an address Launchyard fetches from nor a local repository."""

    address: str
    """As given, cut short, without user information."""
    problem: str
    instead: str = ""
    """The address that is meant, where that can be told."""
    advice: str = ""
    """What to do where no other address is meant."""


class HostNotAllowed(NamedTuple):
    host: str
    allowed: tuple[str, ...]


class HostNotPublic(NamedTuple):
    """A host that stands for this machine or a network of its own, where any public one is allowed."""

    host: str


class AddressMoved(NamedTuple):
    """The host answered with a redirect, which is not followed: it may lead to where nobody is to be sent."""

    address: str


class RepositoryUnavailable(NamedTuple):
    """The host answered that there is no such public repository."""

    address: str
    detail: str
    """What git said; empty where the host asks for a password."""


class ObjectsUnread(NamedTuple):
    """A repository in a format of git that is not read."""

    address: str
    format: str


class HostUnreachable(NamedTuple):
    address: str
    detail: str


class NotGit(NamedTuple):
    """Something answers at the address, and it is no git."""

    address: str


class RefAbsent(NamedTuple):
    ref: str
    near: tuple[str, ...]
    existing: tuple[str, ...] = ()
    """Some that there are, five at most."""


class RefInvalid(NamedTuple):
    ref: str


class DateInvalid(NamedTuple):
    """A date to resolve versions by that is none, or is to come."""

    text: str
    to_come: bool = False


class TooLarge(NamedTuple):
    """Something of the repository is over a limit. Bytes."""

    what: str
    size: int
    limit: int
    setting: str


class TooManyFiles(NamedTuple):
    """A build needs a directory of the repository that holds more files than a build is given."""

    path: str
    limit: int


class EngineUnavailable(NamedTuple):
    detail: str
    step: str = ""
    """The step of a build in the midst of which it went away."""


class GitUnusable(NamedTuple):
    """The program cannot be started on the machine that Launchyard runs on."""

    detail: str


class FrontendUnavailable(NamedTuple):
    """A frontend whose program this installation has not been told where to get."""

    frontend: str
    settings: tuple[str, ...]


class CertificateUntrusted(NamedTuple):
    detail: str


class ImageAbsent(NamedTuple):
    reference: str


class RecordInvalid(NamedTuple):
    """What an image keeps about its environment is not what Launchyard writes there."""

    directory: str
    problem: str


class ImageForeign(NamedTuple):
    """An image that Launchyard did not build."""

    reference: str


class ReferenceInvalid(NamedTuple):
    reference: str


class PushFailed(NamedTuple):
    reference: str
    detail: str
