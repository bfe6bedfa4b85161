"""What the commands, the service and the launcher may ask of the builder."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from builder import build as job
from builder.address import parse
from builder.build import Planned, Wish
from builder.engine import Engine, Image, Report
from builder.failures import ImageAbsent, ImageForeign
from builder.identity import LABEL
from builder.quantities import instant_of
from builder.records import Built, Difference, Inventory
from builder.settings import Settings, load
from detectors.failures import BuildError
from detectors.plan import Options

__all__ = [
    "BuildError",
    "Builder",
    "Built",
    "Engine",
    "Image",
    "Options",
    "Planned",
    "Request",
    "Settings",
    "Wish",
    "load",
]


@dataclass(frozen=True, slots=True)
class Request:
    """A repository, and what the person who asks decides about its environment."""

    repository: str
    """An https address, or the path of a local repository."""
    ref: str | None = None
    options: Options = field(default_factory=Options)
    """`as_of` in any form of ISO 8601, or "commit" for the commit's own date."""
    frontend: str = "jupyterlab"
    worktree: bool = False


class Builder:
    """The builder of one installation. Every method raises BuildError."""

    def __init__(self, settings: Settings, engine: Engine, *, allow_local: bool) -> None:
        self.settings = settings
        self.engine = engine
        self._allow_local = allow_local

    def plan(self, request: Request) -> Planned:
        """What would be built, and why. Asks no engine."""
        options = request.options
        if options.as_of and options.as_of != "commit":
            options = replace(options, as_of=instant_of(options.as_of))
        address = parse(request.repository, self.settings, allow_local=self._allow_local)
        return job.plan(address, request.ref, options, request.frontend, self.settings, worktree=request.worktree)

    def build(self, planned: Planned, wish: Wish, report: Report) -> Built:
        """The image of a plan: the one that exists, or one that is built now."""
        for tag in wish.tags:
            job.check_reference(tag)
        return job.build(planned, wish, self.engine, self.settings, report)

    def image(self, reference: str) -> Image:
        """An image that Launchyard built. Raises BuildError(ImageAbsent | ImageForeign)."""
        image = self.engine.inspect(job.check_reference(reference))
        if image is None:
            raise BuildError(ImageAbsent(reference))
        if LABEL + "key" not in image.labels:
            raise BuildError(ImageForeign(reference))
        return image

    def packages(self, reference: str) -> Inventory:
        """What is actually installed in an image of Launchyard's."""
        from builder.inventory import inventory

        return inventory(self.image(reference).id, self.engine)

    def diff(self, before: str, after: str) -> Difference:
        """What changed from one image of Launchyard's to another."""
        from builder.inventory import difference

        return difference(self.packages(before), self.packages(after))
