"""The journal of a build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.journal import LEFT_OUT, MAX_READ, MAX_TEXT, Journal
from builder.settings import Limits


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def write(journal: Journal, *lines: str) -> None:
    with journal.open("b") as writer:
        for line in lines:
            writer.append("log", {"step": "lock", "text": line})


def texts(journal: Journal, after: int = 0) -> list[str]:
    return [event.content["text"] for event in journal.after("b", after)]


def test_events_come_back_in_order_and_go_on_behind_each(journal: Journal) -> None:
    write(journal, "eins\n", "zwei\n", "größer\n")
    events = journal.after("b", 0)
    assert [event.content["text"] for event in events] == ["eins\n", "zwei\n", "größer\n"]
    assert texts(journal, events[0].id) == ["zwei\n", "größer\n"]
    assert journal.after("b", events[2].id) == () and journal.size("b") == events[2].id


def test_a_journal_that_was_not_begun_is_empty(journal: Journal) -> None:
    assert journal.after("b", 0) == () and journal.size("b") == 0


def test_a_line_that_was_not_finished_is_not_seen_and_makes_way_for_the_next(journal: Journal, tmp_path: Path) -> None:
    write(journal, "whole\n")
    ids = [event.id for event in journal.after("b", 0)]
    with (tmp_path / "b.events").open("a") as file:
        file.write('{"type":"log","te')
    assert texts(journal) == ["whole\n"]
    write(journal, "next\n")
    assert texts(journal) == ["whole\n", "next\n"] and texts(journal, ids[0]) == ["next\n"]


@pytest.mark.parametrize("before", [("whole\n",), ()])
@pytest.mark.parametrize("length", [0, 2 * MAX_READ])
def test_a_line_of_any_length_that_was_not_finished_makes_way(
    journal: Journal, tmp_path: Path, before: tuple[str, ...], length: int
) -> None:
    write(journal, *before)
    with (tmp_path / "b.events").open("a") as file:
        file.write(json.dumps({"type": "log", "step": "lock", "text": "🌊" * MAX_TEXT + "x" * length})[:-1])
    write(journal, "next\n")
    assert texts(journal) == [*before, "next\n"]


def test_a_log_is_whole_although_its_file_fell_behind_the_journal(journal: Journal) -> None:
    write(journal, "one\n", "two\n")
    journal.log("b").write_text("on")
    write(journal, "three\n")
    assert journal.log("b").read_text() == "one\ntwo\nthree\n"


def test_a_log_is_never_shorter_while_its_journal_is_opened_again(journal: Journal) -> None:
    write(journal, "one\n", "two\n")
    reader = journal.log("b").open()
    with reader, journal.open("b"):
        assert reader.read() == journal.log("b").read_text() == "one\ntwo\n"


def test_a_log_that_is_ahead_of_its_journal_goes_back_to_it(journal: Journal) -> None:
    write(journal, "one\n")
    with journal.log("b").open("a") as log:
        log.write("two, which a loss of power took from the journal\n")
    write(journal, "three\n")
    assert journal.log("b").read_text() == "one\nthree\n"


def test_an_id_that_is_none_goes_on_with_the_next_whole_line(journal: Journal) -> None:
    write(journal, "one\n", "two\n")
    assert texts(journal, 5) == ["two\n"]
    assert texts(journal, 10**9) == []


def test_a_burst_longer_than_an_event_is_whole_in_the_events_and_in_the_log(journal: Journal) -> None:
    burst = "".join(f"line {number} é\n" for number in range(3_000))
    assert len(burst) > 2 * MAX_TEXT
    write(journal, burst)
    found = [event.content for event in journal.every("b")]
    assert "".join(content["text"] for content in found) == journal.log("b").read_text() == burst
    assert all(content["step"] == "lock" and len(content["text"]) <= MAX_TEXT for content in found)
    assert all(content["text"].endswith("\n") for content in found)


def test_a_line_longer_than_an_event_is_whole(journal: Journal) -> None:
    write(journal, "x" * (3 * MAX_TEXT) + "\n")
    assert journal.log("b").read_text() == "x" * (3 * MAX_TEXT) + "\n"


@pytest.mark.parametrize("word", ["x", "ä", "🌊"])
def test_a_log_is_whole_up_to_its_bound_and_says_that_more_is_left_out(tmp_path: Path, word: str) -> None:
    journal = Journal(tmp_path, Limits(build_log=100_000))
    write(journal, *[word * 9_999 + "\n"] * 20)
    write(journal, "more\n")
    with journal.open("b") as writer:
        writer.append("end", {"state": "succeeded"})
    kept = journal.log("b").read_text().removesuffix(LEFT_OUT)
    assert kept == ((word * 9_999 + "\n") * 20)[: len(kept)] and 99_996 < len(kept.encode()) <= 100_000
    assert "".join(event.content.get("text", "") for event in journal.every("b")) == kept + LEFT_OUT
    assert [event.type for event in journal.every("b")][-1] == "end"


def test_a_log_that_just_fits_its_bound_has_nothing_left_out(tmp_path: Path) -> None:
    journal = Journal(tmp_path, Limits(build_log=10))
    write(journal, "123456789\n")
    assert journal.log("b").read_text() == "123456789\n"
    write(journal, "more\n", "and more\n")
    assert journal.log("b").read_text() == "123456789\n" + LEFT_OUT


def test_a_writer_knows_that_the_end_was_written_before_it(journal: Journal) -> None:
    with journal.open("b") as writer:
        assert not writer.ended
        writer.append("end", {"state": "failed"})
    with journal.open("b") as writer:
        assert writer.ended


def test_a_journal_that_is_forgotten_leaves_nothing(journal: Journal, tmp_path: Path) -> None:
    write(journal, "one\n")
    journal.forget("b")
    journal.forget("b")
    assert list(tmp_path.iterdir()) == []
