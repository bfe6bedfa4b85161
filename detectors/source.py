"""Source: the only questions a detector may ask a repository."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol

from detectors.failures import (
    BuildError,
    FileTooLarge,
    LfsPointer,
    NotAFile,
    PathOutside,
    PathTooLong,
    Undecodable,
)

Kind = Literal["file", "directory", "symlink", "submodule"]

MAX_FILE = 10_000_000
"""Bytes. The largest file a detector reads: a poetry.lock of 2,000 packages has 1.5 MB."""

MAX_TEXT = 1_000_000
"""Bytes. The largest file that people write: the longest environment files seen have some 100 kB."""

MAX_PATH = 4_000
"""Characters; Linux takes paths of 4,096 bytes."""

MAX_POINTER = 1_024
"""Bytes. https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md: a pointer is shorter."""

MAX_LINKS = 8
"""How many symbolic links one path may lead through."""

# https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_POINTER = b"version https://git-lfs.github.com/spec/"


class Entry(NamedTuple):
    """One name in a tree: its path from the root of the repository, and the git object behind it."""

    path: str
    kind: Kind
    blob: str
    """The object's id: of a file's content, a directory's tree, a submodule's commit."""
    executable: bool = False


class Source(Protocol):
    """A repository at one commit. Paths are POSIX, relative to the root, "" is the root."""

    def entry(self, path: str) -> Entry | None:
        """What is at the path, links not followed. None when nothing is."""
        ...

    def list(self, path: str = "") -> tuple[Entry, ...]:
        """What a directory holds, by name. Empty where there is no such directory."""
        ...

    def content(self, entry: Entry, limit: int = MAX_FILE) -> bytes:
        """The bytes of a file, or the target of a link. Raises BuildError(FileTooLarge) over `limit` bytes."""
        ...


class MappingSource:
    """A Source over a plain mapping of paths to contents: for tests, and for what is not in git.

    Its ids are those git would give, so that golden plans hold for both kinds of Source.
    """

    def __init__(
        self,
        files: Mapping[str, str | bytes],
        links: Mapping[str, str] | None = None,
        executable: Collection[str] = (),
    ) -> None:
        self._contents: dict[str, bytes] = {}
        self._entries: dict[str, Entry] = {}
        for path, content in files.items():
            self._add(path, "file", content.encode() if isinstance(content, str) else content, path in executable)
        for path, target in (links or {}).items():
            self._add(path, "symlink", target.encode(errors="surrogateescape"))
        directories = {"", *(parent for path in self._contents for parent in _parents(path))}
        for directory in sorted(directories, key=len, reverse=True):
            self._entries[directory] = Entry(directory, "directory", object_id("tree", self._tree(directory)))

    def entry(self, path: str) -> Entry | None:
        return self._entries.get(path)

    def list(self, path: str = "") -> tuple[Entry, ...]:
        return tuple(e for p, e in sorted(self._entries.items()) if p and posixpath.dirname(p) == path)

    def content(self, entry: Entry, limit: int = MAX_FILE) -> bytes:
        return _bounded(entry.path, self._contents[entry.path], limit)

    def _add(self, path: str, kind: Kind, content: bytes, executable: bool = False) -> None:
        self._contents[path] = content
        self._entries[path] = Entry(path, kind, object_id("blob", content), executable)

    def _tree(self, directory: str) -> bytes:
        # Git's order: a directory's name counts as if it ended with a slash.
        below = sorted(self.list(directory), key=lambda e: e.path + "/" * (e.kind == "directory"))
        return b"".join(
            f"{_mode(entry)} {posixpath.basename(entry.path)}\0".encode() + bytes.fromhex(entry.blob) for entry in below
        )


def find(source: Source, path: str) -> Entry | None:
    """The file or directory at a path, symbolic links inside the repository followed.

    Returns None when there is nothing. Raises BuildError(PathOutside) for a path or a link that
    leaves the repository or turns in a circle, BuildError(PathTooLong) for one that no file system takes.
    """
    asked, path = path, normalise(path)
    for _ in range(MAX_LINKS + 1):
        if len(path) > MAX_PATH:
            raise BuildError(PathTooLong(path[:100], MAX_PATH))
        link = _first_link(source, path)
        if link is None:
            return source.entry(path)
        target = source.content(link, MAX_PATH).decode("utf-8", "surrogateescape")
        rest = path[len(link.path) :].lstrip("/")
        if target.startswith("/"):
            raise BuildError(PathOutside(asked, target))
        path = normalise(posixpath.join(posixpath.dirname(link.path), target, rest).rstrip("/"), asked)
    raise BuildError(PathOutside(asked, path))


def file(source: Source, path: str) -> Entry | None:
    """The file at a path, links followed, or None when there is nothing.

    Raises BuildError with NotAFile or PathOutside.
    """
    entry = find(source, path)
    if entry is not None and entry.kind != "file":
        raise BuildError(NotAFile(path, entry.kind))
    return entry


def read(source: Source, path: str, limit: int = MAX_TEXT) -> str | None:
    """The text of a file of at most `limit` bytes, or None when there is none.

    UTF-8, or UTF-16 where a byte-order mark says so; the mark is dropped, line ends become "\\n".
    Raises BuildError with NotAFile, FileTooLarge, PathOutside, LfsPointer or Undecodable.
    """
    entry = file(source, path)
    if entry is None:
        return None
    content = source.content(entry, limit)
    if content.startswith(_POINTER):
        raise BuildError(LfsPointer(path))
    return decode(path, content)


def refuse_pointer(source: Source, path: str, entry: Entry, limit: int = MAX_POINTER) -> bytes | None:
    """The content of a file, None where it has more than `limit` bytes, which are no fewer than MAX_POINTER.

    Raises BuildError(LfsPointer) for a file of any size that Git LFS has left as a pointer.
    """
    try:
        content = source.content(entry, limit)
    except BuildError as error:
        if isinstance(error.failure, FileTooLarge):
            return None
        raise
    if content.startswith(_POINTER):
        raise BuildError(LfsPointer(path))
    return content


def decode(path: str, content: bytes) -> str:
    """Text of bytes, as `read` gives it. Raises BuildError(Undecodable) with line and column."""
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start]
        column = len(before) - (before.rfind(b"\n") + 1) + 1
        raise BuildError(Undecodable(path, before.count(b"\n") + 1, column, encoding.removesuffix("-sig"))) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def walk(source: Source, path: str = "") -> Iterator[Entry]:
    """Every file and link below a directory, in the order of their names; what submodules hold is not there.

    Raises BuildError(PathTooLong) where no file system could hold it.
    """
    waiting = [*reversed(source.list(path))]
    while waiting:
        entry = waiting.pop()
        if len(entry.path) > MAX_PATH:
            raise BuildError(PathTooLong(entry.path[:100], MAX_PATH))
        if entry.kind == "directory":
            waiting += reversed(source.list(entry.path))
        elif entry.kind != "submodule":
            yield entry


def normalise(path: str, asked: str | None = None) -> str:
    """A path without ".", ".." and doubled slashes. Raises BuildError(PathOutside) above the root."""
    normal = posixpath.normpath(path) if path else "."
    if normal.startswith(("/", "../")) or normal == "..":
        raise BuildError(PathOutside(asked or path, path))
    return "" if normal == "." else normal


def _first_link(source: Source, path: str) -> Entry | None:
    for part in (*reversed(_parents(path)), path):
        entry = source.entry(part)
        if entry is not None and entry.kind == "symlink":
            return entry
    return None


def _parents(path: str) -> list[str]:
    parents = []
    while path := posixpath.dirname(path):
        parents.append(path)
    return parents


def _bounded(path: str, content: bytes, limit: int) -> bytes:
    if len(content) > limit:
        raise BuildError(FileTooLarge(path, len(content), limit))
    return content


def object_id(kind: str, content: bytes) -> str:
    """As git names it: https://git-scm.com/book/en/v2/Git-Internals-Git-Objects"""
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content).hexdigest()


def _mode(entry: Entry) -> str:
    if entry.kind == "file":
        return "100755" if entry.executable else "100644"
    return {"directory": "40000", "symlink": "120000", "submodule": "160000"}[entry.kind]
