"""What a failed step said, made safe to read and to show, and the lines of the repository that it may be about."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING

from builder.failures.built import Line
from builder.transcript import ASIDES, printable
from detectors.failures import BuildError
from detectors.plan import Plan
from detectors.source import Source, read

if TYPE_CHECKING:
    from detectors.gpu import Named

MAX_LINES = 2_000
MAX_COLUMNS = 2_000
"""How much of a log is read, from its end, and of each line, from its beginning."""

MAX_SHOWN = 200
"""Characters of a line that are shown."""

MAX_ASKED = 5
"""Lines of the repository that an explanation shows for one package."""


class Asked:
    """Which lines of a repository name a package. Knows none where there is no plan, as for a log alone."""

    def __init__(self, plan: Plan | None = None, source: Source | None = None) -> None:
        self.plan = plan
        self._source = source

    def lines(self, name: str, specifier: str = "") -> tuple[Line, ...]:
        """The lines that ask for a package, in their order; those with this specifier alone, where there are any."""
        found = [named for named in self._named if canonical(named.name) == canonical(name)]
        exact = [named for named in found if specifier and _packed(named.specifier) == _packed(specifier)]
        places = dict.fromkeys(named.location for named in exact or found)
        return tuple(self.at(place.path, place.line) for place in places)[:MAX_ASKED]

    def holding(self, text: str) -> tuple[Line, ...]:
        """The first line of the environment file in which a text stands by itself."""
        alone = re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])")
        for path, content in self.files():
            for number, line in enumerate(content.split("\n"), 1):
                if alone.search(line):
                    return (self.at(path, number),)
        return ()

    def giving(self, path: str, key: str, text: str) -> tuple[Line, ...]:
        """The first line of a file that begins with a key and holds a text."""
        try:
            lines = (read(self._source, path) or "").split("\n") if self._source else []
        except BuildError:  # a path out of a log may be any
            return ()
        found = (number for number, line in enumerate(lines, 1) if line.lstrip().startswith(key) and text in line)
        return tuple(self.at(path, number) for number in found)[:1]

    def beside(self, path: str) -> tuple[str, ...]:
        """The names of files in the directory of a path."""
        entries = self._source.list(posixpath.dirname(path)) if self._source else ()
        return tuple(posixpath.basename(entry.path) for entry in entries if entry.kind == "file")

    def packages(self, name: str) -> tuple[Line, ...]:
        """The line of apt.txt that names a Debian package."""
        lines = (read(self._source, self.apt) or "").split("\n") if self._source and self.plan else []
        named = (number for number, line in enumerate(lines, 1) if name in line.partition("#")[0].split())
        return tuple(self.at(self.apt, number) for number in named)[:1]

    def at(self, path: str, number: int) -> Line:
        """A line of the repository by its number."""
        content = (read(self._source, path) or "").split("\n") if self._source else []
        text = content[number - 1].strip() if 0 < number <= len(content) else ""
        return Line(path, number, printable(text)[:MAX_SHOWN])

    def files(self) -> Iterator[tuple[str, str]]:
        """The paths and texts of the files that the plan was made from."""
        if self.plan is None or self._source is None:
            return
        for file in self.plan.files:
            yield file.path, read(self._source, file.path) or ""

    @property
    def has_indexes(self) -> bool:
        """Whether the repository itself says where packages come from, so that no other index has the last word."""
        return any(w.code == "index-from-repository" for w in (self.plan.warnings if self.plan else ()))

    @property
    def strategy(self) -> str:
        return self.plan.strategy if self.plan else ""

    @property
    def python_origin(self) -> str:
        """Where the plan's Python comes from."""
        return self.plan.python.origin if self.plan else ""

    @property
    def day(self) -> str:
        """The past day whose versions are asked for; empty for today's."""
        return str((self.plan and self.plan.inputs.get("as_of")) or "")[:10]

    @property
    def system_packages(self) -> tuple[str, ...]:
        """What apt.txt lists."""
        return self.plan.system_packages if self.plan else ()

    @property
    def package(self) -> str:
        """The directory of the repository's own package."""
        return self.plan.package.path if self.plan and self.plan.package else ""

    @property
    def apt(self) -> str:
        """Where this repository's apt.txt is, or would be."""
        beside = self.plan.files[0].path if self.plan and self.plan.files else ""
        return posixpath.join(posixpath.dirname(beside), "apt.txt")

    @cached_property
    def _named(self) -> tuple[Named, ...]:
        if self.plan is None or self._source is None:
            return ()
        detector = import_module(f"detectors.{self.plan.strategy}")
        try:
            named: tuple[Named, ...] = detector.asked(self._source, self.plan)
        except BuildError:  # what could be read for the plan cannot be any more: the failure itself still counts
            return ()
        return named


@dataclass(frozen=True)
class Said:
    """A failed step and its last lines, without what steers a terminal."""

    step: str
    """In a reader's words."""
    stage: str
    """As the engine names it."""
    message: str
    lines: tuple[str, ...]
    python: str
    """Major and minor, or what an environment.yml says."""
    asked: Asked
    asides: tuple[str, ...] = ()
    """The lines that tools print for what reads this, and that nobody is shown."""

    @cached_property
    def text(self) -> str:
        return "\n".join(self.lines)

    @cached_property
    def minor(self) -> str:
        """Major and minor of the Python that the tools saw, else of the plan."""
        seen = re.search(r"current Python version \((\d+\.\d+)", self.text) or re.match(r"\D*(\d+\.\d+)", self.python)
        return seen[1] if seen else ""

    def line(self, pattern: str) -> str:
        """The first line that a pattern is found in, cut short."""
        found = (line.strip() for line in self.lines if re.search(pattern, line, re.IGNORECASE))
        return next(found, "")[:300]


def readable(lines: Iterable[str]) -> tuple[str, ...]:
    """The last lines of a log, of bounded length, without control characters and escape sequences."""
    return tuple(printable(line[:MAX_COLUMNS].rstrip("\r\n")) for line in list(lines)[-MAX_LINES:])


def is_aside(line: str) -> bool:
    return line.lstrip().startswith(ASIDES)


def release(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with: (1, 26, 4) of "1.26.4rc1"; none where it begins with another word."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return tuple(int(number[:18]) for number in found[0].split(".")) if found else ()


def canonical(name: str) -> str:
    """A name as indexes compare it: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def _packed(specifier: str) -> frozenset[str]:
    return frozenset(specifier.replace(" ", "").split(","))
