"""Versions for packages of the repository that read theirs from git tags: its history is not in a build.

Understood by setuptools-scm, and by hatch-vcs, which stands on it:
https://setuptools-scm.readthedocs.io/en/stable/overrides/
"""

import itertools
import os
import re
import tomllib
from pathlib import Path

MOST = 2_000  # directories that are looked into


def versions(top: Path) -> dict[str, str]:
    """Variables that say version 0 for every such package at or below a directory."""
    variables = {}
    for directory, _, files in itertools.islice(os.walk(top), MOST):
        if "pyproject.toml" in files and (name := name_of(Path(directory, "pyproject.toml"))):
            variables["SETUPTOOLS_SCM_PRETEND_VERSION_FOR_" + re.sub(r"[-_.]+", "_", name).upper()] = "0"
    return variables


def name_of(pyproject: Path) -> str | None:
    """The project's name, where its version is not written down."""
    try:
        project = tomllib.loads(pyproject.read_text()).get("project", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):  # whoever builds it says what is wrong with it
        return None
    dynamic = isinstance(project, dict) and "version" in project.get("dynamic", ())
    return project["name"] if dynamic and isinstance(project.get("name"), str) else None
