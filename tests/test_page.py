"""The page of real failures is what the fixtures come to."""

from __future__ import annotations

from tests.failing import failing
from tests.page import CHAPTERS, PAGE, page


def test_the_page_is_what_the_fixtures_come_to() -> None:
    assert PAGE.read_text() == page(), "python -m tests.page writes it anew; read the diff"


def test_every_failure_of_machine_repository_and_conda_is_told() -> None:
    told = {name for names in CHAPTERS.values() for name in names}
    kinds = ("machine_", "repository_", "conda_")
    left_out = {"machine_step_killed"}  # reads as machine_out_of_memory does
    untold = {situation.name for situation in failing() if situation.name.startswith(kinds)} - told - left_out
    assert {name for name in untold if not name.startswith("conda_pip_")} == set()
