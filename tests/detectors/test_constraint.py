from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.constraint import parse
from tests.detectors.asking import within_a_second


@pytest.mark.parametrize(
    ("text", "allowed", "refused"),
    [
        ("^3.9", [(3, 9, 0), (3, 13, 4)], [(3, 8, 99), (4, 0, 0)]),
        ("~3.10", [(3, 10, 0), (3, 10, 99)], [(3, 11, 0), (3, 9, 0)]),
        ("~3", [(3, 0, 0), (3, 14, 0)], [(4, 0, 0)]),
        ("~3.10.2", [(3, 10, 2), (3, 10, 9)], [(3, 10, 1), (3, 11, 0)]),
        ("~=3.10", [(3, 10, 0), (3, 14, 0)], [(4, 0, 0), (3, 9, 0)]),
        ("~=3.10.2", [(3, 10, 2)], [(3, 11, 0)]),
        (">=3.8,<4.0", [(3, 8, 0), (3, 14, 1)], [(4, 0, 0)]),
        (">= 3.8 <3.11", [(3, 10, 99)], [(3, 11, 0)]),
        ("3.11", [(3, 11, 0)], [(3, 11, 1), (3, 10, 0)]),
        ("3.10.*", [(3, 10, 0), (3, 10, 13)], [(3, 11, 0)]),
        ("==3.10.*", [(3, 10, 13)], [(3, 11, 0)]),
        ("3.*", [(3, 14, 0)], [(4, 0, 0)]),
        ("*", [(2, 7, 0), (3, 14, 0)], []),
        ("^3.8 || ^3.10", [(3, 8, 0), (3, 12, 0)], [(4, 0, 0)]),
        (">=3.9,!=3.10.*", [(3, 9, 0), (3, 11, 0)], [(3, 10, 4)]),
        (">=3.9,<3.13.0a1", [(3, 12, 0)], [(3, 13, 0)]),
        ("!=3.9.7,>3.9", [(3, 9, 8)], [(3, 9, 7), (3, 9, 0)]),
    ],
)
def test_constraint_admits(text: str, allowed: list[tuple[int, int, int]], refused: list[tuple[int, int, int]]) -> None:
    admits = parse(text)
    assert [v for v in allowed if not admits(v)] == []
    assert [v for v in refused if admits(v)] == []


@pytest.mark.parametrize("text", ["", "three", "^^3.9", ">=", "3.9 ||", "3.9.1.2.3", "^3.9 and more", "3..9", "=>3.9"])
def test_another_syntax_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no version constraint"):
        parse(text)


@given(st.text(alphabet="0123.^~<>=!*|, xrc", max_size=80))
@within_a_second
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        admits = parse(text)
    except ValueError:
        return
    assert admits((3, 10, 0)) in (True, False)
