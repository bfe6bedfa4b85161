from __future__ import annotations

import pytest

from detectors.failures import Location, invalid


def shown(found: str, problem: str = "") -> tuple[str, str]:
    failure: object = invalid(Location("a"), "x", found, problem).failure
    return failure.found, failure.problem  # type: ignore[attr-defined]


def test_location_reads_as_editors_write_it() -> None:
    assert [str(Location("a", *at)) for at in ((), (3,), (3, 4))] == ["a", "a:3", "a:3:4"]


def test_texts_are_one_short_line() -> None:
    assert shown("\n  one\ntwo") == ("one", "")
    found, problem = shown("x" * 1_000, "y" * 1_000)
    assert (len(found), len(problem)) == (100, 200)


@pytest.mark.parametrize("userinfo", ["hunter2", "robot:hunter2", "robot:hun/ter2", ":hunter2", "a%40b:hunter2"])
def test_credentials_are_taken_out(userinfo: str) -> None:
    text = f"pip install {'x' * 80} https://{userinfo}@example.org/"
    assert "ter2" not in "".join(shown(text, text))


def test_plain_addresses_stay() -> None:
    assert shown("git+https://example.org/a#egg=a")[0] == "git+https://example.org/a#egg=a"
