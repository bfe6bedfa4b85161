"""A resolver's report as edges between packages, and the failure that they come to.

uv and Poetry print the same kind of proof (https://github.com/dart-lang/pub/blob/master/doc/solver.md), in
words of their own; both are read into a Report here. Forms: uv 0.13, Poetry 1.8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from builder.failures.built import (
    Conflict,
    Line,
    NoneForPlatform,
    NoneForPython,
    NotYetPublished,
    NoVersion,
    PackageNotFound,
    Side,
    Yanked,
)
from builder.recognition.index import facts
from builder.recognition.names import distribution, is_known, nearest, part_of
from builder.recognition.said import Said, canonical

YOU = ""
"""The one who requires what the repository asks for."""

MAX_SENTENCES = 12
MAX_EDGES = 200


@dataclass(frozen=True, slots=True)
class Edge:
    """A package needs another; of `parent` YOU, the repository does."""

    parent: str
    name: str
    specifier: str


@dataclass(slots=True)
class Report:
    """What a resolver said of why there is no answer."""

    sentences: tuple[str, ...]
    edges: list[Edge] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    """Packages of which no version fits."""
    yanked: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, version, reason)"""
    pythons: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, versions, what they need of Python)"""
    tags: list[tuple[str, str, str]] = field(default_factory=list)
    """(name, versions, "python" or "platform") of wheels that are for others."""

    def root(self) -> None:
        """Name whoever nobody needs as the repository: it goes by the project's name, or by "you"."""
        needed = {canonical(edge.name) for edge in self.edges}
        self.edges = [Edge(YOU, e.name, e.specifier) if canonical(e.parent) not in needed else e for e in self.edges]


def failure(report: Report, said: Said) -> object:
    """What a report comes to, with the lines of the repository and what is known of the index."""
    if report.absent:
        return absent(report.absent[0], said, _way(report, report.absent[0]))
    if conflict := _conflict(report, said):
        return conflict
    if report.yanked:
        return _yanked(report.yanked[0][0], report, said, tuple((v, r) for _, v, r in reversed(report.yanked)))
    if report.pythons:
        name = report.pythons[-1][0]
        needs = tuple((v, need) for n, v, need in reversed(report.pythons) if n == name)
        return _none_for_python(name, report, said, needs)
    if report.tags:
        return _other_tags(report, said)
    if report.unavailable:
        return _no_version(report.unavailable[0], report, said)
    return Conflict(report.sentences[:MAX_SENTENCES])


def absent(name: str, said: Said, way: tuple[str, ...] = ()) -> PackageNotFound:
    """A package that no index has, with what its author may have meant."""
    asked = said.asked.lines(name) or _asked_by(way, said)
    brought_by = part_of(name)
    instead = distribution(name) or (_of_module(asked[0].text) if asked and not brought_by else "")
    return PackageNotFound(
        name,
        near=() if instead or brought_by else nearest(name),
        instead=instead,
        part_of=brought_by,
        asked=asked,
        way=way if len(way) > 1 else (),
    )


def _of_module(text: str) -> str:
    """The package of a line that names a module in it, as in "matplotlib.pyplot"."""
    found = re.fullmatch(r"(?:- )?([A-Za-z_]\w*)(?:\.[A-Za-z_]\w*)+", text)
    package = (distribution(found[1]) or found[1]) if found else ""
    return package if is_known(package) else ""


def _no_version(name: str, report: Report, said: Said) -> object:
    """Poetry says the same of a package that is not there, of yanked versions, and of ones for other Pythons."""
    known = facts(said, name)
    way = _way(report, name)
    specifier = _specifier(report, name)
    if known and known.absent and not said.asked.has_indexes:
        return absent(name, said, way)
    if later := said.line(rf"hint: `{re.escape(name)}` was filtered by `exclude-newer`"):
        return _not_yet(name, specifier, later, report, said)
    if known:
        fitting = [other for other in known.others if _fits(other.version, specifier)]
        if yanked := tuple((other.version, other.yanked) for other in fitting if other.yanked is not None):
            return _yanked(name, report, said, yanked)
        if needs := tuple((other.version, other.python) for other in fitting if other.python):
            return _none_for_python(name, report, said, needs)
    return NoVersion(
        name,
        specifier,
        said.minor,
        known.versions if known else (),
        asked=said.asked.lines(name) or _asked_by(way, said),
        way=way if len(way) > 1 else (),
        near=() if known and not known.absent else nearest(name),
        series=known.series if known else (),
    )


def _not_yet(name: str, specifier: str, hint: str, report: Report, said: Said) -> NotYetPublished:
    day = re.search(r"uploaded before (\d{4}-\d\d-\d\d)", hint)
    published = re.search(r"version[\w ]*,? v(\S+?),.* published at (\d{4}-\d\d-\d\d)", hint)
    known = facts(said, name) if published else None
    way = _way(report, name)
    return NotYetPublished(
        name,
        specifier,
        day[1] if day else "",
        newest=published[1] if published else "",
        published=published[2] if published else "",
        available=known.versions if known else (),
        asked=said.asked.lines(name) or _asked_by(way, said),
        way=way if len(way) > 1 else (),
    )


def _yanked(name: str, report: Report, said: Said, versions: tuple[tuple[str, str], ...]) -> Yanked:
    known = facts(said, name)
    way = _way(report, name)
    return Yanked(
        name,
        _specifier(report, name),
        versions[:5],
        known.versions if known else (),
        said.asked.lines(name) or _asked_by(way, said),
        way if len(way) > 1 else (),
    )


def _none_for_python(name: str, report: Report, said: Said, needs: tuple[tuple[str, str], ...]) -> NoneForPython:
    known = facts(said, name)
    way = _way(report, name)
    specifier = _specifier(report, name)
    stated = tuple(need for need in (known.needs if known else ()) if _fits(need[0], specifier)) or needs
    return NoneForPython(
        name,
        specifier,
        said.minor,
        needs=stated[:5],
        pythons=pythons(need for _, need in needs),
        available=known.versions if known else (),
        asked=said.asked.lines(name) or _asked_by(way, said),
        way=way if len(way) > 1 else (),
        strategy=said.asked.strategy,
        python_origin=said.asked.python_origin,
    )


def _other_tags(report: Report, said: Said) -> object:
    name, versions, kind = report.tags[0]
    way = _way(report, name)
    asked = said.asked.lines(name) or _asked_by(way, said)
    hint = said.line(rf"hint: .*`{re.escape(name)}`.* following ")
    tags = tuple(dict.fromkeys(re.findall(r"`([\w.]+)`", hint.partition(" following ")[2])))
    if kind == "platform":
        return NoneForPlatform(name, versions, tags, asked)
    known = facts(said, name)
    if known and known.others and not known.versions and all(other.platforms for other in known.others):
        return NoneForPlatform(name, versions, known.others[0].platforms, asked)
    minors = (re.fullmatch(r"cp(\d)(\d+)[a-z]*", tag) for tag in tags)
    needs = tuple(dict.fromkeys(f"{found[1]}.{found[2]}" for found in minors if found))
    failed = _none_for_python(name, report, said, ((versions.removeprefix("=="), " or ".join(needs)),))
    return failed if needs else NoVersion(name, versions, said.minor, (), asked=asked)


def _conflict(report: Report, said: Said) -> Conflict | None:
    """The package that two others, or the repository twice, need in versions that have nothing in common."""
    best: list[Edge] = []
    for name in dict.fromkeys(canonical(edge.name) for edge in report.edges):
        found = {
            (e.parent, e.specifier if e.parent == YOU else ""): e for e in report.edges if canonical(e.name) == name
        }
        edges = list(found.values())
        if name != "python" and len({e.specifier for e in edges}) > 1 and len(edges) > len(best):
            best = edges
    if len(best) < 2:
        return None
    sides = in_order(_side(edge, report, said) for edge in best[:4])
    return Conflict(report.sentences[:MAX_SENTENCES], best[0].name, sides)


def in_order(sides: Iterable[Side]) -> tuple[Side, ...]:
    """Sides of a conflict by the lines that ask; first those of which no line is known."""
    return tuple(sorted(sides, key=lambda side: (side.line.path, side.line.line) if side.line else ("", 0)))


def _side(edge: Edge, report: Report, said: Said) -> Side:
    way = (*_way(report, edge.parent), _written(edge)) if edge.parent else (_written(edge),)
    lines = _asked_by(way, said)
    return Side(way, edge.specifier, lines[0] if lines else None)


def _way(report: Report, name: str) -> tuple[str, ...]:
    """How the repository comes to need a package: ("orbits", "gravity==1.0"); the first way that is found."""
    reached: dict[str, tuple[str, ...]] = {YOU: ()}
    waiting = [YOU]
    for parent in waiting:
        for edge in report.edges:
            if canonical(edge.parent) == parent and canonical(edge.name) not in reached:
                reached[canonical(edge.name)] = (*reached[parent], _written(edge))
                waiting.append(canonical(edge.name))
    return reached.get(canonical(name), (name,))


def _asked_by(way: tuple[str, ...], said: Said) -> tuple[Line, ...]:
    """The lines of the repository that a way begins with."""
    found = re.match(r"([A-Za-z0-9](?:[\w.-]*\w)?)(.*)", way[0]) if way else None
    return said.asked.lines(found[1], found[2]) if found else ()


def _written(edge: Edge) -> str:
    """A requirement as people write it: "moon>=2", "tides 1.0", "orbits" for any version of it."""
    between = "" if edge.specifier[:1] in "<>=!~" else " "
    return edge.name if edge.specifier == "*" else f"{edge.name}{between}{edge.specifier}"


def _specifier(report: Report, name: str) -> str:
    return next((e.specifier for e in report.edges if canonical(e.name) == canonical(name)), "")


def pythons(needs: Iterable[str]) -> tuple[str, ...]:
    """Of the Pythons that are built with, those that any of the needs allows."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    from detectors.python import LATE_PATCH, SUPPORTED

    allowed: set[str] = set()
    for need in needs:
        for part in need.split(" or "):
            try:
                specifiers = SpecifierSet(f"=={part}.*" if part[:1].isdigit() else part)
            except InvalidSpecifier:
                continue
            allowed |= {minor for minor in SUPPORTED if specifiers.contains(f"{minor}.{LATE_PATCH}")}
    return tuple(minor for minor in SUPPORTED if minor in allowed)


def _fits(version: str, specifier: str) -> bool:
    """Whether a version is one of those asked for, in a standard specifier or one of Poetry's."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    from detectors import constraint

    try:
        parsed = Version(version)
        return SpecifierSet(specifier).contains(parsed, prereleases=True)
    except InvalidVersion:
        return False
    except InvalidSpecifier:
        pass
    try:
        admits = constraint.parse(specifier)
    except ValueError:
        return False
    return admits((*parsed.release, 0, 0)[:3])  # type: ignore[arg-type]
