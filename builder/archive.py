"""Archive: the files of a context as a tar whose bytes depend on nothing else."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from builder.context import Content
from builder.failures.asked import TooLarge
from detectors.failures import BuildError, FileTooLarge
from detectors.source import Entry, Source


def write(dockerfile: str, files: Mapping[str, Content], stream: BinaryIO, source: Source | None, limit: int) -> None:
    """`files` by path, without directories; `limit` bounds the repository's share, in bytes.

    Raises BuildError(TooLarge).
    """
    left = limit
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "Dockerfile", dockerfile.encode(), 0o644)
        for path, content in sorted(files.items(), key=lambda file: file[0]):
            if isinstance(content, bytes):
                _add(tar, path, content, 0o755 if content.startswith(b"#!") else 0o644)
                continue
            assert source is not None
            found = _content(source, content, left, limit)
            left -= len(found)
            if content.kind == "symlink":
                _link(tar, path, found)
            else:
                _add(tar, path, found, 0o755 if content.executable else 0o644)


def _content(source: Source, entry: Entry, left: int, limit: int) -> bytes:
    try:
        return source.content(entry, left)
    except BuildError as error:
        if not isinstance(large := error.failure, FileTooLarge):
            raise
        alone = large.size > limit
        what = f"The file {large.path}" if alone else "What the build needs of the repository"
        size = large.size if alone else limit - left + large.size
        raise BuildError(TooLarge(what, size, limit, "limits.source_size")) from None


def extract(stream: BinaryIO, directory: Path) -> None:
    """Links are written as they are, wherever they lead: nothing here follows them."""
    with tarfile.open(fileobj=stream) as tar:
        tar.extractall(directory, filter=_within)


def _within(member: tarfile.TarInfo, directory: str) -> tarfile.TarInfo | None:
    """A link is checked for where it lies and not for where it leads. Raises tarfile.FilterError."""
    if member.issym():
        tarfile.data_filter(tarfile.TarInfo(member.name), directory)
        return member
    return tarfile.data_filter(member, directory)


def _add(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(path)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))


def _link(tar: tarfile.TarFile, path: str, target: bytes) -> None:
    member = tarfile.TarInfo(path)
    member.type, member.linkname, member.mode = tarfile.SYMTYPE, target.decode("utf-8", "surrogateescape"), 0o777
    tar.addfile(member)
