"""Provenance: what an image was made of, with what, and by which build, as it was then."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version

from builder.build import Planned
from builder.context import TEMPLATES
from builder.engine import Engine
from builder.records import Base, Built, Provenance
from builder.settings import Settings

OCI_BASE = "org.opencontainers.image.base."

TOOLS = {"uv": "uv", "pip": "pip", "poetry": "poetry", "rattler": "py-rattler"}
"""Tools that decide and install versions, and what they are called in the locks of templates/parents."""


def provenance(planned: Planned, subdir: str, built: Built, engine: Engine, settings: Settings) -> Provenance:
    """What is known of an image right after its build; which build that was, the store adds."""
    return Provenance(
        repository=planned.commit.url,
        commit=built.commit,
        subdir=subdir,
        strategy=planned.plan.strategy,
        python=planned.plan.python.value,
        key=built.key,
        platform=settings.platform,
        bases=_bases(planned.context.dockerfile, built, engine),
        tools={name: _tool(name, distribution) for name, distribution in TOOLS.items()},
        launchyard=version("launchyard"),
        reused=not built.steps,
        dockerfile=planned.context.dockerfile,
    )


def _bases(dockerfile: str, built: Built, engine: Engine) -> tuple[Base, ...]:
    """Of an image that was there already its own build knows them: but for what its labels say, they may have moved."""
    if not built.steps:
        image = engine.inspect(built.image_id)
        labels = image.labels if image else {}
        name = labels.get(OCI_BASE + "name")
        return (Base(name, labels.get(OCI_BASE + "digest"), None),) if name else ()
    steps = [step.name for step in built.steps]
    return tuple(_base(name, steps, engine) for name in _named(dockerfile))


def _named(dockerfile: str) -> Iterable[str]:
    """The images that a Dockerfile names; a stage hides an image of its name from those after it."""
    stages, images = {"scratch"}, dict[str, None]()
    for name, stage in re.findall(r"^FROM (\S+)(?: AS (\S+))?$", dockerfile, re.MULTILINE):
        if name not in stages:
            images[name] = None
        stages.add(stage)
    return images


def _base(name: str, steps: list[str], engine: Engine) -> Base:
    """BuildKit says the digest of what it has pulled in the name of the step; the engine may not have such an image."""
    said = re.compile(rf"FROM (?:\S*/)?{re.escape(name.partition('@')[0])}(?::latest)?@(sha256:[0-9a-f]{{64}})")
    found = next((match[1] for step in steps if (match := said.search(step))), None)
    image = engine.inspect(name)
    return Base(name, found or (image.digest if image else None), image.id if image else None)


def _tool(name: str, distribution: str) -> str:
    lock = (TEMPLATES / f"parents/locks/{name}.txt").read_text()
    found = re.search(rf"^{distribution}==(\S+)", lock, re.MULTILINE)
    assert found
    return found[1]
