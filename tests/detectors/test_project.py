from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import project
from detectors.failures import FileInvalid, GroupAbsent, Location, PathAbsent, PythonUnavailable
from detectors.plan import Choice, Options, Plan
from detectors.source import MappingSource
from tests.detectors.asking import codes, failure, plan, survives, within_a_second

HEAD = "[project]\nname = 'a'\nversion = '1'\n"
BUILD = "[build-system]\nrequires = ['setuptools']\n"


def asked(text: str, files: dict[str, str | bytes] | None = None, **options: Any) -> Plan:
    return plan({"pyproject.toml": text, **(files or {})}, **options)


def refused(text: str, files: dict[str, str | bytes] | None = None, **options: Any) -> Any:
    return failure({"pyproject.toml": text, **(files or {})}, **options)


def test_pyproject_without_a_project_is_not_this_ones() -> None:
    assert project.detect(MappingSource({"pyproject.toml": "[tool.ruff]\n"}), Options()) is None
    assert project.detect(MappingSource({"a": ""}), Options()) is None


def test_option_chooses_it_over_poetry() -> None:
    text = HEAD + "[tool.poetry]\nname = 'a'\nversion = '1'\ndescription = ''\nauthors = []\n"
    assert asked(text).strategy == "poetry"
    assert asked(text, strategy="project").strategy == "project"


@pytest.mark.parametrize("text", ["[project]\nversion = '1'\n", "[project]\nname = 'a'\n", "[project]\nname = 1\n"])
def test_project_without_name_or_version_is_refused(text: str) -> None:
    assert isinstance(refused(text), FileInvalid)


def test_dynamic_version_is_a_version() -> None:
    assert asked("[project]\nname = 'a'\ndynamic = ['version']\n").strategy == "project"


@pytest.mark.parametrize(
    ("text", "value"),
    [(">=3.9", "3.10"), (">=3.12", "3.12"), ("~=3.11.0", "3.11"), ("==3.13.*", "3.13"), (">3.6,<3.10", "3.9")],
)
def test_python_is_the_nearest_that_is_allowed(text: str, value: str) -> None:
    assert asked(HEAD + f"requires-python = '{text}'\n").python == Choice(value, f"pyproject.toml:4: {text}")


def test_python_that_nothing_fits_is_refused() -> None:
    assert isinstance(refused(HEAD + "requires-python = '<3'\n"), PythonUnavailable)


@pytest.mark.parametrize("text", ["'^3.9'", "3.9", "'three'"])
def test_python_of_another_syntax_is_refused(text: str) -> None:
    found = refused(HEAD + f"requires-python = {text}\n")
    assert isinstance(found, FileInvalid)
    assert found.location == Location("pyproject.toml", 4)


@pytest.mark.parametrize(
    ("text", "is_package"),
    [
        (HEAD, False),
        (HEAD + BUILD, True),
        (HEAD + BUILD + "[tool.uv]\npackage = false\n", False),
        (HEAD + "[tool.uv]\npackage = true\n", True),
    ],
)
def test_package_is_installed_where_it_can_be_built(text: str, is_package: bool) -> None:
    result = asked(text)
    assert (result.package is not None) == result.needs_source == is_package


def test_lock_is_honoured() -> None:
    result = asked(HEAD, {"uv.lock": "version = 1\n"})
    assert result.inputs["lock"] is True
    assert [f.path for f in result.files] == ["pyproject.toml", "uv.lock"]
    assert asked(HEAD).inputs["lock"] is False


def test_lock_knows_no_day() -> None:
    day = "2024-06-01T00:00:00Z"
    assert codes(asked(HEAD, {"uv.lock": "version = 1\n"}, as_of=day)) == ["as-of-locked"]
    assert codes(asked(HEAD, as_of=day)) == []


def test_lock_that_cannot_be_read_is_refused() -> None:
    assert refused(HEAD, {"uv.lock": ">>>>>>> theirs\n"}).location == Location("uv.lock", 1, 1)


@pytest.mark.parametrize("path", ["src/a/__init__.py", "a/__init__.py"])
def test_package_that_nothing_says_how_to_build_is_told_of(path: str) -> None:
    (warned,) = asked(HEAD, {path: ""}).warnings
    assert warned.code == "project-not-installed"
    assert warned.message.startswith(f"{path.removesuffix('/__init__.py')} is not installed")
    assert asked(HEAD + BUILD, {path: ""}).warnings == ()
    assert asked(HEAD + "[tool.uv]\npackage = false\n", {path: ""}).warnings == ()


def test_lock_of_poetry_is_ignored_by_name() -> None:
    assert [i.path for i in asked(HEAD, {"poetry.lock": "x"}).ignored] == ["poetry.lock"]


def test_dynamic_dependencies_need_the_directory() -> None:
    result = asked(HEAD + "dynamic = ['dependencies']\n" + BUILD)
    assert [t.path for t in result.trees] == [""]


def test_path_sources_are_followed() -> None:
    text = HEAD + "dependencies = ['one']\n[tool.uv.sources]\none = { path = '../one' }\n"
    files: dict[str, str | bytes] = {
        "app/pyproject.toml": text,
        "one/pyproject.toml": HEAD + "[tool.uv.sources]\ntwo = { path = '../two' }\n",
        "two/pyproject.toml": HEAD,
    }
    assert [t.path for t in plan(files, subdir="app").trees] == ["one", "two"]
    files["app/pyproject.toml"] = text + BUILD
    assert [t.path for t in plan(files, subdir="app").trees] == ["app", "one", "two"]


def test_path_source_that_is_not_there_is_refused_with_its_line() -> None:
    found = refused(HEAD + "[tool.uv.sources]\none = { path = 'one' }\n")
    assert found == PathAbsent("one", Location("pyproject.toml", 5))


@pytest.mark.parametrize("source", ["{ git = 'ssh://git@e.org/a' }", "{ url = 'file:///a' }", "1", "['x']"])
def test_source_that_no_build_can_reach_is_refused(source: str) -> None:
    assert refused(HEAD + f"[tool.uv.sources]\none = {source}\n").location == Location("pyproject.toml", 5)


@pytest.mark.parametrize("text", ["two words", "a @ git+ssh://git@e.org/a", "a @ file:///a", "a==${X}"])
def test_dependency_that_is_no_requirement_is_refused_with_its_line(text: str) -> None:
    found = refused(HEAD + f"dependencies = [\n  'six',\n  '{text}',\n]\n")
    assert isinstance(found, FileInvalid)
    assert found.location == Location("pyproject.toml", 6)


GROUPS = (
    HEAD + "dependencies = ['six']\n"
    "[project.optional-dependencies]\nnet = ['idna']\n"
    "[dependency-groups]\nplots = ['attrs']\ndev = ['pytest', {include-group = 'plots'}]\n"
    "loop = [{include-group = 'loop'}]\nlost = [{include-group = 'nowhere'}]\nodd = [1]\n"
)


def test_groups_and_extras_are_added_on_demand() -> None:
    assert asked(GROUPS).requested == ("six",)
    result = asked(GROUPS, groups=("dev",), extras=("net",))
    assert result.requested == ("six", "idna", "pytest", "attrs")
    assert (result.inputs["groups"], result.inputs["extras"]) == (["dev"], ["net"])
    assert asked(GROUPS, groups=("loop",)).requested == ("six",)


def test_group_and_extra_that_do_not_exist_are_refused() -> None:
    existing = ("plots", "dev", "loop", "lost", "odd")
    assert refused(GROUPS, groups=("docs",)) == GroupAbsent("group", "docs", "pyproject.toml", existing)
    assert refused(GROUPS, extras=("docs",)) == GroupAbsent("extra", "docs", "pyproject.toml", ("net",))
    assert isinstance(refused(GROUPS, groups=("lost",)), FileInvalid)
    assert isinstance(refused(GROUPS, groups=("odd",)), FileInvalid)


@pytest.mark.parametrize(
    "text",
    ["[[tool.uv.index]]\nname = 'l'\nurl = 'https://i.example.org'\n", "[tool.uv]\nindex-url = 'https://i.example.org'\n",
     "[tool.uv]\nextra-index-url = ['https://i.example.org']\n"],
)  # fmt: skip
def test_index_is_kept_and_told(text: str) -> None:
    assert codes(asked(HEAD + text)) == ["index-from-repository"]


def test_index_with_credentials_is_refused() -> None:
    assert "hunter2" not in str(refused(HEAD + "[tool.uv]\nindex-url = 'https://u:hunter2@i.example.org'\n"))


def test_torch_from_the_default_index_is_warned_of() -> None:
    text = HEAD + "dependencies = ['torch']\n"
    assert codes(asked(text)) == ["gpu-packages"]
    assert codes(asked(text + "[tool.uv.sources]\ntorch = { index = 'cpu' }\n")) == []


def test_layout_of_poetry_two_is_told() -> None:
    assert codes(asked(HEAD + "dependencies = []\n[tool.poetry]\npackages = []\n")) == ["poetry-two-layout"]


@given(st.text())
@within_a_second
def test_any_text_gives_a_plan_or_fails_by_name(text: str) -> None:
    survives(lambda: asked(HEAD + text))
    survives(lambda: asked(HEAD + f"dependencies = ['{text}']\n"))
    survives(lambda: asked(HEAD + f"requires-python = '{text}'\n"))
    survives(lambda: asked(HEAD, {"uv.lock": text}))
