"""The stages of a build, in a reader's words."""

from __future__ import annotations

import re

from builder.engine import Step

WAITING = "waiting for a build of the same"
"""The step of a build that another one does the work of."""


def stage_of(step: Step) -> str:
    """The words for the stage of a step; empty for BuildKit's own bookkeeping."""
    if step.parent:
        what = "image of sessions without a frontend" if step.parent == "none" else f"{step.parent} image"
        return f"the {what}, once for all builds"
    if step.name == WAITING:
        return WAITING
    if step.name.startswith("exporting to image"):
        return "keeping the image"
    words = title(step.name)
    return words.partition(": ")[0] if words != step.name else ""


def title(step: str) -> str:
    """A step in a reader's words: "[lock 2/3] RUN …" is "deciding versions and …"."""
    stage = re.match(r"\[(?:stage-\d+|([\w-]+))? *\d+/\d+\] (\w+)", step)
    if not stage:
        return step
    name = stage[1] or "image"
    words = _TITLES.get(name, name)
    return f"{words}: {step.split('] ', 1)[1].split(chr(10))[0][:60]}" if stage[2] != "RUN" else words


_TITLES = {
    "interpreter": "preparing Python",
    "python": "fetching the Python base",
    "build": "preparing the build",
    "request": "reading what was asked for",
    "lock": "deciding versions and fetching packages",
    "conda-lock": "solving conda's part",
    "conda-env": "installing conda's part",
    "conda-base": "fetching the conda base",
    "built": "building packages without a wheel",
    "package": "building the repository's own package",
    "environment": "installing packages",
    "post": "running postBuild",
    "image": "putting the image together",
}
