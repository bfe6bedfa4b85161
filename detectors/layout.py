"""Layout: which directories of a repository a plan is made from, and what their files point at."""

from __future__ import annotations

import posixpath
from typing import NamedTuple

from detectors.failures import (
    BuildError,
    DirectoryAbsent,
    Location,
    NotADirectory,
    NotAFile,
    PathAbsent,
    PathOutside,
    broken,
    invalid,
)
from detectors.plan import FileRef, Options
from detectors.source import Entry, Source, find, normalise, refuse_pointer

BINDER = ("binder", ".binder")
"""Where the configuration is, first found, when it is not in the project's directory itself.

https://repo2docker.readthedocs.io/en/latest/configuration/
"""

MAX_LOOKED_INTO = 100_000
"""Bytes of an archive that is looked into: what stands for one by mistake, as the page of a site that asks for a
password, is smaller."""

STARTS = ((".whl", b"PK"), (".zip", b"PK"), (".tar.gz", b"\x1f\x8b"), (".tgz", b"\x1f\x8b"), (".tar.bz2", b"BZh"))
"""How archives that installers take begin: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT,
https://www.rfc-editor.org/rfc/rfc1952, https://sourceware.org/bzip2/."""


class Layout(NamedTuple):
    """The two directories that count; paths from the root of the repository, "" is the root."""

    project: str
    """What local paths (`-e .`) are relative to."""
    config: str
    """Where configuration files are read: the project's directory, or its binder directory."""

    def path(self, name: str) -> str:
        """The path of a configuration file."""
        return posixpath.join(self.config, name)


def locate(source: Source, options: Options) -> Layout:
    """The layout of a repository, or of the subdirectory asked for.

    Raises BuildError with DirectoryAbsent, NotADirectory or PathOutside.
    """
    project = normalise(options.subdir)
    entry = find(source, project)
    if entry is None:
        raise BuildError(DirectoryAbsent(options.subdir))
    if entry.kind != "directory":
        raise BuildError(NotADirectory(options.subdir, entry.kind))
    for name in BINDER:
        config = posixpath.join(project, name)
        if is_directory(source, config):
            return Layout(project, config)
    return Layout(project, project)


def submodules(source: Source, layout: Layout) -> tuple[str, ...]:
    """The paths at which a binder directory is a submodule."""
    paths = (posixpath.join(layout.project, name) for name in BINDER)
    return tuple(path for path in paths if (entry := source.entry(path)) and entry.kind == "submodule")


def is_directory(source: Source, path: str) -> bool:
    """Whether a directory is at the path, links followed."""
    entry = find(source, path)
    return entry is not None and entry.kind == "directory"


def ref(source: Source, path: str) -> FileRef:
    """A file or a directory that is known to exist, with its object's id."""
    entry = find(source, path)
    assert entry is not None
    return FileRef(path, entry.blob)


def local_path(base: str, target: str, origin: Location) -> str:
    """Where `target`, written at `origin`, leads from the directory `base`. Raises BuildError(PathOutside)."""
    try:
        return normalise(posixpath.join(base, target))
    except BuildError:
        raise BuildError(PathOutside(origin.path, target, origin)) from None


def local_file(source: Source, path: str, origin: Location) -> FileRef:
    """The file that `origin` refers to. Raises BuildError with PathAbsent, NotAFile, PathOutside or LfsPointer."""
    entry = _referred(source, path, origin)
    if entry.kind != "file":
        raise BuildError(NotAFile(path, entry.kind))
    refuse_pointer(source, path, entry)
    return FileRef(path, entry.blob)


def local_directory(source: Source, path: str, origin: Location) -> FileRef:
    """The directory that `origin` refers to. Raises BuildError with PathAbsent, NotADirectory or PathOutside."""
    entry = _referred(source, path, origin)
    if entry.kind != "directory":
        raise BuildError(NotADirectory(path, entry.kind, origin))
    return FileRef(path, entry.blob)


def local_package(source: Source, path: str, origin: Location) -> tuple[FileRef, bool]:
    """The archive or the project's directory that `origin` installs, and whether it is a directory.

    Raises as `local_file` does, BuildError(ArchiveBroken), and BuildError(FileInvalid) for a directory no installer
    could use.
    """
    entry = _referred(source, path, origin)
    if entry.kind == "file":
        _refuse_broken(path, refuse_pointer(source, path, entry, MAX_LOOKED_INTO), origin)
        return FileRef(path, entry.blob), False
    directory = local_directory(source, path, origin)
    if not any(find(source, posixpath.join(path, name)) for name in ("pyproject.toml", "setup.py")):
        raise invalid(origin, "a Python project", path or ".", "it holds neither pyproject.toml nor setup.py")
    return directory, True


def _refuse_broken(path: str, content: bytes | None, origin: Location) -> None:
    start = next((start for name, start in STARTS if path.lower().endswith(name)), b"")
    if content is not None and not content.startswith(start):
        raise broken(path, content, origin)


def _referred(source: Source, path: str, origin: Location) -> Entry:
    # Asking git for a name with a line break in it is asking for trouble.
    entry = find(source, path) if path.isprintable() else None
    if entry is None:
        raise BuildError(PathAbsent(path, origin))
    return entry
