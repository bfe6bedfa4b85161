from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.failures import FileInvalid, Location
from detectors.tomlfile import Document
from tests.detectors.asking import failure_of, survives, within_a_second

TEXT = """\
[project]
name = "shapes"
dependencies = [
    "six",
    "attrs",
]

[tool.uv.sources]
points = { path = "points" }

[[tool.uv.index]]
url = "https://index.example.org"
"""


def document(text: str = TEXT) -> Document:
    return Document("pyproject.toml", text)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("project",), 1),
        (("project", "name"), 2),
        (("tool", "uv"), 8),
        (("tool", "uv", "sources", "points"), 9),
        (("tool", "uv", "sources", "points", "path"), 9),
        (("tool", "uv", "index"), 11),
        (("build-system",), 0),
    ],
)
def test_keys_are_found_by_line(keys: tuple[str, ...], line: int) -> None:
    assert document().location(*keys) == Location("pyproject.toml", line)


def test_text_below_a_key_is_found_by_line() -> None:
    assert document().location("project", "dependencies", holding="attrs").line == 5
    assert document().location("project", "dependencies", holding="nowhere").line == 3


def test_absent_values_are_empty() -> None:
    assert document().table("tool", "poetry") == {}
    assert document().string("project", "version") is None
    assert document().strings("project", "dynamic") == []
    assert document().tables("tool", "poetry", "source") == []
    assert not document().has("tool", "poetry")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a = 1", lambda d: d.table("a")),
        ("a = 1", lambda d: d.table("a", "b")),
        ("a = 1", lambda d: d.string("a")),
        ("a = [1]", lambda d: d.strings("a")),
        ("a = 'x'", lambda d: d.strings("a")),
        ("a = [1]", lambda d: d.tables("a")),
    ],
)
def test_values_of_another_type_are_refused(text: str, read: object) -> None:
    assert callable(read)
    failure = failure_of(lambda: read(document(text)))
    assert isinstance(failure, FileInvalid)
    assert failure.location == Location("pyproject.toml", 1)


def test_bad_toml_is_refused_with_line_and_column() -> None:
    failure = failure_of(lambda: document('a = 1\nb = "open\n'))
    assert failure.location == Location("pyproject.toml", 2, 10)
    assert failure.found == 'b = "open'


@pytest.mark.parametrize("text", ["a=" + "[" * 100_000, "a=" + "9" * 5_000, ".".join("a" * 5_000) + "=1"])
def test_toml_without_measure_is_refused(text: str) -> None:
    assert failure_of(lambda: document(text)).format == "TOML"


@given(st.text())
@within_a_second
def test_any_text_parses_or_fails_by_name(text: str) -> None:
    survives(lambda: document(text).location("project", "name"))
