"""How the tests of detectors ask: a repository in a line, and the failure or the plan it comes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings

from detectors import detect
from detectors.failures import BuildError
from detectors.plan import Options, Plan
from detectors.source import MappingSource

within_a_second = settings(deadline=1000)
"""What is promised of every parser on any input: milliseconds."""


def plan(files: dict[str, str | bytes], **options: Any) -> Plan:
    """The plan of a repository of these files."""
    return detect(MappingSource(files), Options(**options))


def failure(files: dict[str, str | bytes], **options: Any) -> Any:
    """The failure that a repository of these files comes to."""
    return failure_of(lambda: plan(files, **options))


def failure_of(action: Callable[[], object]) -> Any:
    """The failure inside the BuildError that an action raises."""
    with pytest.raises(BuildError) as raised:
        action()
    return raised.value.failure


def codes(plan: Plan) -> list[str]:
    """The codes of a plan's warnings."""
    return [warning.code for warning in plan.warnings]


def survives(action: Callable[[], object]) -> None:
    """An action ends well or in a BuildError; any other exception fails the test."""
    try:
        action()
    except BuildError as error:
        if type(error.failure).__module__ != "detectors.failures":
            raise
