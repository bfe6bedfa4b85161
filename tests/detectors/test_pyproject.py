from __future__ import annotations

import pytest

from detectors.failures import GroupAbsent
from detectors.pyproject import canonical, choose, strategy
from detectors.tomlfile import Document
from tests.detectors.asking import failure_of

PROJECT = "[project]\nname = 'a'\nversion = '1'\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("[tool.ruff]\nline-length = 100", None),
        ("[tool.poetry]", None),
        ("[tool.poetry]\npackage-mode = false", None),
        ("[tool.poetry]\nname = 'a'", "poetry"),
        ("[tool.poetry.dependencies]\npython = '^3.9'", "poetry"),
        ("[tool.poetry.group.dev.dependencies]\nsix = '*'", "poetry"),
        (PROJECT, "project"),
        (PROJECT + "dependencies = []\n[tool.poetry]\npackages = []", "project"),
        (PROJECT + "dependencies = []\n[tool.poetry.dependencies]\nsix = {git = 'https://example.org'}", "project"),
        (PROJECT + "dependencies = []\n[tool.poetry.group.dev.dependencies]\nsix = '*'", "project"),
        (PROJECT + "dynamic = ['dependencies']\n[tool.poetry.dependencies]\nsix = '*'", "project"),
        (PROJECT + "[tool.poetry.dependencies]\nsix = '*'", "poetry"),
        (PROJECT + "dependencies = []\n[tool.poetry]\nname = 'a'", "poetry"),
    ],
)
def test_strategy_of_a_pyproject(text: str, expected: str | None) -> None:
    assert strategy(Document("pyproject.toml", text)) == expected


def test_groups_are_compared_as_names_and_given_in_the_projects_spelling() -> None:
    assert choose("group", ("DEV_tools", "dev.tools"), ["Dev-Tools", "docs"], "p") == ["Dev-Tools"]
    assert canonical("A__b.-C") == "a-b-c"


def test_group_that_does_not_exist_is_named_with_those_that_do() -> None:
    failure = failure_of(lambda: choose("extra", ("plot",), ["plots"], "pyproject.toml"))
    assert failure == GroupAbsent("extra", "plot", "pyproject.toml", ("plots",))
