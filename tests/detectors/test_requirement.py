from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.failures import explain
from detectors.failures import FileInvalid, Location
from detectors.requirement import check_url, requirement
from tests.detectors.asking import failure_of, survives, within_a_second

HERE = Location("requirements.txt", 3)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.whl",
        "http://example.org:8080/a.whl",
        "git+https://example.org/a@v1",
        "HTTPS://[::1]/",
        "https://example.org/user@name",
    ],
)
def test_address_that_a_build_can_reach(url: str) -> None:
    check_url(url, HERE)


@pytest.mark.parametrize(
    "url",
    ["", "a.whl", "file:///a", "ssh://e.org/a", "https://", "https:///a", "https://e.org:port/", "https://u@e.org/"],
)
def test_address_that_no_build_can_reach_is_refused(url: str) -> None:
    failure = failure_of(lambda: check_url(url, HERE))
    assert isinstance(failure, FileInvalid)
    assert failure.location == HERE


def test_schemes_can_be_narrowed() -> None:
    assert isinstance(failure_of(lambda: check_url("http://e.org", HERE, ("https",))), FileInvalid)


def test_file_address_is_told_the_form_to_write() -> None:
    assert "./path" in failure_of(lambda: check_url("file:///srv/a", HERE)).problem


@pytest.mark.parametrize(
    ("text", "edit"),
    [("numpy=>1.20", "numpy>=1.20"), ("numpy[a] =< 2", "numpy[a] <= 2"), ("numpy=1", "numpy==1")],
)
def test_comparison_that_is_written_the_wrong_way_is_told_the_right_one(text: str, edit: str) -> None:
    failure = failure_of(lambda: requirement(text, HERE))
    assert explain(failure).fix == (f"Write {edit} in line 3 of requirements.txt.",)


def test_requirement_is_read() -> None:
    parsed = requirement("Requests[socks] >= 2 ; python_version < '4'", HERE)
    assert (parsed.name, parsed.extras, str(parsed.specifier)) == ("Requests", {"socks"}, ">=2")


@pytest.mark.parametrize("text", ["", "a b", "a==", "a @ file:///x", "a;" + "(" * 1_500, "a" * 2_001])
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    failure = failure_of(lambda: requirement(text, HERE))
    assert isinstance(failure, FileInvalid)
    assert failure.location == HERE


@given(st.text(max_size=3_000))
@within_a_second
def test_any_text_is_read_or_fails_by_name(text: str) -> None:
    survives(lambda: requirement(text, HERE))
    survives(lambda: check_url(text, HERE))
