"""Engine: what a build asks of the thing that builds and keeps images. BuildKit stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Protocol

from builder.settings import Limits


class Image(NamedTuple):
    """An image that an engine holds."""

    id: str
    """The digest of its configuration, "sha256:…"."""
    tags: tuple[str, ...]
    labels: Mapping[str, str]
    size: int
    """Bytes on disk, shared layers counted."""
    digest: str | None = None
    """The manifest's digest, once a registry has given one."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """One image to build: a context, and what is given beside it."""

    write_context: Callable[[BinaryIO], None]
    """Writes the context as a tar, with a Dockerfile at its root."""
    labels: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    owner: str = ""
    """Whose it is: what a step of another owner wrote to a cache, or made from one, is not taken."""
    hidden: tuple[str, ...] = field(default=(), repr=False)
    """Words that no log may show: the passwords in those secrets."""
    limits: Limits = field(default_factory=Limits)
    """What it may take of time, log, memory and disk."""
    watch: str = ""
    """An image with a shell that is there, of which a container watches the engine's disk; empty: nobody does."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a build, each time its state changes. Times in seconds since 1970."""

    name: str
    started: float | None = None
    completed: float | None = None
    cached: bool = False
    error: str = ""
    size: int | None = None
    """Bytes of the layer that it made, told once the image is whole; None where it made none of it."""
    parent: str = ""
    """Which of the images that builds stand on it belongs to; empty for the environment's own."""


class Log(NamedTuple):
    """What a step printed."""

    step: str
    text: str


Report = Callable[[Step | Log], None]


class Engine(Protocol):
    """Builds and keeps images. Each method raises BuildError(EngineUnavailable) when none answers."""

    def inspect(self, reference: str) -> Image | None:
        """The image of a reference or an id, None when there is none."""
        ...

    def build(self, request: BuildRequest, report: Report) -> str:
        """Build and keep an image without a tag; returns its id.

        Raises BuildFailed; leaves nothing behind but cache when it fails or is interrupted.
        """
        ...

    def layers(self, reference: str) -> tuple[int, ...]:
        """Bytes of each layer of an image that a COPY or a RUN has made, the lowest first."""
        ...

    def tag(self, image_id: str, *references: str) -> None:
        """Let references mean an image from now on."""
        ...

    def pull(self, reference: str) -> Image | None:
        """Fetch an image from its registry; None where the registry has none of that name, or does not answer."""
        ...

    def push(self, reference: str) -> str:
        """Push to the reference's registry; returns the manifest's digest. Raises BuildError(PushFailed)."""
        ...

    def read(self, reference: str, directory: str) -> Mapping[str, bytes]:
        """The files of a directory in an image, by their names in it. Empty when there is none."""
        ...

    def images(self, label: str) -> Iterable[Image]:
        """Images that have a label, the newest first."""
        ...

    def usage(self) -> Mapping[str, int]:
        """Bytes that it keeps for all its users, by what they are, in words."""
        ...

    def tidy(self) -> None:
        """Remove what was left by processes that were killed."""
        ...

    def remove(self, references: Iterable[str]) -> None:
        """Remove references; an image goes with its last one. One in use stays."""
        ...


class BuildFailed(Exception):
    """A build ended with an error: the step, and what it printed last."""

    def __init__(self, step: str, message: str, lines: tuple[str, ...] = ()) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.message = message
        self.lines = lines

    @property
    def not_started(self) -> str:
        """Why the engine could not start the step; empty where it did.

        https://github.com/opencontainers/runc, which says so where else the step's own words are.
        """
        said = [line for line in self.lines if line.strip()]
        alone = len(said) == 1 and said[0].startswith("runc run failed: unable to start container process: ")
        return said[0] if alone else ""


class BuildTimeout(BuildFailed):
    """A build took longer than its bound."""


class DiskLow(BuildFailed):
    """A build was ended because the engine's disk ran low."""

    def __init__(self, step: str, free: int, floor: int) -> None:
        super().__init__(step, f"{free} bytes free, {floor} wanted")
        self.free = free
        self.floor = floor
