"""Any bytes give a plan or an explanation, within a second and 200 MB, and never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.asking import ROOT
from tests.hostile.fuzz import CASES
from tests.hostile.large import LARGE, MEGABYTES, SECONDS
from tests.hostile.parsers import PARSERS, documents, outcome

BUSY = 2
"""How many times as long a processor may take that is shared with other programs; what grows worse than its input
takes far longer than that."""

SLOW = {"launchyard.toml": 40, "variable": 40}
"""Parsers of which each example costs some ten milliseconds: their examples."""


@pytest.mark.parametrize("name", PARSERS)
def test_any_bytes_give_a_plan_or_an_explanation(name: str) -> None:
    parser = PARSERS[name]
    seen: set[str] = set()

    @settings(
        max_examples=SLOW.get(name, 200), derandomize=True, database=None, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(documents(parser))
    def holds(content: bytes) -> None:
        seen.add(outcome(parser, content))

    holds()
    assert len(seen) > 1 or name in ("link", "postBuild"), seen  # what is tried reaches more than one end


@pytest.mark.parametrize("name", PARSERS)
def test_the_files_that_are_bent_are_read_as_they_are(name: str) -> None:
    outcomes = {outcome(PARSERS[name], seed) for seed in PARSERS[name].seeds}
    assert "plan" in outcomes or name == "path"


@pytest.mark.parametrize("case", sorted(CASES.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_is_a_plan_or_an_explanation(case: Path) -> None:
    assert outcome(PARSERS[case.parent.name], case.read_bytes())


@given(st.sampled_from(sorted(PARSERS)), st.binary(max_size=200))
@settings(derandomize=True, database=None, deadline=None)
def test_an_outcome_is_the_same_twice(name: str, content: bytes) -> None:
    assert outcome(PARSERS[name], content) == outcome(PARSERS[name], content)


def test_the_largest_documents_take_a_second_and_200_mb_at_the_most() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.large"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    assert [m["name"] for m in measured] == list(LARGE)
    assert [m for m in measured if m["seconds"] > SECONDS * BUSY] == []
    assert [m for m in measured if m["megabytes"] > MEGABYTES] == []
    assert {"plan", "file-invalid"} <= {m["outcome"] for m in measured}
