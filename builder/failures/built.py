"""Failures that a build meets."""

from __future__ import annotations

import re
from typing import NamedTuple


class BaseUnavailable(NamedTuple):
    reference: str
    detail: str


class StepFailed(NamedTuple):
    """A build step ended with an error that nothing here recognises."""

    step: str
    exit_code: int | None
    lines: tuple[str, ...]
    """Its last lines, as they were printed."""


class StepNotStarted(NamedTuple):
    """The engine could not start a step, so nothing of it ran."""

    step: str
    detail: str


class Line(NamedTuple):
    """A line of the repository that asks for something, as it was written."""

    path: str
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"

    def changed(self, old: str, new: str) -> str:
        """What to make of it: a sentence with the whole line, where it holds the old text; else with the new text."""
        if old and old in self.text:
            return f"Change {self.place} to: {self.text.replace(old, new, 1)}"
        return f"Change {self.place} to ask for {new}."

    def replaced(self, name: str, other: str) -> str:
        """The same with another package, in any version: those that were asked for are the first one's."""
        quoted = re.escape(name)
        text, found = re.subn(
            rf"(?<![\w-]){quoted}(?:\s*[=<>!~][=<>!~]+[^\s;\"']+)?(?![\w-])", other, self.text, count=1
        )
        text = re.sub(rf'^({re.escape(other)}\s*=\s*)"[^"]*"', r'\1"*"', text)
        return f"Change {self.place} to: {text}" if found else f"Change {self.place} to ask for {other}."


class PackageNotFound(NamedTuple):
    """The index or the channels have no package of this name."""

    name: str
    places: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    """Well-known names that look like it, the nearest first."""
    instead: str = ""
    """The package that is meant, where the name is known for being mistaken for it."""
    exists: bool = False
    """There is a package of this name, and it is another one, or only says that it is not the one that is meant."""
    part_of: str = ""
    """What brings it instead, such as Python."""
    asked: tuple[Line, ...] = ()
    way: tuple[str, ...] = ()
    """How the repository comes to need it, when it does not ask itself: ("orbits", "gravity==1.0")."""


class NoVersion(NamedTuple):
    """No version of a package fits what was asked, on this Python."""

    name: str
    specifier: str
    python: str
    available: tuple[str, ...]
    """Newest first, at most five."""
    asked: tuple[Line, ...] = ()
    way: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    """Names that look like it, where it is not known whether there is such a package at all."""
    series: tuple[str, ...] = ()
    """The newest version of each 1.x, as far as they are known."""


class NotYetPublished(NamedTuple):
    """Versions of a past day were asked for, and by what the index says none that fits was there."""

    name: str
    specifier: str
    day: str
    """What was published before it counts: "2021-06-01"."""
    newest: str = ""
    """The newest version that fits."""
    published: str = ""
    """The day of its publication; both are "" where the index does not say when that was."""
    available: tuple[str, ...] = ()
    """Versions that were there, newest first, at most five."""
    asked: tuple[Line, ...] = ()
    way: tuple[str, ...] = ()


class NoneForPython(NamedTuple):
    """The versions that fit are made for other Pythons."""

    name: str
    specifier: str
    python: str
    needs: tuple[tuple[str, str], ...]
    """(version or versions, what they need of Python), newest first, at most five."""
    pythons: tuple[str, ...] = ()
    """Of those that are built with, the ones that have a version."""
    available: tuple[str, ...] = ()
    """Versions for this Python, newest first, at most five."""
    asked: tuple[Line, ...] = ()
    way: tuple[str, ...] = ()
    strategy: str = ""
    python_origin: str = ""


class PythonsTooWide(NamedTuple):
    """Versions fit the Python that is built with, and none fits every Python that the project allows."""

    name: str
    specifier: str
    python: str
    """The one that is built with; empty where only a log is known."""
    needs: tuple[tuple[str, str], ...]
    """(version, what it needs of Python), newest first, at most five."""
    instead: str
    """What the project could allow, in Poetry's words: ">=3.10,<4.0"."""
    asked: tuple[Line, ...] = ()
    stated: Line | None = None
    """The line that says which Pythons the project allows, and"""
    allowed: str = ""
    """which those are."""


class NoneForPlatform(NamedTuple):
    """The versions that fit are made for other operating systems or processors."""

    name: str
    specifier: str
    platforms: tuple[str, ...]
    asked: tuple[Line, ...] = ()


class Yanked(NamedTuple):
    """Every version that fits was withdrawn by its authors."""

    name: str
    specifier: str
    versions: tuple[tuple[str, str], ...]
    """(version, the reason that was given)."""
    available: tuple[str, ...] = ()
    asked: tuple[Line, ...] = ()
    way: tuple[str, ...] = ()


class Side(NamedTuple):
    """One of the requirements of a conflict."""

    way: tuple[str, ...]
    """From what is asked for to what is in conflict: ("orbits", "gravity==1.0", "moon>=2")."""
    specifier: str
    """What it wants of that."""
    line: Line | None = None


class Conflict(NamedTuple):
    """Requirements that cannot all be met; the solver's own chains, and what they come to where that is clear."""

    lines: tuple[str, ...]
    on: str = ""
    """The package that is needed in two versions at once."""
    sides: tuple[Side, ...] = ()


class Wheels(NamedTuple):
    """A version without a wheel for the Python that is built with: where it has one, and which version does."""

    name: str
    version: str
    made_for: tuple[str, ...]
    """The Pythons for which it has one."""
    pythons: tuple[str, ...]
    """Of those that are built with, the same."""
    nearest: str
    """The next version with a wheel for this Python, or the last before; empty where there is none."""
    python: str
    strategy: str
    python_origin: str
    day: str = ""
    """Versions of a past day were asked for, and none that came later is known: "2019-06-01"."""


class BuildNeeds(NamedTuple):
    """A package has no wheel here, and its source needs something of the system that is missing."""

    name: str
    version: str
    python: str
    kind: str
    """ "header", "program", "library" or "compiler"."""
    thing: str
    packages: tuple[str, ...]
    """Debian packages that have it; empty where that is not known."""
    apt: str = "apt.txt"
    apt_exists: bool = False
    instead: str = ""
    """The same package, compiled, under another name."""
    asked: tuple[Line, ...] = ()
    wheels: Wheels | None = None


class BuildModuleMissing(NamedTuple):
    """A package's source needs a Python module to be built that it does not ask for."""

    name: str
    version: str
    module: str
    python: str
    asked: tuple[Line, ...] = ()
    wheels: Wheels | None = None


class SourceBroken(NamedTuple):
    """A package has no wheel here, and its source could not be built for a reason that nothing here recognises."""

    name: str
    version: str
    python: str
    lines: tuple[str, ...]
    """The build's last lines, as they were printed."""
    step: str = ""
    """Of a package of the repository itself, whose name is its path: the step in which it was built."""
    asked: tuple[Line, ...] = ()
    wheels: Wheels | None = None


class OwnPackageUnclear(NamedTuple):
    """The repository's own package does not say which of its files are the package."""

    path: str
    backend: str
    """ "poetry", "setuptools" or "hatchling"."""
    said: str


class OwnBuildNeeds(NamedTuple):
    """The build of the repository's own package imports what it does not ask for."""

    path: str
    module: str
    package: str
    """What brings it, most likely."""


class OwnReadmeAbsent(NamedTuple):
    """The repository's own package names a file as its description that the repository does not hold."""

    path: str
    readme: str
    """Its path in the repository."""
    asked: tuple[Line, ...] = ()
    near: str = ""
    """The name of a readme that is there instead."""


class ProgramMissing(NamedTuple):
    """A script calls a program that is not there."""

    program: str
    said: str
    packages: tuple[str, ...]
    """Debian packages that have it; empty where that is not known."""
    apt: str = "apt.txt"
    apt_exists: bool = False


class ModuleMissing(NamedTuple):
    """What ran imports a module that is not installed."""

    module: str
    package: str
    """What brings it, most likely."""
    file: str
    """Of the repository, the one that says what is installed; empty where that is not known."""


class NumpyTooNew(NamedTuple):
    """What was compiled for NumPy 1 is imported beside NumPy 2."""

    said: str
    asked: tuple[Line, ...] = ()


class HashMismatch(NamedTuple):
    """A file of the index that is not the one whose hash was written down."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """What the step said of the hashes: expected, then computed."""
    asked: tuple[Line, ...] = ()


class HashesIncomplete(NamedTuple):
    """Some requirements say by a hash which file they are; pip wants that of all of them, and of what they need."""

    kind: str
    """ "absent", "unpinned" for what names no one version, "impossible" for what is no one file."""
    requirements: tuple[tuple[str, tuple[Line, ...]], ...]
    """(what is at fault, the lines that ask for it); of the kind "absent", as it should be, with its hash."""
    path: str
    """The requirements file."""


class GitRequirementAbsent(NamedTuple):
    """A requirement that lies in a git repository, which is not there or not public."""

    address: str
    asked: tuple[Line, ...] = ()


class DebianPackageAbsent(NamedTuple):
    """A package of apt.txt that Debian has not."""

    name: str
    apt: str
    """Where the list is."""
    asked: tuple[Line, ...] = ()


class PoetryUnreadable(NamedTuple):
    """A pyproject.toml that is TOML, and not what Poetry 1.8 takes."""

    problems: tuple[tuple[str, str], ...]
    """(a kind: "unknown", "type", "constraint" or "", Poetry's words) of each thing it does not take."""
    asked: tuple[Line, ...] = ()


class Demand(NamedTuple):
    """Something that an environment file, a default or an option asks for."""

    text: str
    """As it was understood: "numpy=1.26", "jsonschema==4.23.0"."""
    origin: str = ""
    """ "environment.yml:6", "default", "option --python"; empty where only a log is known."""


class ChannelsLack(NamedTuple):
    """Packages, or versions of them, that no channel has."""

    missing: tuple[tuple[Demand, tuple[str, ...], tuple[str, ...]], ...]
    """(what was asked, near names, versions that there are), the newest versions first."""
    channels: tuple[str, ...]
    specs: tuple[tuple[str, str], ...] = ()
    """(name, spec as it was asked for) of those of which only the name is above."""


class ExportedElsewhere(NamedTuple):
    """An environment file that conda has exported, with what the channels have for another system or no more."""

    path: str
    system: str
    """ "Windows" or "macOS"; empty where that is not known."""
    foreign: tuple[Demand, ...]
    """What that system alone has."""
    builds: tuple[Demand, ...]
    """Specs with builds, each a version made for one system."""


class Unsatisfiable(NamedTuple):
    """Specs of conda's that cannot be had together, each of them needed for that."""

    specs: tuple[Demand, ...]
    instead: tuple[tuple[str, str], ...]
    """(spec, the version that goes with all the others)."""
    lines: tuple[str, ...]
    """The solver's own words."""


class PipContradictsConda(NamedTuple):
    """The pip: list of an environment.yml asks for what the conda part rules out."""

    name: str
    installed: str
    """The version that conda installs."""
    conda: Demand
    pip: Demand
    wanted: str
    """What the pip part needs of the package: ">=22.2.0"."""


class ChannelAbsent(NamedTuple):
    """A channel's host answers, and has no such channel."""

    channel: Demand


class ChannelUnreachable(NamedTuple):
    channel: Demand
    detail: str


class LockStale(NamedTuple):
    """poetry.lock does not belong to its pyproject.toml and cannot be brought up to date."""

    lines: tuple[str, ...]


class IndexUnreachable(NamedTuple):
    detail: str
    """Address and reason, without credentials."""


class DiskFull(NamedTuple):
    step: str
    free: int | None = None
    """Bytes that were left when Launchyard ended the build; None where a program met the end of its disk."""
    floor: int = 0
    said: str = ""
    """The line in which a program said so."""
    own: str = ""
    """What of Launchyard's own found no room; of no step then."""


class OutOfMemory(NamedTuple):
    step: str
    said: str = ""
    """The line that said so, where there is one: what the kernel kills says nothing."""


class TimeExceeded(NamedTuple):
    step: str
    seconds: int
    setting: str
    lines: tuple[str, ...] = ()
    """The step's last words."""
