"""Near misses: files that are not read, and that someone took for an environment."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Sequence

from detectors import pyproject
from detectors.failures import BuildError, one_line
from detectors.layout import Layout
from detectors.source import Entry, Source

WANTED = ("environment.yml", "environment.yaml", "requirements.txt", "pyproject.toml")

MAX_NAMES = 2_000
MAX_DIRECTORIES = 100
MAX_NEAR = 10
"""How much of a directory is looked at, and how much of it is told."""

MAX_LISTED = 100_000
"""Names in all directories together after which no further one is looked into."""

MAX_NAME = 255
"""Characters; no file system has longer names."""

JULIA = ("Project.toml", "JuliaProject.toml", "Manifest.toml")
"""https://pkgdocs.julialang.org/v1/toml-files/; one of them is close to pyproject.toml by its letters alone."""

_AS_PIXI = "environment.yml, as `pixi workspace export conda-environment` writes it"
_AS_FLIT = "requirements.txt with the line `-e .`, or a [project] table in place of [tool.flit.metadata]"

_TABLE = (
    (r"(conda[-_]?)?env(ironment)?s?([-_].+)?\.ya?ml(\..+)?|conda\.ya?ml", "environment.yml"),
    (r"req(uirement)?s?([-_.].+)?\.(txt|in)(\..+)?|requirements?|dependencies\.txt", "requirements.txt"),
    (
        r"(conda[-_])?(spec|explicit)s?[-_]?(file|list)?([-_.].+)?\.txt|conda-.+\.lock",
        "environment.yml, as `conda env export --no-builds` writes it where the environment is",
    ),
    (r"pixi\.(toml|lock)", _AS_PIXI),
    (r"pipfile(\.lock)?", "requirements.txt, as `pipenv requirements` writes it"),
    (r"setup\.(py|cfg)", "requirements.txt with the line `-e .`"),
    (r"uv\.lock|poetry\.lock|pdm\.lock", "beside its pyproject.toml"),
    (r"conda-lock\.ya?ml", "beside its environment.yml"),
    (r"(docker|container)file|docker-compose\.ya?ml", "environment.yml, requirements.txt or pyproject.toml"),
    (r"(install|runtime)\.r|renv\.lock|description|require|project\.toml|default\.nix", "a Python environment"),
)

_OF_PROJECTS = (
    (("tool", "flit", "metadata"), _AS_FLIT),
    (("tool", "pixi"), _AS_PIXI),
    (("tool", "pdm", "dependencies"), "requirements.txt, as `pdm export --format requirements` writes it"),
)
"""What says in a pyproject.toml that it is an environment for another tool."""

_TOLD_BY = {
    "Pipfile.lock": "Pipfile", "pixi.lock": "pixi.toml", "setup.cfg": "setup.py", "uv.lock": "pyproject.toml",
    "poetry.lock": "pyproject.toml", "pdm.lock": "pyproject.toml",
}  # fmt: skip
"""Files of which nothing is left to say beside another."""


def misses(source: Source, layout: Layout) -> tuple[tuple[str, str], ...]:
    """(path, what it should be called or where it should be) of files that come close, ten at most."""
    entries = source.list(layout.config)
    names = {_name(entry) for entry in entries}
    files = [e for e in entries[:MAX_NAMES] if e.kind != "directory" and _TOLD_BY.get(_name(e)) not in names]
    here = [(e.path, hint) for e in files if (hint := _of_project(source, e) or _hint(_name(e)))]
    found = [*here, *_outside_binder(source, layout), *_folders_down(source, layout, entries)]
    return tuple((one_line(path), hint) for path, hint in found[:MAX_NEAR])


def _hint(name: str) -> str | None:
    if len(name) > MAX_NAME:
        return None
    if name in JULIA:
        return "a Python environment"
    for wanted in WANTED:
        if name != wanted and close(name, wanted):
            return wanted
    return next((hint for pattern, hint in _TABLE if re.fullmatch(pattern, name, re.IGNORECASE)), None)


def _of_project(source: Source, entry: Entry) -> str | None:
    """What a pyproject.toml lacks that is there, and is no environment."""
    if _name(entry) != pyproject.FILE:
        return None
    try:
        document = pyproject.load(source, entry.path)
        others = (hint for keys, hint in _OF_PROJECTS if document and document.has(*keys))
        return next(others, "one with a [project] or a [tool.poetry] table: this one only configures tools")
    except BuildError:
        return None


def _outside_binder(source: Source, layout: Layout) -> Iterator[tuple[str, str]]:
    if layout.config != layout.project:
        for path in _wanted(source.list(layout.project)):
            yield path, posixpath.join(layout.config, posixpath.basename(path))


def _folders_down(source: Source, layout: Layout, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """In the directories below, and then in those below them."""
    if layout.config != layout.project:
        return
    directories = _directories(entries)
    first = len(directories)
    listed = len(entries)
    for number, directory in enumerate(directories):
        if listed > MAX_LISTED or number >= MAX_DIRECTORIES:
            return
        try:
            names = source.list(directory.path)
        except BuildError:  # Nobody asked for this directory, so what is wrong with it harms nobody.
            continue
        listed += len(names)
        if number < first:
            directories += _directories(names)
        for path in _wanted(names):
            yield path, f"--subdir {shlex.quote(directory.path)}"
        if directory.path == "requirements":
            for path in (entry.path for entry in names[:MAX_NAMES] if entry.path.endswith(".txt")):
                yield path, f"requirements.txt with the line `-r {shlex.quote(path)}`"


def _directories(entries: Sequence[Entry]) -> list[Entry]:
    found = [entry for entry in entries if entry.kind == "directory" and entry.path.isprintable()]
    return found[:MAX_DIRECTORIES]


def _wanted(entries: Sequence[Entry]) -> list[str]:
    return [entry.path for entry in entries[:MAX_NAMES] if _name(entry) in WANTED]


def _name(entry: Entry) -> str:
    return posixpath.basename(entry.path)


def close(name: str, wanted: str) -> bool:
    """Whether a name is one that is wanted, but for two letters at the most."""
    return len(name) <= MAX_NAME and _distance(name.lower(), wanted) <= 2


def _distance(one: str, other: str) -> int:
    """How many letters are to be added, taken away or changed; 3 stands for more than 2."""
    if abs(len(one) - len(other)) > 2:
        return 3
    row = list(range(len(other) + 1))
    for number, letter in enumerate(one, 1):
        above, row = row, [number]
        for column, wanted in enumerate(other, 1):
            row.append(min(above[column] + 1, row[-1] + 1, above[column - 1] + (letter != wanted)))
        if min(row) > 2:
            return 3
    return min(row[-1], 3)
