from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.failures import FileInvalid, Location
from detectors.yamlfile import MAX_DEPTH, Node, parse
from tests.detectors.asking import failure_of, survives, within_a_second


def plain(node: Node) -> object:
    match node.value:
        case list(nodes):
            return [plain(n) for n in nodes]
        case dict(nodes):
            return {key: plain(n) for key, n in nodes.items()}
        case value:
            return value


def problem(text: str) -> FileInvalid:
    failure = failure_of(lambda: parse("environment.yml", text))
    assert isinstance(failure, FileInvalid)
    return failure


def test_scalars_stay_as_they_were_written() -> None:
    document = parse("e", "a: 3.10\nb: [010, yes, 1e3, 2024-01-01]\nc: ~\nd: '~'\ne:\n")
    expected = {"a": "3.10", "b": ["010", "yes", "1e3", "2024-01-01"], "c": None, "d": "~", "e": None}
    assert plain(document) == expected


@pytest.mark.parametrize(
    "text",
    ["a:\n\t# why\n  - x\n", "a:\n  - x\t# why\n", "a:\t\n  - x\t\t\n", "\t# first\na:\n \t # mixed\n  - x\n"],
)
def test_tabs_before_comments_are_accepted(text: str) -> None:
    assert plain(parse("e", text)) == {"a": ["x"]}


def test_tabs_inside_values_are_kept() -> None:
    assert plain(parse("e", 'a: "x\t# y"\nb: |\n  one\t# two\n')) == {"a": "x\t# y", "b": "one\t# two\n"}


def test_tab_as_indentation_is_refused_with_its_place() -> None:
    failure = problem("a:\n\t- x\n")
    assert failure.location == Location("environment.yml", 2, 1)
    assert failure.found == "- x"


def test_positions_count_from_one() -> None:
    document = parse("e", "a:\n  - x\n")
    assert isinstance(document.value, dict)
    items = document.value["a"].value
    assert isinstance(items, list)
    assert items[0].location == Location("e", 2, 5)


def test_aliases_are_read() -> None:
    assert plain(parse("e", "a: &x [1]\nb: *x\n")) == {"a": ["1"], "b": ["1"]}


def test_aliases_that_explode_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "values" in problem("\n".join(lines)).problem


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 5_000, "- " * 5_000, "[" * (MAX_DEPTH + 2)])
def test_nesting_without_measure_is_refused(text: str) -> None:
    assert "deep" in problem(text).problem


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2\n", 2),
        ("a: !!python/object:os.system x\n", 1),
        ("a: !!str x\n", 1),
        ("--- a\n--- b\n", 2),
        ("? [a]\n: b\n", 1),
        ("&a [*a]\n", 1),
        ("a: b: c\n", 1),
        ("x: 'open\n", 1),
        ("%YAML 9.9\n---\na\n", 1),
        ("a\u2028b\u2028c: *d", 3),
    ],
)
def test_bad_yaml_is_refused_with_its_line(text: str, line: int) -> None:
    assert problem(text).location.line == line


def test_control_character_is_refused() -> None:
    assert problem("a: \x01\n").format == "YAML"


def test_empty_text_is_null() -> None:
    assert parse("e", "# nothing\n").value is None


@given(st.text())
@within_a_second
def test_any_text_parses_or_fails_by_name(text: str) -> None:
    survives(lambda: parse("e", text))


@given(st.text(alphabet="ab:-&*!|>?#[]{},'\"\t\n %@", max_size=60))
@within_a_second
def test_any_punctuation_parses_or_fails_by_name(text: str) -> None:
    survives(lambda: parse("e", text))
