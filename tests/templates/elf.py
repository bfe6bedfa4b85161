"""The smallest ELF files that a loader would read, made without a compiler."""

from __future__ import annotations

import struct
from collections.abc import Iterable

ADDRESS = 0x40_0000
"""Where the file is loaded, so that an address is no offset."""


def elf(
    needed: Iterable[str] = (),
    *,
    soname: str = "",
    rpath: str = "",
    runpath: str = "",
    exports: Iterable[str] = (),
    bits: int = 64,
    order: str = "<",
    machine: int = 62,
    abi: int = 0,
) -> bytes:
    """A shared object. https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html"""
    strings = b"\0"
    tags = []
    for tag, texts in ((1, needed), (14, filter(None, [soname])), (15, filter(None, [rpath])),
                       (29, filter(None, [runpath])), (None, exports)):  # fmt: skip
        for text in texts:
            if tag is not None:
                tags.append((tag, len(strings)))
            strings += text.encode() + b"\0"
    wide = bits == 64
    header_size, segment_size, word = (64, 56, "Q") if wide else (52, 32, "I")
    dynamic_at = header_size + 2 * segment_size
    dynamic_size = (len(tags) + 3) * 2 * struct.calcsize(word)
    strings_at = dynamic_at + dynamic_size
    tags += [(5, ADDRESS + strings_at), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack(order + 2 * word, *tag) for tag in tags)
    size = strings_at + len(strings)
    return (
        _header(wide, order, machine, abi, header_size, segment_size)
        + _segment(wide, order, 1, 0, size)
        + _segment(wide, order, 2, dynamic_at, dynamic_size)
        + dynamic
        + strings
    )


def _header(wide: bool, order: str, machine: int, abi: int, size: int, segment: int) -> bytes:
    identity = bytes((0x7F, *b"ELF", 2 if wide else 1, 1 if order == "<" else 2, 1, abi)) + bytes(8)
    form = order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    return identity + struct.pack(form, 3, machine, 1, 0, size, 0, 0, size, segment, 2, 0, 0, 0)


def _segment(wide: bool, order: str, kind: int, offset: int, size: int) -> bytes:
    if wide:
        return struct.pack(order + "IIQQQQQQ", kind, 5, offset, ADDRESS + offset, 0, size, size, 8)
    return struct.pack(order + "IIIIIIII", kind, offset, ADDRESS + offset, 0, size, size, 5, 4)
