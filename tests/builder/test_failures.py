"""Every failure has words of its own, and an exit code that says who can mend it."""

from __future__ import annotations

import inspect
import re
import typing
from typing import Any

import pytest

from builder.failures import Blame, asked, built, explain, served
from builder.failures.asked import RefAbsent
from builder.failures.served import SessionEnded
from builder.failures.words.common import nearest
from detectors import failures as detected
from detectors.failures import Location, PythonUnavailable


def is_record(value: object) -> bool:
    return isinstance(value, type) and hasattr(value, "_fields")


def kinds() -> list[type]:
    own = {"Explanation", "Location", "BuildError", "Demand", "Line", "Side", "Wheels"}
    found = [
        kind
        for module in (detected, asked, built, served)
        for name, kind in inspect.getmembers(module, is_record)
        if name not in own
    ]
    return list(dict.fromkeys(found))


def sample(annotation: Any) -> Any:
    origin = typing.get_origin(annotation)
    if origin is tuple:
        arguments = [a for a in typing.get_args(annotation) if a is not Ellipsis]
        return tuple(sample(a) for a in arguments)
    if origin is not None:  # an optional value
        return sample(typing.get_args(annotation)[0])
    if is_record(annotation) and annotation is not Location:
        return made(annotation)
    return {int: 3, bool: False, str: "tide", Location: Location("environment.yml", 4)}[annotation]


def made(kind: Any) -> Any:
    types = typing.get_type_hints(kind)
    return kind(**{name: sample(types[name]) for name in kind._fields})


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


@pytest.mark.parametrize(
    ("asked", "proposed"),
    [
        ("1.25", "1.26.4"), ("1.26.4=py39h474f0d3_0", "1.26.4"), ("2.0.0+cu111", "2.0.2"), ("3", "2.2.2"),
        ("0.9", "1.26.4"), ("1.9.0", "1.26.4"), ("", "2.2.2"),
    ],
)  # fmt: skip
def test_the_nearest_version_to_what_was_asked_for_is_proposed(asked: str, proposed: str) -> None:
    assert nearest(asked, ("2.2.2", "2.0.2", "1.26.4")) == proposed


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_over_http_no_option_of_the_command_line_is_advised_that_a_request_has_as_a_member(kind: type) -> None:
    told = explain(made(kind), to_command=False)
    assert not re.search(r"--(ref|subdir|strategy|python|frontend|as-of)\b", " ".join((told.seen, *told.fix)))


def test_over_http_a_ref_and_an_origin_are_named_as_a_request_has_them() -> None:
    assert explain(RefAbsent("mian", ("main",)), to_command=False).fix == ("Give one that it has: ref main.",)
    python = explain(PythonUnavailable("9.9", "option --python", ("3.10",)), to_command=False)
    assert python.seen == "options.python asks for 9.9"


def test_over_http_a_log_says_what_it_said() -> None:
    failure = SessionEnded("ended with exit code 1", ("usage: tides --ref REF",))
    assert explain(failure, to_command=False).seen == "usage: tides --ref REF"
