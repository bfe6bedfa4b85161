"""Plan: what a repository needs and why, as one frozen value with a JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA = "launchyard/plan/1"

FRONTENDS = ("jupyterlab", "vscodium", "none")


@dataclass(frozen=True, slots=True)
class Options:
    """What the person who asks, and the installation, may decide. Pure values, no paths of the host."""

    subdir: str = ""
    strategy: str | None = None
    python: str | None = None
    groups: tuple[str, ...] = ()
    """Optional dependency groups to add (poetry, project)."""
    extras: tuple[str, ...] = ()
    """Extras of the project itself to add (poetry, project)."""
    as_of: str | None = None
    """Resolve as the index stood then: RFC 3339, UTC, whole seconds, "2021-06-01T00:00:00Z"."""
    pip_resolver: str = "uv"
    """Which tool decides the versions of a pip environment: "uv", then pip where it finds no answer; or "pip"."""
    keep_defaults: bool = False
    """Leave conda's `defaults` channel as it is."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A value and where it came from: "default", "option --python", "environment.yml:7", ..."""

    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a strategy was chosen: a file and what was seen in it."""

    path: str
    seen: str


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file or a directory of the repository, pinned by the id of its git object."""

    path: str
    blob: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file that was seen and not used."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Warned:
    """Something that is not an error and that its author would want to know."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What to build, and why. Holds nothing of the network, the engine or the clock."""

    strategy: str
    python: Choice
    evidence: tuple[Evidence, ...] = ()
    files: tuple[FileRef, ...] = ()
    """What decides the versions; all of it goes into the build."""
    trees: tuple[FileRef, ...] = ()
    """Directories of the repository without which versions cannot be decided (`-e .`, path dependencies)."""
    package: FileRef | None = None
    """The directory of the repository's own package, when it is to be installed."""
    requested: tuple[str, ...] = ()
    """What was asked for, in the order and the words of its file."""
    system_packages: tuple[str, ...] = ()
    post_build: FileRef | None = None
    start: FileRef | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What the strategy's own tool is told, as JSON values. Reaches a build in a file, never in a command."""
    ignored: tuple[Ignored, ...] = ()
    warnings: tuple[Warned, ...] = ()

    @property
    def needs_source(self) -> bool:
        """Whether files of the repository other than its environment files are in the image."""
        return bool(self.trees or self.package or self.post_build)

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values; the form that plan.schema.json describes."""
        return {**asdict(self), "needs_source": self.needs_source}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Plan:
        """The inverse of `to_json`; members that are not the plan's own are left out."""

        def ref(value: Mapping[str, str] | None) -> FileRef | None:
            return FileRef(**value) if value else None

        return cls(
            strategy=document["strategy"],
            python=Choice(**document["python"]),
            evidence=tuple(Evidence(**e) for e in document["evidence"]),
            files=tuple(FileRef(**f) for f in document["files"]),
            trees=tuple(FileRef(**t) for t in document["trees"]),
            package=ref(document["package"]),
            requested=tuple(document["requested"]),
            system_packages=tuple(document["system_packages"]),
            post_build=ref(document["post_build"]),
            start=ref(document["start"]),
            inputs=document["inputs"],
            ignored=tuple(Ignored(**i) for i in document["ignored"]),
            warnings=tuple(Warned(**w) for w in document["warnings"]),
        )
