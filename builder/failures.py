"""Every failure as data, and all the words for them: explain() is the one place that has any."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from detectors import failures as detected


class Blame(Enum):
    """Who can mend it; decides the exit code (of sysexits.h) and the HTTP status."""

    USAGE = ("usage", 2, 400)
    REPOSITORY = ("repository", 65, 422)
    OUTSIDE = ("outside", 75, 503)
    """Something unreachable or busy: worth trying again."""
    LAUNCHYARD = ("launchyard", 70, 500)

    @property
    def exit_code(self) -> int:
        return self.value[1]

    @property
    def status(self) -> int:
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failure in words: what happened, what was seen, what to do about it, and who can."""

    code: str
    title: str
    seen: str
    fix: tuple[str, ...]
    blame: Blame

    def to_json(self) -> dict[str, Any]:
        """The `error` member of a command's JSON."""
        return {**asdict(self), "fix": list(self.fix), "blame": self.blame.value[0]}


@dataclass(frozen=True, slots=True)
class SettingsInvalid:
    places: tuple[tuple[str, str], ...]
    """(setting, what is wrong with it)."""


@dataclass(frozen=True, slots=True)
class AddressInvalid:
    """What was given is neither an address Launchyard fetches from nor a local repository."""

    address: str
    """As given, cut short, without user information."""
    problem: str


@dataclass(frozen=True, slots=True)
class HostNotAllowed:
    host: str
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RepositoryUnavailable:
    """The host answered that there is no such public repository."""

    address: str
    detail: str


@dataclass(frozen=True, slots=True)
class HostUnreachable:
    address: str
    detail: str


@dataclass(frozen=True, slots=True)
class RefAbsent:
    ref: str
    near: tuple[str, ...]


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
class EngineUnavailable:
    detail: str


@dataclass(frozen=True, slots=True)
class BaseUnavailable:
    reference: str
    detail: str


@dataclass(frozen=True, slots=True)
class FrontendUnavailable:
    """A frontend whose program this installation has not been told where to get."""

    frontend: str
    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepFailed:
    """A build step ended with an error that nothing here recognises."""

    step: str
    exit_code: int | None
    lines: tuple[str, ...]
    """Its last lines, as they were printed."""


@dataclass(frozen=True, slots=True)
class PackageNotFound:
    """The index or the channels have no package of this name."""

    name: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoVersion:
    """No version of a package fits what was asked, on this Python."""

    name: str
    specifier: str
    python: str
    available: tuple[str, ...]
    """Newest first, at most five."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Requirements that cannot all be met; the solver's own chains."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LockStale:
    """poetry.lock does not belong to its pyproject.toml and cannot be brought up to date."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexUnreachable:
    detail: str


@dataclass(frozen=True, slots=True)
class CertificateUntrusted:
    detail: str


@dataclass(frozen=True, slots=True)
class DiskFull:
    step: str


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    step: str


@dataclass(frozen=True, slots=True)
class TimeExceeded:
    step: str
    seconds: int
    setting: str


@dataclass(frozen=True, slots=True)
class ImageAbsent:
    reference: str


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


def explain(failure: object) -> Explanation:
    """The words for a failure. One that has none here is a defect of Launchyard's own, and said to be."""
    title, seen, fix, blame = _words(failure)
    return Explanation(_code(failure), title, seen, fix, blame)


def _code(failure: object) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(failure).__name__).lower()


_Words = tuple[str, str, tuple[str, ...], Blame]


def _words(failure: object) -> _Words:
    for words in (_of_repository, _of_address, _of_packages, _of_machine, _of_image):
        found = words(failure)
        if found is not None:
            return found
    return (
        "Launchyard met something it does not expect",
        repr(failure)[:500],
        ("Please report this, with the command that was run.",),
        Blame.LAUNCHYARD,
    )


def _of_repository(failure: object) -> _Words | None:
    match failure:
        case detected.NoEnvironment():
            where = failure.looked_in or "the root of the repository"
            near = tuple(_near(path, what) for path, what in failure.near)
            return (
                "No environment file",
                f"In {where}: {', '.join(failure.seen) or 'nothing'}",
                near
                or ("Add an environment.yml, a requirements.txt or a pyproject.toml with its dependencies there.",),
                Blame.REPOSITORY,
            )
        case detected.StrategyAbsent():
            return (
                f"Nothing here for the strategy {failure.strategy}",
                f"In {failure.looked_in or 'the root of the repository'} there is no {' or '.join(failure.wants)}",
                ("Leave --strategy out to take what the repository has, or add that file.",),
                Blame.REPOSITORY,
            )
        case detected.DirectoryAbsent():
            return (
                f"The repository has no directory {failure.path}",
                failure.path,
                ("Check --subdir: it is a path from the root of the repository.",),
                Blame.REPOSITORY,
            )
        case detected.FileInvalid():
            return (
                f"{failure.location.path} is not valid: {failure.format} expected",
                f"{failure.location}: {failure.found}" if failure.found else str(failure.location),
                (f"{failure.problem[:1].upper()}{failure.problem[1:]}.".replace("..", "."),),
                Blame.REPOSITORY,
            )
        case detected.Undecodable():
            return (
                f"{failure.path} is not text in {failure.encoding.upper()}",
                f"{failure.path}:{failure.line}:{failure.column}",
                (f"Save {failure.path} as UTF-8.",),
                Blame.REPOSITORY,
            )
        case detected.FileTooLarge():
            return (
                f"{failure.path} is too large to be an environment file",
                f"{failure.path}: {failure.size:,} bytes; {failure.limit:,} are read at most",
                ("Check that the right file was committed.",),
                Blame.REPOSITORY,
            )
        case detected.NotAFile():
            return (
                f"{failure.path} is a {failure.kind}, where a file is needed",
                failure.path,
                (f"Rename the {failure.kind}, or put a file in its place.",),
                Blame.REPOSITORY,
            )
        case detected.LfsPointer():
            return (
                f"{failure.path} is stored in Git LFS",
                f"{failure.path} holds a pointer, not its content",
                (f"Take it out of LFS: git lfs untrack {failure.path}, then commit the file itself.",),
                Blame.REPOSITORY,
            )
        case detected.PathOutside():
            return (
                f"{failure.path} leads out of the repository",
                f"{failure.path} -> {failure.target}",
                ("Refer to files inside the repository only.",),
                Blame.REPOSITORY,
            )
        case detected.GroupAbsent():
            return (
                f"There is no {failure.kind} {failure.name} in {failure.path}",
                f"{failure.path} has {', '.join(failure.existing) or 'none'}",
                (f"Ask for one that it has, or leave the {failure.kind} out.",),
                Blame.REPOSITORY,
            )
        case detected.PathAbsent():
            return (
                f"{failure.path} does not exist",
                f"{failure.origin} refers to {failure.path}",
                ("Commit that file, or take the line out.",),
                Blame.REPOSITORY,
            )
        case detected.PythonUnavailable():
            return (
                f"Python {failure.asked} is not available",
                f"{failure.origin} asks for {failure.asked}",
                (f"Ask for one of {', '.join(failure.supported)}.",),
                Blame.REPOSITORY,
            )
    return None


def _near(path: str, what: str) -> str:
    if what.startswith("--"):
        return f"To use {path}, add {what}."
    if re.fullmatch(r"\S+", what):
        return f"Rename {path} to {what}."
    return f"{path} is not read; what is needed is {what}."


def _of_address(failure: object) -> _Words | None:
    match failure:
        case AddressInvalid():
            return (
                "This is not the address of a public repository",
                f"{failure.address}: {failure.problem}",
                ("Give an address such as https://github.com/owner/repository.",),
                Blame.REPOSITORY,
            )
        case HostNotAllowed():
            return (
                f"Repositories on {failure.host} are not allowed here",
                f"Allowed are {', '.join(failure.allowed)}",
                ("Whoever runs this installation can add the host to LAUNCHYARD_ALLOWED_HOSTS.",),
                Blame.REPOSITORY,
            )
        case RepositoryUnavailable():
            return (
                "There is no such public repository",
                f"{failure.address}: {failure.detail}",
                (
                    "Check the spelling of the address.",
                    "If the repository is private, make it public or use a public mirror of it.",
                ),
                Blame.REPOSITORY,
            )
        case HostUnreachable():
            return (
                "The git host cannot be reached",
                f"{failure.address}: {failure.detail}",
                ("Try again; if it goes on, check the network and the proxy settings with `launchyard doctor`.",),
                Blame.OUTSIDE,
            )
        case RefAbsent():
            return (
                f"The repository has no branch, tag or commit {failure.ref}",
                failure.ref,
                (f"Near: {', '.join(failure.near)}.",)
                if failure.near
                else ("A commit is named by all its 40 digits.",),
                Blame.REPOSITORY,
            )
        case RefInvalid():
            return (
                "This is not the name of a branch, a tag or a commit",
                failure.ref,
                ("Give the plain name, such as main or v1.2, or a commit's 40 digits.",),
                Blame.REPOSITORY,
            )
        case DateInvalid():
            return (
                "This is not a date",
                failure.text,
                ("Give a date such as 2021-06-01, a time such as 2021-06-01T12:00:00Z, or the word commit.",),
                Blame.USAGE,
            )
        case TooLarge():
            return (
                f"{failure.what} is too large",
                f"{failure.size:,} bytes; the limit is {failure.limit:,}",
                (f"The limit is the setting {failure.setting}.",),
                Blame.REPOSITORY,
            )
    return None


def _of_packages(failure: object) -> _Words | None:
    match failure:
        case PackageNotFound():
            return (
                f"There is no package {failure.name}",
                f"Looked in {', '.join(failure.places)}" if failure.places else failure.name,
                (f"Check how {failure.name} is spelt where it is asked for.",),
                Blame.REPOSITORY,
            )
        case NoVersion():
            return (
                f"No version of {failure.name} fits {failure.specifier or 'what was asked'}",
                f"{failure.name}{failure.specifier}, on Python {failure.python}",
                (f"Ask for one that exists: {', '.join(failure.available)}.",)
                if failure.available
                else (f"Check which versions of {failure.name} support Python {failure.python}.",),
                Blame.REPOSITORY,
            )
        case Conflict():
            return (
                "What is asked for cannot be installed together",
                "\n".join(failure.lines),
                ("Loosen or remove one of the requirements named above.",),
                Blame.REPOSITORY,
            )
        case LockStale():
            return (
                "poetry.lock does not belong to pyproject.toml",
                "\n".join(failure.lines),
                ("Run `poetry lock --no-update` and commit the result.",),
                Blame.REPOSITORY,
            )
    return None


def _of_machine(failure: object) -> _Words | None:
    match failure:
        case SettingsInvalid():
            return (
                "The settings are not valid",
                "\n".join(f"{where}: {problem}" for where, problem in failure.places),
                ("Correct launchyard.toml or the LAUNCHYARD_ variable of that name.",),
                Blame.USAGE,
            )
        case EngineUnavailable():
            return (
                "No Docker engine answers",
                failure.detail,
                ("Start Docker, or set DOCKER_HOST; in a checkout of Launchyard `make engine` starts one.",),
                Blame.OUTSIDE,
            )
        case BaseUnavailable():
            return (
                f"The base image {failure.reference} cannot be had",
                failure.detail,
                ("Check that its registry is reachable, or name another image in the settings under [bases].",),
                Blame.OUTSIDE,
            )
        case FrontendUnavailable():
            return (
                f"This installation has no {failure.frontend}",
                f"Not set: {', '.join(failure.settings)}",
                (f"Set {' and '.join(failure.settings)}, or choose --frontend jupyterlab.",),
                Blame.USAGE,
            )
        case IndexUnreachable():
            return (
                "The package index cannot be reached",
                failure.detail,
                ("Try again; `launchyard doctor` shows which index is asked.",),
                Blame.OUTSIDE,
            )
        case CertificateUntrusted():
            return (
                "A server's certificate is not trusted",
                failure.detail,
                ("Set `certificates` to the file of your network's certificate authorities.",),
                Blame.OUTSIDE,
            )
        case DiskFull():
            return (
                "The disk is full",
                f"In the step: {failure.step}",
                ("`launchyard prune` frees what Launchyard keeps; `launchyard doctor` shows the space.",),
                Blame.OUTSIDE,
            )
        case OutOfMemory():
            return (
                "The build was ended for want of memory",
                f"In the step: {failure.step}",
                ("Ask for less at once, for a wheel instead of a source, or for a larger machine.",),
                Blame.OUTSIDE,
            )
        case TimeExceeded():
            return (
                f"Not done after {failure.seconds} seconds",
                f"In the step: {failure.step}",
                (f"The limit is the setting {failure.setting}.",),
                Blame.REPOSITORY,
            )
        case StepFailed():
            ended = "" if failure.exit_code is None else f" (exit code {failure.exit_code})"
            return (
                f"The step failed: {failure.step}{ended}",
                "\n".join(failure.lines),
                ("Launchyard does not know this failure; the lines above are the step's own last words.",),
                Blame.REPOSITORY,
            )
    return None


def _of_image(failure: object) -> _Words | None:
    match failure:
        case ImageAbsent():
            return (
                f"There is no image {failure.reference}",
                failure.reference,
                (
                    "Build it first: launchyard build REPOSITORY.",
                    "A repository is named by its whole address, https://…, or by a path.",
                ),
                Blame.USAGE,
            )
        case ImageForeign():
            return (
                f"{failure.reference} was not built by Launchyard",
                "It lacks the label io.launchyard.key",
                ("Give the reference that `launchyard build` printed.",),
                Blame.USAGE,
            )
        case ReferenceInvalid():
            return (
                "This is not an image reference",
                failure.reference,
                ("Give NAME or NAME:TAG, in lower case, such as team/analysis:v1.",),
                Blame.USAGE,
            )
        case PushFailed():
            return (
                f"{failure.reference} could not be pushed",
                failure.detail,
                ("Check that the registry is reachable and that `docker login` was done for it.",),
                Blame.OUTSIDE,
            )
        case SessionExists():
            return (
                f"There is a session {failure.name} already",
                failure.name,
                (f"`launchyard stop {failure.name}` ends it; or give another --name.",),
                Blame.USAGE,
            )
        case PortTaken():
            return (
                f"The port {failure.port} is taken",
                f"127.0.0.1:{failure.port}",
                ("Give another --port, or leave it out to get a free one.",),
                Blame.OUTSIDE,
            )
        case SessionAbsent():
            return (
                f"There is no session {failure.name}",
                f"Running: {', '.join(failure.running) or 'none'}",
                ("`launchyard sessions` lists them.",),
                Blame.USAGE,
            )
        case SessionEnded():
            return (
                f"The session {failure.reason}",
                "\n".join(failure.lines),
                ("The lines above are the session's own last words.",),
                Blame.REPOSITORY,
            )
    return None
