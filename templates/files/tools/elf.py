"""Read what the loader would of shared objects and programs: what they need, and where they have it searched.

Files are whatever a package has put there, so every read and every count is bounded.
Format: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

MAX_NEEDED = 512  # names that one file needs
MAX_SEARCH = 32  # directories that one file names
MAX_SEGMENTS = 256
# Bytes of one file.
MAX_DYNAMIC = 65_536
MAX_NAME = 256
MAX_PATHS = 4_096

SYSV, GNU = 0, 3
PT_LOAD, PT_DYNAMIC = 1, 2
DT_NULL, DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 10, 14, 15, 29


class Elf(NamedTuple):
    """What the loader would read of a shared object or a program."""

    needed: tuple[str, ...] = ()
    soname: str = ""
    search: tuple[str, ...] = ()
    """DT_RPATH and DT_RUNPATH, as they are written."""
    strings: tuple[int, int] = (0, 0)
    """Offset and size of the string table."""


def read_elf(path: str, kind: tuple | None) -> Elf | None:
    """None for a file that is broken, no ELF, not linked dynamically, or of another kind."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return parse(lambda size, offset: part(file, size, offset), kind)
    finally:
        os.close(file)


def parse(read, kind: tuple | None) -> Elf | None:
    """`read` gives at most so many bytes from an offset on."""
    header = read(64, 0)
    if kind is None or kind_of(header) != kind:
        return None
    bits, order, _ = kind
    wide = bits == 2
    fields = struct.unpack_from(order + ("16xHHIQQQIHHH" if wide else "16xHHIIIIIHHH"), header)
    table, size, count = fields[4], fields[8], fields[9]
    form = order + ("IIQQQQQQ" if wide else "IIIIIIII")
    if size != struct.calcsize(form):
        return None
    # type, offset, address, size in the file
    columns = (0, 2, 3, 5) if wide else (0, 1, 2, 4)
    segments = [tuple(row[n] for n in columns) for row in rows(form, read(min(count, MAX_SEGMENTS) * size, table))]
    dynamic = next((segment for segment in segments if segment[0] == PT_DYNAMIC), None)
    if not dynamic:
        return None
    content = read(min(dynamic[3], MAX_DYNAMIC), dynamic[1])
    return linked(read, rows(order + ("QQ" if wide else "II"), content), segments)


def linked(read, tags, segments: list[tuple]) -> Elf | None:
    values: dict[int, list[int]] = {}
    for tag, value in tags:
        if tag == DT_NULL:
            break
        values.setdefault(tag, []).append(value)
    address, size = values.get(DT_STRTAB, [0])[0], values.get(DT_STRSZ, [0])[0]
    start = next((o + address - a for kind, o, a, n in segments if kind == PT_LOAD and a <= address < a + n), None)
    if start is None:
        return None

    def strings(tag: int, limit: int) -> list[str]:
        places = (index for index in values.get(tag, ())[:MAX_NEEDED] if index < size)
        found = (read(min(limit, size - index), start + index) for index in places)
        return [os.fsdecode(text.partition(b"\0")[0]) for text in found if b"\0" in text]

    paths = ":".join((*strings(DT_RPATH, MAX_PATHS)[:1], *strings(DT_RUNPATH, MAX_PATHS)[:1]))
    return Elf(
        needed=tuple(strings(DT_NEEDED, MAX_NAME)),
        soname="".join(strings(DT_SONAME, MAX_NAME)[:1]),
        search=tuple(paths.split(":")[:MAX_SEARCH]),
        strings=(start, size),
    )


def kind_of(header: bytes) -> tuple | None:
    """Class (1: 32 bits, 2: 64), byte order as struct writes it, and machine; None for no ELF of Linux's."""
    if len(header) < 64 or header[:4] != b"\x7fELF" or header[4] not in (1, 2) or header[7] not in (SYSV, GNU):
        return None
    order = {1: "<", 2: ">"}.get(header[5])
    return (header[4], order, struct.unpack_from(order + "H", header, 18)[0]) if order else None


def rows(form: str, content: bytes):
    size = struct.calcsize(form)
    return struct.iter_unpack(form, content[: len(content) // size * size])


def head(path: str, size: int, offset: int = 0) -> bytes:
    """Bytes of a regular file; none of anything else, or of a file that cannot be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return part(file, size, offset)
    finally:
        os.close(file)


def part(file: int, size: int, offset: int) -> bytes:
    try:
        length = os.fstat(file).st_size
        size = min(size, length - offset)  # the length of what is no file is 0
        return os.pread(file, size, offset) if size > 0 else b""
    except OSError:
        return b""
