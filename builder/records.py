"""What is remembered of a build: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from detectors.plan import Warned


@dataclass(frozen=True, slots=True)
class StepTime:
    """How long a step took, in seconds, and whether it was taken from the cache."""

    name: str
    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True)
class Built:
    """The outcome of one build: the image, and how it came to be."""

    reference: str
    """Immutable: NAME:<key12>-<lock12>."""
    image_id: str
    digest: str | None
    """The manifest's digest, once there is one."""
    size: int
    """Bytes."""
    key: str
    commit: str
    lock: str
    """SHA-256 of the lock, 64 hex digits; the first 12 where only the tag is known."""
    reused: bool
    reason: str
    seconds: float
    steps: tuple[StepTime, ...] = ()
    warnings: tuple[Warned, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The form of `--metadata-file`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that is in an image."""

    name: str
    version: str
    source: str
    """"conda", "index" or "repository"."""
    requested: bool
    """Asked for by the repository, not pulled in by another package."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Package:
        return cls(
            str(document["name"]), str(document["version"]), str(document["source"]), bool(document["requested"])
        )


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is in an image, and what its build warned of."""

    packages: tuple[Package, ...]
    """By name."""
    warnings: tuple[Warned, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference:
    """What one image has that another has not."""

    added: tuple[Package, ...]
    removed: tuple[Package, ...]
    changed: tuple[tuple[Package, Package], ...]
    """(before, after)."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
