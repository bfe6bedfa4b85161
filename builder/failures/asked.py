"""Failures of what was asked for: settings, addresses, repositories, images, and the engine that is to give them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingsInvalid:
    places: tuple[tuple[str, str], ...]
    """(setting, what is wrong with it)."""


@dataclass(frozen=True, slots=True)
class SettingsForeign:
    """The settings in force are a file of the repository that is asked for."""

    file: str


@dataclass(frozen=True, slots=True)
class AddressInvalid:
    """What was given is neither an address Launchyard fetches from nor a local repository."""

    address: str
    """As given, cut short, without user information."""
    problem: str
    instead: str = ""
    """The address that is meant, where that can be told."""
    advice: str = ""
    """What to do where no other address is meant."""


@dataclass(frozen=True, slots=True)
class HostNotAllowed:
    host: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostNotPublic:
    """A host that stands for this machine or a network of its own, where any public one is allowed."""

    host: str


@dataclass(frozen=True, slots=True)
class AddressMoved:
    """The host answered with a redirect, which is not followed: it may lead to where nobody is to be sent."""

    address: str


@dataclass(frozen=True, slots=True)
class RepositoryUnavailable:
    """The host answered that there is no such public repository."""

    address: str
    detail: str
    """What git said; empty where the host asks for a password."""


@dataclass(frozen=True, slots=True)
class ObjectsUnread:
    """A repository in a format of git that is not read."""

    address: str
    format: str


@dataclass(frozen=True, slots=True)
class HostUnreachable:
    address: str
    detail: str


@dataclass(frozen=True, slots=True)
class NotGit:
    """Something answers at the address, and it is no git."""

    address: str


@dataclass(frozen=True, slots=True)
class RefAbsent:
    ref: str
    near: tuple[str, ...]
    existing: tuple[str, ...] = ()
    """Some that there are, five at most."""


@dataclass(frozen=True, slots=True)
class RefInvalid:
    ref: str


@dataclass(frozen=True, slots=True)
class DateInvalid:
    """A date to resolve versions by that is none."""

    text: str


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Something of the repository is over a limit. Bytes."""

    what: str
    size: int
    limit: int
    setting: str


@dataclass(frozen=True, slots=True)
class TooManyFiles:
    """A build needs a directory of the repository that holds more files than a build is given."""

    path: str
    limit: int


@dataclass(frozen=True, slots=True)
class EngineUnavailable:
    detail: str
    step: str = ""
    """The step of a build in the midst of which it went away."""


@dataclass(frozen=True, slots=True)
class FrontendUnavailable:
    """A frontend whose program this installation has not been told where to get."""

    frontend: str
    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CertificateUntrusted:
    detail: str


@dataclass(frozen=True, slots=True)
class ImageAbsent:
    reference: str


@dataclass(frozen=True, slots=True)
class RecordInvalid:
    """What an image keeps about its environment is not what Launchyard writes there."""

    directory: str
    problem: str


@dataclass(frozen=True, slots=True)
class ImageForeign:
    """An image that Launchyard did not build."""

    reference: str


@dataclass(frozen=True, slots=True)
class ReferenceInvalid:
    reference: str


@dataclass(frozen=True, slots=True)
class PushFailed:
    reference: str
    detail: str
