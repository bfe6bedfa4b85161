"""Sizes, ages and dates as people write and read them."""

from __future__ import annotations

import pytest

from builder.failures.asked import DateInvalid
from builder.quantities import duration_in_words, duration_of, instant_of, size_in_words, size_of
from detectors.failures import BuildError


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20_000_000_000), ("512m", 512_000_000), ("1.5 kB", 1_500), ("7", 7), ("0B", 0)]
)
def test_size_is_read_in_powers_of_ten(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 2_592_000), ("12h", 43_200), ("90m", 5_400), ("2w", 1_209_600), ("0s", 0)]
)
def test_age_is_read_with_its_unit(text: str, seconds: int) -> None:
    assert duration_of(text) == seconds


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1 PB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="20GB"):
        size_of(text)


@pytest.mark.parametrize("text", ["", "30", "d", "-3d", "1.5h"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="30d"):
        duration_of(text)


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2021", "2021-02-30", "2021-13-01", "9999-12-31T23:59:59-12:00", "2021-06-01T25:00"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(BuildError):
        instant_of(text)


def test_a_day_that_is_to_come_is_refused_as_that() -> None:
    with pytest.raises(BuildError) as raised:
        instant_of("2999-01-01")
    assert raised.value.failure == DateInvalid("2999-01-01", to_come=True)


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (659_400_000, "659 MB"), (3_210_000_000, "3.2 GB"), (2e12, "2.0 TB")],
)
def test_size_is_written_to_be_read(size: float, words: str) -> None:
    assert size_in_words(size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (59.96, "1 min 0 s"), (12.34, "12.3 s"), (125, "2 min 5 s"), (7_200, "2 h"), (300_000, "3 d")],
)
def test_duration_is_written_to_be_read(seconds: float, words: str) -> None:
    assert duration_in_words(seconds) == words
