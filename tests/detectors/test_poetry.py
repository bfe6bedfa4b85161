from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import poetry
from detectors.failures import FileInvalid, GroupAbsent, Location, LockNewer, PathAbsent, PathOutside, PythonUnavailable
from detectors.plan import Choice, Options, Plan
from detectors.source import MappingSource
from detectors.tomlfile import Document
from tests.detectors.asking import codes, failure, plan, survives, within_a_second
from tests.repositories import ROOT

HEAD = "[tool.poetry]\npackage-mode = false\n"
PYTHON = "[tool.poetry.dependencies]\npython = '^3.9'\n"
PACKAGE = "[tool.poetry]\nname = 'a'\nversion = '1'\ndescription = ''\nauthors = []\n"


def asked(text: str, files: dict[str, str | bytes] | None = None, **options: Any) -> Plan:
    return plan({"pyproject.toml": text, **(files or {})}, **options)


def refused(text: str, files: dict[str, str | bytes] | None = None, **options: Any) -> Any:
    return failure({"pyproject.toml": text, **(files or {})}, **options)


def lock(text: str, version: str = "2.0", content_hash: str | None = None) -> str:
    content_hash = content_hash or poetry.content_hash(Document("pyproject.toml", text))
    return f"[metadata]\nlock-version = '{version}'\ncontent-hash = '{content_hash}'\n"


def test_settings_of_tools_are_not_poetrys() -> None:
    source = MappingSource({"pyproject.toml": "[tool.ruff]\n[tool.poetry]\n"})
    assert poetry.detect(source, Options()) is None
    assert poetry.detect(MappingSource({"a": ""}), Options()) is None


@pytest.mark.parametrize("name", ["poetry_lock_1_1", "poetry_lock_2_0", "poetry_lock_2_1"])
def test_hash_is_the_one_that_poetry_writes(name: str) -> None:
    repository = ROOT / name / "repository"
    document = Document("pyproject.toml", (repository / "pyproject.toml").read_text())
    assert poetry.content_hash(document) in (repository / "poetry.lock").read_text()


def test_hash_covers_groups_extras_and_sources_and_nothing_else() -> None:
    def hashed(more: str) -> str:
        return poetry.content_hash(Document("p", HEAD + more + PYTHON))

    assert hashed("description = 'x'\n[tool.black]\nline-length = 1\n") == hashed("")
    different = {hashed(t) for t in ("", "extras = {a = []}\n", "group = {a = {}}\n", "source = []\n")}
    assert len(different) == 4


def test_lock_that_fits_is_fresh() -> None:
    result = asked(HEAD + PYTHON, {"poetry.lock": lock(HEAD + PYTHON)})
    assert (result.inputs["lock"], codes(result)) == ("fresh", [])
    assert [f.path for f in result.files] == ["pyproject.toml", "poetry.lock"]


def test_lock_of_other_dependencies_is_stale_with_a_warning() -> None:
    result = asked(HEAD + PYTHON + "six = '*'\n", {"poetry.lock": lock(HEAD + PYTHON)})
    assert (result.inputs["lock"], codes(result)) == ("stale", ["poetry-lock-stale"])


def test_lock_that_lacks_what_is_asked_for_is_stale_whatever_its_hash_says() -> None:
    text = HEAD + PYTHON + "six = '*'\n"
    result = asked(text, {"poetry.lock": lock(text)})
    assert (result.inputs["lock"], codes(result)) == ("stale", ["poetry-lock-stale"])
    assert "lacks six" in result.warnings[0].message
    whole = f"[[package]]\nname = 'Six'\nversion = '1.0'\n{lock(text)}"
    assert asked(text, {"poetry.lock": whole}).inputs["lock"] == "fresh"


def test_lock_of_a_poetry_to_come_says_so() -> None:
    found = refused(HEAD + PYTHON, {"poetry.lock": "[metadata]\nlock-version = '3.0'\n"})
    assert found == LockNewer(Location("poetry.lock", 2), "3.0")


def test_no_lock_is_absent() -> None:
    result = asked(HEAD + PYTHON)
    assert (result.inputs["lock"], [f.path for f in result.files]) == ("absent", ["pyproject.toml"])


@pytest.mark.parametrize(("version", "warnings"), [("1.1", []), ("2.0", []), ("2.1", ["poetry-lock-newer"])])
def test_lock_versions_that_are_read(version: str, warnings: list[str]) -> None:
    assert codes(asked(HEAD + PYTHON, {"poetry.lock": lock(HEAD + PYTHON, version)})) == warnings


@pytest.mark.parametrize(
    "text",
    [
        "<<<<<<< HEAD\n",
        "",
        "metadata = 1\n",
        "[metadata]\nlock-version = '2.x'\n",
    ],
)
def test_lock_that_cannot_be_read_is_refused(text: str) -> None:
    found = refused(HEAD + PYTHON, {"poetry.lock": text})
    assert isinstance(found, FileInvalid)
    assert found.location.path == "poetry.lock"


@pytest.mark.parametrize(
    ("text", "value"), [("^3.12", "3.12"), (">=3.8,<4.0", "3.10"), ("~3.11", "3.11"), ("*", "3.10")]
)
def test_python_is_the_nearest_that_is_allowed(text: str, value: str) -> None:
    result = asked(HEAD + f"[tool.poetry.dependencies]\npython = '{text}'\n")
    assert result.python == Choice(value, f"pyproject.toml:4: {text}")


def test_python_that_nothing_fits_is_refused() -> None:
    found = refused(HEAD + "[tool.poetry.dependencies]\npython = '^2.7'\n")
    assert isinstance(found, PythonUnavailable)
    assert found.origin == "pyproject.toml:4"


@pytest.mark.parametrize("python", ["'three'", "3.9", "[]"])
def test_python_of_another_syntax_is_refused(python: str) -> None:
    found = refused(HEAD + f"[tool.poetry.dependencies]\npython = {python}\n")
    assert isinstance(found, FileInvalid)
    assert found.location == Location("pyproject.toml", 4)


def test_package_mode_installs_the_package() -> None:
    result = asked(PACKAGE + PYTHON)
    assert result.package is not None
    assert result.package.path == ""
    assert result.needs_source
    assert asked(HEAD + PYTHON).package is None


def test_package_without_its_fields_is_refused() -> None:
    found = refused("[tool.poetry]\nname = 'a'\n" + PYTHON)
    assert isinstance(found, FileInvalid)
    assert "version, description, authors" in found.problem


def test_requested_in_the_words_of_the_file() -> None:
    text = (
        HEAD
        + PYTHON
        + (
            "numpy = '^1.26'\n"
            "requests = {version = '^2', extras = ['socks', 'security']}\n"
            "tides = {git = 'https://git.example.org/tides', rev = 'abc'}\n"
            "pair = [{version = '1', python = '<3.10'}, {version = '2', python = '>=3.10'}]\n"
        )
    )
    assert asked(text).requested == (
        "numpy ^1.26",
        "requests[socks,security] ^2",
        "tides @ https://git.example.org/tides",
        "pair 1",
        "pair 2",
    )


GROUPS = (
    HEAD + PYTHON + "six = '*'\nidna = {version = '*', optional = true}\n"
    "[tool.poetry.group.plots.dependencies]\nattrs = '*'\n"
    "[tool.poetry.dev-dependencies]\npytest = '*'\n"
    "[tool.poetry.extras]\nnet = ['idna']\n"
)


def test_groups_and_extras_are_added_on_demand() -> None:
    assert asked(GROUPS).requested == ("six *",)
    result = asked(GROUPS, groups=("plots", "dev"), extras=("net",))
    assert set(result.requested) == {"six *", "attrs *", "pytest *", "idna *"}
    assert (result.inputs["groups"], result.inputs["extras"]) == (["plots", "dev"], ["net"])


def test_group_and_extra_that_do_not_exist_are_refused() -> None:
    assert refused(GROUPS, groups=("docs",)) == GroupAbsent("group", "docs", "pyproject.toml", ("dev", "plots"))
    assert refused(GROUPS, extras=("docs",)) == GroupAbsent("extra", "docs", "pyproject.toml", ("net",))


def test_path_dependencies_are_followed() -> None:
    files: dict[str, str | bytes] = {
        "app/pyproject.toml": HEAD + PYTHON + "one = {path = '../one'}\nw = {path = '../w-1-py3-none-any.whl'}\n",
        "one/pyproject.toml": PACKAGE + PYTHON + "two = {path = '../two', develop = true}\n",
        "two/pyproject.toml": PACKAGE + PYTHON + "one = {path = '../one'}\n",
        "w-1-py3-none-any.whl": "PK",
    }
    result = plan(files, subdir="app")
    assert [t.path for t in result.trees] == ["one", "two"]
    assert [f.path for f in result.files] == ["app/pyproject.toml", "w-1-py3-none-any.whl"]


def test_path_that_is_not_there_or_outside_is_refused_with_its_line() -> None:
    origin = Location("pyproject.toml", 5)
    assert refused(HEAD + PYTHON + "a = {path = 'no'}\n") == PathAbsent("no", origin)
    assert refused(HEAD + PYTHON + "a = {path = '../no'}\n") == PathOutside("pyproject.toml", "../no", origin)


@pytest.mark.parametrize(
    "dependency",
    [
        "{git = 'git@git.example.org:a.git'}",
        "{git = 'ssh://git@git.example.org/a'}",
        "{git = 'http://git.example.org/a'}",
        "{git = 'https://u:hunter2@git.example.org/a'}",
        "{url = 'file:///srv/a.whl'}",
        "1",
        "[1]",
    ],
)
def test_dependency_that_no_build_can_reach_is_refused(dependency: str) -> None:
    found = refused(HEAD + PYTHON + f"a = {dependency}\n")
    assert isinstance(found, FileInvalid)
    assert found.location == Location("pyproject.toml", 5)
    assert "hunter2" not in found.found


def test_source_is_kept_and_told() -> None:
    text = HEAD + PYTHON + "[[tool.poetry.source]]\nname = 'lab'\nurl = 'https://index.example.org'\n"
    result = asked(text)
    assert codes(result) == ["index-from-repository"]
    assert "https://index.example.org" in result.warnings[0].message


def test_source_with_credentials_is_refused() -> None:
    text = HEAD + PYTHON + "[[tool.poetry.source]]\nname = 'lab'\nurl = 'https://u:hunter2@index.example.org'\n"
    assert "hunter2" not in str(refused(text))


def test_torch_from_the_default_index_is_warned_of() -> None:
    assert codes(asked(HEAD + PYTHON + "torch = '^2'\n")) == ["gpu-packages"]
    assert codes(asked(HEAD + PYTHON + "torch = {version = '^2', source = 'cpu'}\n")) == []


def test_date_is_told_to_have_no_effect() -> None:
    result = asked(HEAD + PYTHON, as_of="2024-06-01T00:00:00Z")
    assert codes(result) == ["as-of-poetry"]


@given(st.text())
@within_a_second
def test_any_text_gives_a_plan_or_fails_by_name(text: str) -> None:
    survives(lambda: asked(text))
    survives(lambda: asked(HEAD + PYTHON + text))
    survives(lambda: asked(HEAD + PYTHON, {"poetry.lock": text}))


KEYS = st.sampled_from(
    ["name", "dependencies", "group", "extras", "source", "python", "path", "git", "package-mode", "url"]
)
VALUES = st.recursive(
    st.sampled_from(["'^3.9'", "'*'", "'x'", "true", "1", "1979-05-27", "nan", "''", "'https://e.org'"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda v: f"[{', '.join(v)}]")
        | st.dictionaries(KEYS, inner, max_size=3).map(
            lambda v: "{" + ", ".join(f"{k} = {x}" for k, x in v.items()) + "}"
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@within_a_second
def test_any_shape_gives_a_plan_or_fails_by_name(table: dict[str, str]) -> None:
    text = "[tool.poetry]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())
    survives(lambda: asked(text, {"poetry.lock": "[metadata]\nlock-version = '2.0'\n"}))
