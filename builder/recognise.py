"""Recognise what a failed step says. Patterns in builder/recognition, words in failures/words."""

from __future__ import annotations

import re
from collections.abc import Callable

from builder.engine import BuildFailed, BuildTimeout, DiskLow
from builder.failures.built import DiskFull, StepFailed, StepNotStarted, TimeExceeded
from builder.recognition import building, conda, fetching, machine, pip, poetry, running, uv
from builder.recognition.said import Asked, Said, is_aside, readable
from builder.stages import title
from detectors.plan import Plan
from detectors.source import Source

SHOWN = 25
"""Lines of an unknown failure that are shown."""

_KNOWN: tuple[Callable[[Said], object | None], ...] = (
    machine.recognise,
    conda.recognise,
    conda.contradiction,
    fetching.recognise,
    building.recognise,
    uv.recognise,
    poetry.recognise,
    # An index that does not answer has, to pip, no package.
    machine.index,
    pip.recognise,
    running.recognise,
)


def recognise(
    failed: BuildFailed, *, python: str, timeout: int, plan: Plan | None = None, source: Source | None = None
) -> object:
    """The failure behind a build's error; StepFailed with the last lines when nothing fits.

    With the plan and the repository it was made from, failures name the lines that asked.
    """
    step = title(failed.step)
    printed = readable(failed.lines)
    lines = tuple(line for line in printed if not is_aside(line))
    if isinstance(failed, BuildTimeout):
        return TimeExceeded(step, timeout, "limits.build_time", lines[-SHOWN:])
    if isinstance(failed, DiskLow):
        return DiskFull(step, failed.free, failed.floor)
    if failed.not_started:
        return StepNotStarted(step, failed.not_started)
    asides = tuple(filter(is_aside, printed))
    said = Said(step, failed.step, failed.message, lines, python, Asked(plan, source), asides)
    for known in _KNOWN:
        found = known(said)
        if found is not None:
            return found
    code = re.search(r"exit code: (\d+)", failed.message)
    shown = tuple(line for line in lines if line.strip())[-SHOWN:] or (failed.message[-2_000:],)
    return StepFailed(step, int(code[1]) if code else None, shown)
