"""What a package says that could not be built from its source: the compiler's, pkg-config's, its own words."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

from builder.failures.built import (
    BuildModuleMissing,
    BuildNeeds,
    HashMismatch,
    Line,
    OwnBuildNeeds,
    OwnPackageUnclear,
    OwnReadmeAbsent,
    PackageNotFound,
    SourceBroken,
    Wheels,
)
from builder.recognition import debian, machine
from builder.recognition.index import facts
from builder.recognition.names import distribution, part_of
from builder.recognition.said import MAX_SHOWN, Said, canonical
from detectors.python import SUPPORTED

MAX_READ = 400
"""Characters of a line in which something known is looked for; compilers' command lines are longer."""

SHOWN = 20
"""Lines of a build that are shown where it says nothing that is known."""

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_UV = re.compile(rf"Failed to (?:download and )?build `({_NAME})(?:==([^`\s]+)| @ [^`]*)?`")
_PIP = re.compile(
    rf"Failed to build (?:installable wheels for .*?)?['(]?(?!file:)({_NAME})['),]?|Failed building wheel for ({_NAME})"
)
_SOURCE = re.compile(r"\s*(?:Downloading|Using cached) (\S+)-([0-9][\w.!+]*)\.(?:tar\.gz|zip)\b")
"""Where pip names the version of what it fails to build, and nowhere else."""
_LOCAL = re.compile(r"Failed to build ['`](?:[\w.-]+ @ )?file:///work(?:-package)?/?([^'`]*)['`]")
_SUBPROCESS = "error: subprocess-exited-with-error"
"""What pip writes above what a build said; which package it was, it says below."""
_ANOTHER = "uv finds no answer"
_BACKEND = "The build backend returned an error"
_MISTAKEN = re.compile(rf"^hint: `({_NAME})` is often confused for `({_NAME})`")

_HEADER = re.compile(r"fatal error: '?([\w.+/-]+)'?(?:: No such file or directory| file not found)")
_PROGRAM = (
    re.compile(r"(?:FileNotFoundError|\[Errno 2\]).*No such file or directory: '([A-Za-z0-9+_-]+)'"),
    re.compile(r"(?:/bin/)?sh: (?:line )?\d+: ([\w.+-]+): (?:command )?not found"),
    re.compile(r"error: command '([\w.+-]+)' failed: No such file or directory"),
    re.compile(r"\b([\w-]+[-_]config)(?: executable)? (?:was )?not found"),
    re.compile(r"Could(?: not|n't) (?:find|run) ([\w-]+[-_]config)\b"),
    re.compile(r"Program '?([\w.+-]+)'?(?: .*)? found: NO"),
    re.compile(r"\b(proj) executable not found|(xmlsec1) is not installed|(R) in the PATH"),
)
_MODULE = (
    re.compile(r"Package '?([\w.+-]+)'?,? .*?(?:was )?not found"),
    re.compile(r"No package '([\w.+-]+)' found"),
    re.compile(r"ERROR: Dependency \"([\w.+-]+)\" not found"),
    re.compile(r"'?pkg-config'?.*'([\w.-]+)(?: >= [\d.]+)?'\]?\)?' returned non-zero exit status"),
    re.compile(r"Command 'pkg-config --exists ([\w.+-]+)' returned non-zero"),
)
_LIBRARY = (
    re.compile(r"Could NOT find (\w+)"),
    re.compile(r"package configuration file provided by \"(\w+)\""),
    re.compile(r"cannot find -l([\w.+-]+)"),
    re.compile(r"Could not find library (\w+)"),
    re.compile(r"(lib[\w+-]+\.so)[\w.]*: cannot open shared object file"),
    re.compile(r"headers or library files could not be found for (\w+)"),
    re.compile(r"Unable to load dependency (HDF5)|did not find (HDF5) headers"),
    re.compile(r"make sure the (libxml2) and libxslt development packages"),
)
_RUST = re.compile(
    r"can't find Rust compiler|requires Rust\b|Rust toolchain|[Cc]argo, the Rust package manager, is not installed"
    r"|No such file or directory: '(?:cargo|rustc)'|`?(?:cargo|rustc)`? (?:is )?not (?:found|installed)"
)
_PYTHON_MODULE = re.compile(r"^\s*ModuleNotFoundError: No module named '([\w.]+)'")

_UNCLEAR = {
    "poetry": r"No file/folder found for package ",
    "setuptools": r"Multiple top-level (?:packages|modules) discovered in a flat-layout",
    "hatchling": r"Unable to determine which files to ship inside the wheel",
}
"""What a build backend says that cannot tell which files are the package."""

_README = (
    re.compile(r"Readme path `([^`]+)` does not exist"),
    re.compile(r"Readme file does not exist: (\S+)"),
    re.compile(r"Description file (\S+) does not exist"),
    re.compile(r"Readme file not found \('([^']+)'\)"),
    re.compile(r"FileNotFoundError: \[Errno 2\] No such file or directory: '((?:[^']*/)?readme[^'/]*)'", re.IGNORECASE),
)
"""What poetry-core, hatchling, flit-core and pdm-backend say where there is no such file, and what a setup.py does."""

_WITH_WHEELS = {"psycopg2": "psycopg2-binary"}
"""Packages whose authors publish the same, compiled, under another name."""


def recognise(said: Said) -> object | None:
    """The failure of a package that was built from its source, None where none was."""
    if not any(map(_starts, said.lines)):
        return None
    if found := _LOCAL.search(said.text):
        return _of_repository(found, said)
    if not any("Call to `" in line for line in said.lines) and (unreachable := machine.index(said)):
        return unreachable  # it never came to the build: its source could not be fetched
    name, version, asked, wheels = _package(said)
    if mismatch := next((n for n, line in enumerate(said.lines) if "Hash mismatch for " in line), None):
        hashes = tuple(line.strip() for line in said.lines[mismatch + 1 : mismatch + 12] if line.strip())[:5]
        return HashMismatch(name, version, hashes, asked)
    if found := next(filter(None, map(_MISTAKEN.match, said.lines)), None):
        return PackageNotFound(found[1], instead=found[2], exists=True, asked=said.asked.lines(found[1]) or asked)
    lines = _tool(said.lines)
    if (instead := distribution(name)) and re.search(rf"\b{re.escape(instead)}\b", "\n".join(lines)):
        return PackageNotFound(name, instead=instead, exists=True, asked=asked)
    if missing := _missing(lines):
        return _needs(name, version, missing, said, asked, wheels)
    if module := _module(lines):
        return BuildModuleMissing(name, version, module, said.minor, asked, wheels)
    return SourceBroken(name, version, said.minor, _shown(lines), asked=asked, wheels=wheels)


def _starts(line: str) -> bool:
    return bool(_BACKEND in line or _SUBPROCESS in line or _UV.search(line) or _PIP.search(line) or _LOCAL.search(line))


def _of_repository(local: re.Match[str], said: Said) -> object:
    """The failure of a package that the repository itself holds."""
    path = local[1] or "."
    lines = _tool(said.lines)
    if found := next(filter(None, (pattern.search(line) for line in lines for pattern in _README)), None):
        own = said.asked.package if "/work-package" in local[0] else ""
        return _without_readme(path, posixpath.join(own, local[1]), found[1], said)
    if missing := _missing(lines):
        return _needs(path, "", missing, said, (), None)
    for backend, words in _UNCLEAR.items():
        if unclear := said.line(words):
            return OwnPackageUnclear(path, backend, unclear)
    module = _module(lines)
    if module and not part_of(module):
        return OwnBuildNeeds(path, module, distribution(module) or module)
    return SourceBroken(path, "", said.minor, _shown(_first_tool(said.lines)), said.step)


def _without_readme(path: str, directory: str, named: str, said: Said) -> OwnReadmeAbsent:
    within = re.sub(r"^/work(?:-package)?/", "", named)
    readme = within if named.startswith("/work/") else posixpath.join(directory, within)
    name = posixpath.basename(readme)
    asked = said.asked.giving(posixpath.join(directory, "pyproject.toml"), "readme", name)
    near = (other for other in said.asked.beside(readme) if other.lower().startswith("readme") and other != name)
    return OwnReadmeAbsent(path, readme, asked, next(near, ""))


def _package(said: Said) -> tuple[str, str, tuple[Line, ...], Wheels | None]:
    """The innermost package that was being built; the lines that ask for it or for what brings it, and its wheels."""
    built = [(found[1], found[2] or "") for line in said.lines if (found := _UV.search(line))]
    if not built:
        found = _PIP.search(said.text)
        name = (found[1] or found[2]) if found else ""
        built = [(name, _version(name, said))]
    asked = next((package for package in reversed(built) if said.asked.lines(package[0])), built[-1])
    return *built[-1], said.asked.lines(asked[0]), _wheels(*asked, said)


def _version(name: str, said: Said) -> str:
    """The version of the source that pip has taken last; empty where it does not say."""
    sources = [(found[1].rpartition("/")[2], found[2]) for found in map(_SOURCE.match, said.lines) if found]
    return next((version for source, version in reversed(sources) if canonical(source) == canonical(name)), "")


def _wheels(name: str, version: str, said: Said) -> Wheels | None:
    """What the index said of a version that had to be built; None where it was not asked."""
    known = facts(said, name)
    if known is None or known.built is None or known.built.version != version:
        return None
    pythons = tuple(minor for minor in SUPPORTED if minor in known.built.pythons)
    return Wheels(
        name, version, known.built.pythons, pythons, known.built.nearest, said.minor,
        strategy=said.asked.strategy, python_origin=said.asked.python_origin, day=said.asked.day,
    )  # fmt: skip


def _first_tool(lines: Iterable[str]) -> tuple[str, ...]:
    """All that was said before another tool was asked: a build may speak past the tool that runs it."""
    return tuple(line[:MAX_READ] for line in takewhile(lambda line: not line.startswith(_ANOTHER), lines))


def _tool(lines: Iterable[str]) -> tuple[str, ...]:
    """What the failing build said: from the first word of it to where another tool was asked after it."""
    inside = False
    said = []
    for line in lines:
        inside = inside or _starts(line)
        if inside and line.startswith(_ANOTHER):
            break
        if inside and not line.startswith("hint: "):
            said.append(line.removeprefix(" " * 9)[:MAX_READ])
    return tuple(said)


@dataclass(frozen=True, slots=True)
class _Missing:
    kind: str
    thing: str


def _missing(lines: Iterable[str]) -> list[_Missing]:
    """What the build looked for in vain; programs and headers before libraries, which are often but an option."""
    found: dict[_Missing, None] = {}
    libraries: dict[_Missing, None] = {}
    for line in lines:
        if _RUST.search(line):
            found[_Missing("compiler", "Rust")] = None
        if match := _HEADER.search(line):
            found[_Missing("header", match[1])] = None
        for match in filter(None, (pattern.search(line) for pattern in _PROGRAM)):
            found[_Missing("program", next(filter(None, match.groups())))] = None
        for match in filter(None, (pattern.search(line) for pattern in _MODULE)):
            found[_Missing("library", match[1])] = None
        for match in filter(None, (pattern.search(line) for pattern in _LIBRARY)):
            libraries[_Missing("library", next(filter(None, match.groups())))] = None
    order = ("compiler", "header", "program", "library")
    return sorted(found or libraries, key=lambda missing: order.index(missing.kind))


def _module(lines: Iterable[str]) -> str:
    """The package of the Python module that was missing last; empty where none was."""
    modules = [found[1] for line in lines if (found := _PYTHON_MODULE.match(line))]
    return modules[-1].partition(".")[0] if modules else ""


def _needs(
    name: str, version: str, missing: list[_Missing], said: Said, asked: tuple[Line, ...], wheels: Wheels | None
) -> BuildNeeds:
    known = [m for m in missing if debian.packages(m.thing)]
    first = (known or missing)[0]
    packages = dict.fromkeys(package for m in known for package in debian.packages(m.thing))
    listed = said.asked.system_packages
    return BuildNeeds(
        name,
        version,
        said.minor,
        first.kind,
        first.thing,
        packages=tuple(package for package in packages if package not in listed)[:4],
        apt=said.asked.apt,
        apt_exists=bool(listed),
        instead=_WITH_WHEELS.get(canonical(name), ""),
        asked=asked,
        wheels=wheels,
    )


def _shown(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The last words of the build itself."""
    return tuple(line[:MAX_SHOWN] for line in lines if line.strip())[-SHOWN:]
