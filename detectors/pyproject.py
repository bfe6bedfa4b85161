"""What poetry and project share of a pyproject.toml: which of the two it is, and its local paths."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from detectors.failures import BuildError, GroupAbsent, Location
from detectors.layout import local_package, local_path
from detectors.plan import FileRef
from detectors.source import Source, read

if TYPE_CHECKING:
    from detectors.tomlfile import Document

FILE = "pyproject.toml"

MAX_PACKAGES = 200
"""Packages of the repository that one project may reach by paths."""

MAX_REQUIREMENTS = 1_000
"""Of one project, with its groups and extras; people write some 200."""

MAX_INDEXES = 50
"""Indexes that one project may choose; people write one or two."""

LocalPaths = Callable[["Document"], Iterator[tuple[str, Location]]]


def load(source: Source, path: str) -> Document | None:
    """The pyproject.toml at a path, or None. Raises BuildError(FileInvalid), or what `source.read` raises."""
    text = read(source, path)
    if text is None:
        return None
    return parsed(path, text)


@lru_cache(maxsize=1)  # each strategy asks for it anew
def parsed(path: str, text: str) -> Document:
    # Late: repositories without a pyproject.toml must not pay for it.
    from detectors.tomlfile import Document

    return Document(path, text)


def strategy(document: Document) -> str | None:
    """ "poetry", "project", or None for a file that only configures tools.

    Beside a `[project]`, a `[tool.poetry]` counts only where Poetry 1.8 can read it: with a name, or
    as the one place where dependencies stand.
    """
    poetry, project = document.table("tool", "poetry"), document.table("project")
    dependencies = any(poetry.get(key) for key in ("dependencies", "dev-dependencies", "group"))
    if "name" in poetry:
        return "poetry"
    if document.has("project"):
        declared = "dependencies" in project or "dependencies" in document.strings("project", "dynamic")
        return "poetry" if dependencies and not declared else "project"
    return "poetry" if dependencies else None


def local_packages(
    source: Source, document: Document, local_paths: LocalPaths
) -> tuple[tuple[FileRef, ...], tuple[FileRef, ...]]:
    """Archives and directories that a project reaches by local paths, and those they reach in turn.

    Raises BuildError with PathOutside, PathAbsent, or FileInvalid.
    """
    files: dict[str, FileRef] = {}
    trees: dict[str, FileRef] = {}
    waiting = [document]
    while waiting:
        document = waiting.pop()
        for target, origin in local_paths(document):
            path = local_path(posixpath.dirname(document.path), target, origin)
            if path in files or path in trees:
                continue
            ref, is_tree = local_package(source, path, origin)
            (trees if is_tree else files)[path] = ref
            if len(trees) > MAX_PACKAGES:
                raise document.invalid((), "local packages", path, f"more than {MAX_PACKAGES}")
            below = load(source, posixpath.join(path, FILE)) if is_tree else None
            if below is not None:
                waiting.append(below)
    return tuple(files.values()), tuple(trees.values())


def choose(kind: str, asked: tuple[str, ...], existing: list[str], path: str) -> list[str]:
    """The groups or extras asked for, in the project's spelling. Raises BuildError(GroupAbsent)."""
    by_name = {canonical(name): name for name in existing}
    for name in asked:
        if canonical(name) not in by_name:
            raise BuildError(GroupAbsent(kind, name, path, tuple(existing)))
    return list(dict.fromkeys(by_name[canonical(name)] for name in asked))


def canonical(name: str) -> str:
    """A name as indexes compare it: https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()
