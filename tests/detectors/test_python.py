from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import constraint
from detectors.failures import FileInvalid, Location, PythonUnavailable
from detectors.layout import Layout
from detectors.plan import Choice, Options
from detectors.python import SUPPORTED, Chosen, Required, choose, minor_of
from detectors.source import MappingSource
from tests.detectors.asking import failure_of, survives, within_a_second

ROOT = Layout("", "")


def chosen(files: dict[str, str] | None = None, python: str | None = None, required: str | None = None) -> Chosen:
    demand = Required(required, Location("pyproject.toml", 5), constraint.parse(required)) if required else None
    return choose(MappingSource(files or {}), ROOT, Options(python=python), demand)


def unavailable(**arguments: Any) -> PythonUnavailable:
    failure = failure_of(lambda: chosen(**arguments))
    assert isinstance(failure, PythonUnavailable)
    return failure


def test_nothing_said_gives_the_default() -> None:
    assert chosen() == Chosen(Choice("3.10", "default"))


@pytest.mark.parametrize(("as_of", "version"), [("2021-12-31T23:59:59Z", "3.9"), ("2022-01-01T00:00:00Z", "3.10")])
def test_default_is_of_the_day_that_is_asked_for(as_of: str, version: str) -> None:
    assert choose(MappingSource({}), ROOT, Options(as_of=as_of)).choice.value == version
    demand = Required(">=3.8", Location("pyproject.toml", 5), constraint.parse(">=3.8"))
    assert choose(MappingSource({}), ROOT, Options(as_of=as_of), demand).choice.value == version


@pytest.mark.parametrize(
    ("as_of", "older"),
    [
        ("2020-10-04T23:59:59Z", "3.8"),
        ("2019-10-14T00:00:00Z", "3.8"),
        ("2019-06-01T00:00:00Z", "3.7"),
        ("2018-06-26T00:00:00Z", "3.6"),
    ],
)
def test_a_day_before_any_python_that_is_built_with_is_warned_of_with_the_one_of_that_day(
    as_of: str, older: str
) -> None:
    demand = Required(">=3.6", Location("pyproject.toml", 5), constraint.parse(">=3.6"))
    for required in (None, demand):
        result = choose(MappingSource({}), ROOT, Options(as_of=as_of), required)
        (warning,) = result.warnings
        assert (result.choice.value, warning.code) == ("3.9", "as-of-python")
        assert f"came out on 2020-10-05, after {as_of[:10]}" in warning.message
        assert f"python={older} " in warning.message


def test_a_python_that_was_asked_for_is_not_warned_of_by_its_day() -> None:
    day = "2019-06-01T00:00:00Z"
    assert choose(MappingSource({"runtime.txt": "python-3.10\n"}), ROOT, Options(as_of=day)).warnings == ()
    assert choose(MappingSource({}), ROOT, Options(as_of=day, python="3.10")).warnings == ()
    assert choose(MappingSource({}), ROOT, Options(as_of="2020-10-05T00:00:00Z")).warnings == ()


def test_option_comes_before_both_files() -> None:
    result = chosen({".python-version": "3.12\n", "runtime.txt": "python-3.11\n"}, python="3.13")
    assert result.choice == Choice("3.13", "option --python")
    assert [i.path for i in result.ignored] == [".python-version", "runtime.txt"]


def test_python_version_file_comes_before_runtime_txt() -> None:
    result = chosen({".python-version": "3.12\n", "runtime.txt": "python-3.11\n"})
    assert result.choice == Choice("3.12", ".python-version:1")
    assert [i.path for i in result.ignored] == ["runtime.txt"]


@pytest.mark.parametrize("text", ["python-3.11", "3.11", "3.11\n\n", "# why\npython-3.11\n"])
def test_runtime_txt_names_a_minor_version(text: str) -> None:
    assert chosen({"runtime.txt": text}).choice.value == "3.11"


@pytest.mark.parametrize("text", ["python-3.11.9", "3.11.9"])
def test_patch_level_is_dropped_with_a_note(text: str) -> None:
    assert chosen({"runtime.txt": text}).choice == Choice("3.11", f"runtime.txt:1, patch level of {text} dropped")
    assert chosen(python="3.11.9").choice == Choice("3.11", "option --python, patch level of 3.11.9 dropped")


@pytest.mark.parametrize("text", ["my-env", "pypy3.9-7.3.11", "system", "3"])
def test_python_version_file_that_names_none_is_a_warning(text: str) -> None:
    result = chosen({".python-version": text})
    assert result.choice.origin == "default"
    assert [w.code for w in result.warnings] == ["python-version-unused"]


def test_runtime_txt_of_another_language_is_refused() -> None:
    failure = failure_of(lambda: chosen({"runtime.txt": "\nr-4.1-2022-01-01"}))
    assert isinstance(failure, FileInvalid)
    assert failure.location == Location("runtime.txt", 2)


def test_unsupported_python_is_named_with_those_there_are() -> None:
    assert unavailable(files={"runtime.txt": "python-2.7.18"}) == PythonUnavailable(
        "python-2.7.18", "runtime.txt:1", SUPPORTED, by_file=True
    )
    assert unavailable(python="3.8").origin == "option --python"
    assert unavailable(python="newest").asked == "newest"


@pytest.mark.parametrize(
    ("required", "value"),
    [("^3.8", "3.10"), ("^3.12", "3.12"), ("<3.10", "3.9"), (">=3.9,!=3.10.*", "3.11"), ("3.11", "3.11"),
     ("<=3.10", "3.9"), ("~3.10.2", "3.10"), ("*", "3.10"), ("3.9 || 3.13.*", "3.13")],
)  # fmt: skip
def test_nearest_to_the_default_that_the_file_allows(required: str, value: str) -> None:
    assert chosen(required=required).choice == Choice(value, f"pyproject.toml:5: {required}")


def test_constraint_that_no_python_fits() -> None:
    assert unavailable(required="~3.7") == PythonUnavailable("~3.7", "pyproject.toml:5", SUPPORTED)


def test_option_outside_the_constraint_is_refused_with_what_it_allows() -> None:
    assert unavailable(python="3.9", required="^3.12").supported == ("3.12", "3.13", "3.14")


def test_python_version_file_counts_where_the_constraint_allows_it() -> None:
    assert chosen({".python-version": "3.12"}, required="^3.9").choice.value == "3.12"
    result = chosen({".python-version": "3.9", "runtime.txt": "python-3.13"}, required="^3.12")
    assert result.choice == Choice("3.13", "runtime.txt:1")
    assert [i.path for i in result.ignored] == [".python-version"]


@given(st.text(max_size=40))
@within_a_second
def test_any_file_chooses_or_fails_by_name(text: str) -> None:
    survives(lambda: chosen({".python-version": text, "runtime.txt": text}))
    minor = minor_of(text)
    assert minor is None or minor in text
