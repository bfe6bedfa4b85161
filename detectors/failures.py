"""What can be wrong with a repository, as values. The words for them are in builder/failures/words.

They are named tuples: Python takes seven times as long to make a frozen dataclass, and every command makes these kinds.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_INSTEAD = 20
"""Lines that are proposed in place of one; of more, somebody has to think."""

MAX_LINE = 200
"""Characters of a line that is shown, and of one that is proposed: half of it would be no proposal."""


class BuildError(Exception):
    """The one exception of Launchyard: it carries a frozen failure, and no prose."""

    def __init__(self, failure: object) -> None:
        super().__init__(failure)
        self.failure = failure


class Location(NamedTuple):
    """A place in a file of the repository; lines and columns count from 1, 0 is unknown."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.path, *(str(n) for n in (self.line, self.column) if n)])


class NoEnvironment(NamedTuple):
    """No file that any strategy reads."""

    looked_in: str
    seen: tuple[str, ...]
    """What is there and one level below, as paths from there; directories with a closing slash."""
    near: tuple[tuple[str, str], ...]
    """(path, what it should be called or where it should be) of files that come close."""


class StrategyAbsent(NamedTuple):
    """A strategy was asked for whose file is not there."""

    strategy: str
    wants: tuple[str, ...]
    looked_in: str


class DirectoryAbsent(NamedTuple):
    """The subdirectory that was asked for does not exist."""

    path: str


class FileInvalid(NamedTuple):
    """A file is not what its name says, or says something that cannot be used."""

    location: Location
    format: str
    """What it should be: "YAML", "TOML", "a requirement", "a channel", "a Debian package", ..."""
    found: str
    """The text at fault, cut to one short line."""
    problem: str
    """The parser's own words, or the rule that was broken."""
    instead: tuple[str, ...] = ()
    """What should stand there, where that is clear: one line, or one for each package, MAX_INSTEAD at the most."""


class ListOfAnother(NamedTuple):
    """A requirements file that holds what some command prints, which is none."""

    location: Location
    """The first line of that kind."""
    found: str
    """That line, cut short."""
    command: str
    """"conda list --export", "conda list --explicit", "conda env export", "pip list", or "pip freeze", which writes
    where conda made the packages."""
    lines: int
    """How many lines are of that kind."""


class LockNewer(NamedTuple):
    """A poetry.lock in a form that came after Poetry 1.8."""

    location: Location
    version: str


class Undecodable(NamedTuple):
    """A file whose bytes are no text in the encoding it claims."""

    path: str
    line: int
    column: int
    encoding: str


class FileTooLarge(NamedTuple):
    """A file over the size that is read. Sizes in bytes."""

    path: str
    size: int
    limit: int


class NotAFile(NamedTuple):
    """A directory or a submodule where a file is needed."""

    path: str
    kind: str


class NotADirectory(NamedTuple):
    """A file or a submodule where a directory is needed."""

    path: str
    kind: str
    origin: Location | None = None
    """The line that refers to it."""


class DirectoryTooLarge(NamedTuple):
    """A directory that holds more names than are read. Sizes in bytes, of git's list of them."""

    path: str
    size: int
    limit: int


class PathTooLong(NamedTuple):
    """A path of the repository that no file system takes: deeper, or of longer names."""

    path: str
    """Its beginning."""
    limit: int
    """Characters."""


class ArchiveBroken(NamedTuple):
    """A file of the repository that is to be installed, and does not begin as an archive of its name does."""

    path: str
    start: str
    """How it begins instead: one short line, empty where there is none."""
    location: Location
    """The line that installs it."""


class LfsPointer(NamedTuple):
    """A file that holds the pointer of Git LFS instead of its content."""

    path: str


class PathOutside(NamedTuple):
    """A path or a link that leaves the repository."""

    path: str
    target: str
    origin: Location | None = None
    """The line that says so, when it is a line and not a link."""


class PathAbsent(NamedTuple):
    """A file that another file refers to does not exist."""

    path: str
    origin: Location


class PythonUnavailable(NamedTuple):
    """No Python that Launchyard builds with is what was asked for."""

    asked: str
    origin: str
    supported: tuple[str, ...]
    by_file: bool = False
    """A file of the repository's chooses it, and `--python` would overrule that."""


class GroupAbsent(NamedTuple):
    """A dependency group or an extra was asked for that the project does not have."""

    kind: str
    """ "group" or "extra"."""
    name: str
    path: str
    existing: tuple[str, ...]


_CREDENTIALS = re.compile(r"(?<=//)(?!/)(?:[^\s/]*|[^\s:@]*:[^\s@]*)@")


def invalid(location: Location, format: str, found: str, problem: str, instead: tuple[str, ...] = ()) -> BuildError:
    """A BuildError(FileInvalid), its texts cut to one short line and free of credentials."""
    whole = len(instead) <= MAX_INSTEAD and all(len(line) <= MAX_LINE for line in instead)
    lines = tuple(_shown(line, MAX_LINE) for line in instead) if whole else ()
    return BuildError(FileInvalid(location, format, _shown(found, 100), _shown(problem, MAX_LINE), lines))


def of_another(location: Location, found: str, command: str, lines: int) -> BuildError:
    """A BuildError(ListOfAnother), its text cut to one short line and free of credentials."""
    return BuildError(ListOfAnother(location, _shown(found, 100), command, lines))


def broken(path: str, content: bytes, location: Location) -> BuildError:
    """A BuildError(ArchiveBroken) of what the archive holds instead."""
    return BuildError(ArchiveBroken(path, one_line(_shown(content[:1_000].decode(errors="replace"), 100)), location))


def one_line(name: str, length: int = 100) -> str:
    """A name of the repository's, for a line of words: control characters escaped, and cut short."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name[:length])
    return shown if len(name) <= length and len(shown) <= length else shown[: length - 1] + "…"


def _shown(text: str, length: int) -> str:
    # Cut after the credentials are gone: half of a secret is no longer recognised as one.
    line = next((line.strip() for line in text[:4_000].splitlines() if line.strip()), "")
    line = _CREDENTIALS.sub("***@", line)
    return line if len(line) <= length else line[: length - 1] + "…"
