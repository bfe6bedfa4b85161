"""The journal of a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.journal import MAX_LOG, MAX_TEXT, Journal


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


def test_a_log_is_whole_although_its_file_fell_behind_the_journal(journal: Journal) -> None:
    write(journal, "one\n", "two\n")
    journal.log("b").write_text("on")
    write(journal, "three\n")
    assert journal.log("b").read_text() == "one\ntwo\nthree\n"


def test_an_id_that_is_none_goes_on_with_the_next_whole_line(journal: Journal) -> None:
    write(journal, "one\n", "two\n")
    assert texts(journal, 5) == ["two\n"]
    assert texts(journal, 10**9) == []


def test_a_log_is_bounded_and_says_so_and_steps_go_on(journal: Journal) -> None:
    text = "x" * (MAX_TEXT - 1) + "\n"
    write(journal, *[text] * (MAX_LOG // MAX_TEXT + 10))
    with journal.open("b") as writer:
        writer.append("log", {"step": "lock", "text": "more\n"})
        writer.append("end", {"state": "succeeded"})
    log = journal.log("b").read_text()
    assert len(log.encode()) <= MAX_LOG + MAX_TEXT and "the rest of the log is left out" in log and "more" not in log
    assert [event.type for event in journal.every("b")][-1] == "end"


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
