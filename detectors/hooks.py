"""What any strategy takes along: apt.txt, postBuild and start.

Format: https://repo2docker.readthedocs.io/en/latest/configuration/
"""

from __future__ import annotations

import re
from typing import NamedTuple

from detectors import slip
from detectors.failures import Location, invalid
from detectors.layout import Layout
from detectors.plan import FileRef
from detectors.source import MAX_TEXT, Source, file, read, refuse_pointer

NAMES = ("apt.txt", "postBuild", "start")

MAX_PACKAGES = 1_000
"""Debian packages; the longest lists seen have some 50."""

# https://www.debian.org/doc/debian-policy/ch-controlfields.html#source; apt takes a "-" at the end for "remove".
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.]")


_COMMAND = re.compile(r"(?:sudo\s+)?(?:apt|apt-get|aptitude)\s+(?:(?:-\S+|update|&&)\s+)*(?:add|install)\s+")

WINDOWS = "its line ends are those of Windows"


class Hooks(NamedTuple):
    """Debian packages, a script of the build, a script of the session's start."""

    system_packages: tuple[str, ...] = ()
    post_build: FileRef | None = None
    start: FileRef | None = None


def find(source: Source, layout: Layout) -> Hooks:
    """The hooks of a repository.

    Raises BuildError with FileInvalid for what is no Debian package name and for a script that Linux cannot start,
    NotAFile, or LfsPointer.
    """
    return Hooks(
        system_packages=_packages(source, layout.path("apt.txt")),
        post_build=_script(source, layout.path("postBuild")),
        start=_script(source, layout.path("start")),
    )


def _packages(source: Source, path: str) -> tuple[str, ...]:
    packages: dict[str, None] = {}
    for number, line in enumerate((read(source, path) or "").split("\n"), 1):
        text = line.partition("#")[0].strip()
        if command := _COMMAND.match(text):
            raise invalid(Location(path, number), "a Debian package", text, slip.COMMAND, _meant(text[command.end() :]))
        for name in text.split():
            if not _PACKAGE.fullmatch(name):
                problem = "lower-case letters, digits, + - and . only; no version"
                raise invalid(Location(path, number), "a Debian package", name, problem, _meant(text))
            packages[name] = None
            if len(packages) > MAX_PACKAGES:
                raise invalid(Location(path, number), "a list of Debian packages", name, f"more than {MAX_PACKAGES}")
    return tuple(packages)


def _meant(text: str) -> tuple[str, ...]:
    """The names in a line, without versions, commas and options; none where it holds anything else."""
    names = [re.split(r"[=:/<>(]", word)[0].lower() for word in re.split(r"[\s,;]+", text) if word[:1] not in ("", "-")]
    return tuple(names) if all(map(_PACKAGE.fullmatch, names)) and "ppa" not in names else ()


def _script(source: Source, path: str) -> FileRef | None:
    entry = file(source, path)
    if entry is None:
        return None
    first = (refuse_pointer(source, path, entry, MAX_TEXT) or b"").partition(b"\n")[0]
    if first.startswith(b"#!") and first.endswith(b"\r"):
        shown = first.decode(errors="replace").strip()
        raise invalid(Location(path, 1), "a script with line ends of Unix", shown, WINDOWS)
    return FileRef(path, entry.blob)
