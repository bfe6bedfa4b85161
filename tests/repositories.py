"""The fixture repositories: a directory of fixtures/repos each, named by its situation."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.context import environment
from builder.settings import Settings
from detectors import detect
from detectors.failures import BuildError
from detectors.plan import Options
from detectors.source import MappingSource

ROOT = Path(__file__).parent.parent / "fixtures" / "repos"


@dataclass(frozen=True, slots=True)
class Fixture:
    """A repository, what is asked for it, and the golden files beside it."""

    directory: Path
    source: MappingSource
    options: Options
    frontend: str

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def golden(self) -> Path:
        """Where its expected outcome is: failure.json where there is one, else plan.json."""
        failure = self.directory / "failure.json"
        return failure if failure.exists() else self.directory / "plan.json"

    def outcome(self) -> tuple[str, dict[str, Any]]:
        """What detection comes to: ("plan.json", a plan) or ("failure.json", a failure), as JSON values."""
        try:
            return "plan.json", _json(detect(self.source, self.options).to_json())
        except BuildError as error:
            failure: Any = error.failure
            return "failure.json", {"failure": type(failure).__name__, **plain(failure)}

    def dockerfile(self) -> str:
        """The Dockerfile of its plan under default settings; parents' keys, which change with every tool, left out."""
        rendered = environment(detect(self.source, self.options), self.frontend, self.source, Settings())
        return re.sub(r"(/parent-[a-z]+):[0-9a-f]{12}", r"\1:KEY", rendered.dockerfile)


def fixtures() -> list[Fixture]:
    """All of them, by name."""
    return [load(directory) for directory in sorted(ROOT.iterdir()) if (directory / "repository").is_dir()]


def load(directory: Path) -> Fixture:
    """One of them, wholly in memory."""
    path = directory / "options.json"
    options = json.loads(path.read_text()) if path.exists() else {}
    frontend = options.pop("frontend", "jupyterlab")
    for name in ("groups", "extras"):
        if name in options:
            options[name] = tuple(options[name])
    return Fixture(directory, _source(directory / "repository"), Options(**options), frontend)


def plain(value: Any) -> Any:
    """A failure as JSON values."""
    if isinstance(value, tuple):
        fields: Any = getattr(value, "_fields", None)
        members = [plain(member) for member in value]
        return dict(zip(fields, members, strict=True)) if fields else members
    return value


def _source(root: Path) -> MappingSource:
    paths = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*"))}
    files = {name: path.read_bytes() for name, path in paths.items() if path.is_file() and not path.is_symlink()}
    links = {name: os.readlink(path) for name, path in paths.items() if path.is_symlink()}
    executable = [name for name in files if os.access(paths[name], os.X_OK)]
    return MappingSource(files, links, executable)


def _json(value: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(value))
    return document
