from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.layout import Layout
from detectors.near import misses
from detectors.source import MappingSource
from tests.detectors.asking import within_a_second


def near(*paths: str, config: str = "") -> tuple[tuple[str, str], ...]:
    return misses(MappingSource(dict.fromkeys(paths, "")), Layout("", config))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("enviroment.yml", "environment.yml"),
        ("Environment.yml", "environment.yml"),
        ("environment.yaml.txt", "environment.yml"),
        ("environment-dev.yml", "environment.yml"),
        ("env.yaml", "environment.yml"),
        ("conda.yml", "environment.yml"),
        ("requirement.txt", "requirements.txt"),
        ("requirements.text", "requirements.txt"),
        ("requirments.txt", "requirements.txt"),
        ("requirements-dev.txt", "requirements.txt"),
        ("requirements.in", "requirements.txt"),
        ("requirements", "requirements.txt"),
        ("reqs.txt", "requirements.txt"),
        ("req-dev.txt", "requirements.txt"),
        ("dependencies.txt", "requirements.txt"),
        ("pyproject.tml", "pyproject.toml"),
    ],
)
def test_misspelt_name_is_told_the_right_one(name: str, wanted: str) -> None:
    assert near(name, "README.md") == ((name, wanted),)


@pytest.mark.parametrize(
    "name",
    [
        "Pipfile", "setup.py", "setup.cfg", "uv.lock", "Dockerfile", "pyproject.toml", "conda-lock.yml", "renv.lock",
        "pixi.toml", "spec-file.txt", "spec-list-linux.txt", "explicit.txt", "conda-linux-64.lock", "pdm.lock",
    ],
)  # fmt: skip
def test_file_of_another_tool_is_told_what_to_write(name: str) -> None:
    assert [path for path, _ in near(name)] == [name]


@pytest.mark.parametrize(
    "name", ["README.md", "spectra.txt", "main.py", "environments.csv", "requests.txt", "project.txt", "data.yml"]
)
def test_other_files_are_not_near(name: str) -> None:
    assert near(name) == ()


def test_up_to_two_folders_down_the_option_is_named() -> None:
    assert near("a/deep/requirements.txt", "b/environment.yml", "c/deep/er/requirements.txt") == (
        ("b/environment.yml", "--subdir b"),
        ("a/deep/requirements.txt", "--subdir a/deep"),
    )


def test_beside_a_binder_directory_names_the_place_in_it() -> None:
    assert near("binder/apt.txt", "requirements.txt", config="binder") == (
        ("requirements.txt", "binder/requirements.txt"),
    )


def test_no_more_than_ten_are_named() -> None:
    assert len(near(*(f"requirements-{n}.txt" for n in range(50)))) == 10


@given(st.lists(st.text(alphabet="environmtqus.ylxp", min_size=1, max_size=20), max_size=10, unique=True))
@within_a_second
def test_any_names_are_compared(names: list[str]) -> None:
    for path, hint in near(*(name for name in names if name.strip("."))):
        assert path in names
        assert hint


def test_a_project_of_julia_is_no_pyproject_that_is_misspelt() -> None:
    assert near("Project.toml", "project.toml") == (
        ("Project.toml", "a Python environment"), ("project.toml", "pyproject.toml"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[tool.flit.metadata]\nmodule = "tides"\n', "requirements.txt with the line `-e .`, or a [project] table"),
        ('[tool.pixi.workspace]\nname = "tides"\n', "environment.yml, as `pixi workspace export"),
        ("[tool.pdm.dependencies]\nsix = '*'\n", "requirements.txt, as `pdm export"),
        ("[tool.ruff]\n", "one with a [project] or a [tool.poetry] table"),
    ],
)
def test_project_of_another_tool_is_told_what_that_tool_can_write(text: str, told: str) -> None:
    ((path, hint),) = misses(MappingSource({"pyproject.toml": text}), Layout("", ""))
    assert path == "pyproject.toml"
    assert hint.startswith(told)


def test_lock_beside_its_own_file_is_not_told_of_again() -> None:
    assert [path for path, _ in near("Pipfile", "Pipfile.lock", "pixi.toml", "pixi.lock")] == ["Pipfile", "pixi.toml"]


def test_files_of_a_requirements_directory_are_told_the_line_that_reads_them() -> None:
    assert near("requirements/base.txt") == (
        ("requirements/base.txt", "requirements.txt with the line `-r requirements/base.txt`"),
    )
