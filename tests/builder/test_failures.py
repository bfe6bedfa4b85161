"""Every failure has words of its own, and an exit code that says who can mend it."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from typing import Any

import pytest

from builder.failures import Blame, asked, built, explain, served
from detectors import failures as detected
from detectors.failures import Location


def kinds() -> list[type]:
    own = {"Explanation", "Location", "BuildError", "Demand", "Line", "Side"}
    found = [
        kind
        for module in (detected, asked, built, served)
        for name, kind in inspect.getmembers(module, dataclasses.is_dataclass)
        if isinstance(kind, type) and name not in own
    ]
    return list(dict.fromkeys(found))


def sample(annotation: Any) -> Any:
    origin = typing.get_origin(annotation)
    if origin is tuple:
        arguments = [a for a in typing.get_args(annotation) if a is not Ellipsis]
        return tuple(sample(a) for a in arguments)
    if origin is not None:  # an optional value
        return sample(typing.get_args(annotation)[0])
    if dataclasses.is_dataclass(annotation) and annotation is not Location:
        return made(annotation)
    return {int: 3, bool: False, str: "tide", Location: Location("environment.yml", 4)}[annotation]


def made(kind: Any) -> Any:
    types = typing.get_type_hints(kind)
    return kind(**{field.name: sample(types[field.name]) for field in dataclasses.fields(kind)})


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_every_failure_is_explained_with_what_to_do(kind: type) -> None:
    explanation = explain(made(kind))
    assert explanation.blame is not Blame.LAUNCHYARD, "no words for it"
    assert explanation.title
    assert explanation.seen
    assert explanation.fix
    assert explanation.blame.exit_code in (2, 65, 75)


def test_what_has_no_words_is_our_fault_and_says_so() -> None:
    explanation = explain(object())
    assert (explanation.blame, explanation.blame.exit_code) == (Blame.LAUNCHYARD, 70)
