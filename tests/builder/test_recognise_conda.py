"""What is said of conda comes to its failure; a line of facts that was made up does no harm."""

from __future__ import annotations

import json

import pytest

from builder.engine import BuildFailed
from builder.failures import explain
from builder.failures.built import ChannelAbsent, ChannelsLack, ChannelUnreachable, Demand, StepFailed, Unsatisfiable
from builder.recognise import recognise

STEP = "[conda-lock 1/1] RUN conda_env.py solve"


def failure(*lines: str) -> object:
    failed = BuildFailed(STEP, "did not complete successfully: exit code: 1", lines)
    return recognise(failed, python="3.10", timeout=60)


def facts(**told: object) -> str:
    return "launchyard-conda: " + json.dumps(told)


def test_facts_come_before_the_solvers_own_words() -> None:
    found = failure(
        "conda cannot solve this environment:",
        "Cannot solve the request because of: No candidates were found for numppy *.",
        facts(channels=["conda-forge"], absent={"numppy": ["numpy"]}, versions={}, together=[], instead={}),
    )
    assert found == ChannelsLack(((Demand("numppy"), ("numpy",), ()),), ("conda-forge",))


def test_without_facts_the_solvers_words_are_read() -> None:
    found = failure("Cannot solve the request because of: No candidates were found for numpy 1.21.*.")
    assert found == ChannelsLack(((Demand("numpy 1.21.*"), (), ()),), ())


def test_of_facts_only_what_has_their_form_is_taken() -> None:
    found = failure(
        facts(
            absent={"\x1b[2Jnumpy": ["x"], "good": ["a\nb", "fine", 3, None]},
            versions={"six=1": "not a list", "$(reboot)": ["1"]},
            channels={"a": 1},
        )
    )
    assert found == ChannelsLack(((Demand("good"), ("fine",), ()), (Demand("six=1"), (), ())), ())


@pytest.mark.parametrize(
    "line",
    ["launchyard-conda: {", "launchyard-conda: []", "launchyard-conda: {}", "launchyard-conda: " + "[" * 9_000,
     facts(together="numpy"), facts(absent=["numpy"], versions=None, instead=3), facts(together=["a b\x1b]0;"])],
)  # fmt: skip
def test_facts_that_are_none_are_not_believed(line: str) -> None:
    assert isinstance(failure(line), StepFailed)


def test_facts_of_any_length_stay_short() -> None:
    found = failure(facts(together=[f"p{n}=1" for n in range(100)], instead={}))
    assert isinstance(found, Unsatisfiable)
    assert len(found.specs) <= 12


def test_a_channel_that_is_not_there_and_one_that_cannot_be_reached_are_told_apart() -> None:
    begin = "a conda channel cannot be read:"
    absent = failure(begin, "could not find subdir 'noarch' in channel 'https://conda.example.org/tides/'")
    assert absent == ChannelAbsent(Demand("https://conda.example.org/tides"))
    unreachable = failure(
        begin,
        "Request failed after 3 retries",
        "Caused by: error sending request for url (https://ada:secret@conda.example.org/tides/noarch/repodata.json)",
        "Caused by: Connection refused (os error 111)",
    )
    channel = "https://conda.example.org/tides"
    assert unreachable == ChannelUnreachable(Demand(channel), f"{channel}: Connection refused (os error 111)")
    assert "secret" not in str(explain(unreachable))
