"""The Debian package that has a header, a program or a library which the build of a Python package looks for.

debian.txt: a package a line, then what it has: headers, programs, pkg-config modules, libraries, names of CMake's
and Meson's. Source: the file lists of Debian 12 (bookworm). Compilers for C, C++ and Fortran, cmake, git and
pkg-config are in every build, and stand there for logs of other places.
"""

from __future__ import annotations

import posixpath
from functools import cache
from pathlib import Path

_ALSO = {
    "libxml2-dev": ("libxslt1-dev",),  # lxml looks for both and names one
    "libproj-dev": ("proj-bin",),
    "libldap2-dev": ("libsasl2-dev",),
    "libxmlsec1-dev": ("libxml2-dev",),
}
"""What whoever looks for the first needs as well."""


def packages(thing: str) -> tuple[str, ...]:
    """The Debian packages, lines of an apt.txt, for a missing thing; empty for one that is not known."""
    library = thing.removesuffix(".so").removeprefix("lib")
    for name in (thing, posixpath.basename(thing), library):
        if package := _table().get(name):
            return (package, *_ALSO.get(package, ()))
    return ()


@cache
def _table() -> dict[str, str]:
    lines = Path(__file__).with_name("debian.txt").read_text().splitlines()
    return {thing: package for package, *things in map(str.split, lines) for thing in things}
