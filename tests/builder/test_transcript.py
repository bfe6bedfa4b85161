"""What steps print comes in as whole lines of plain text, bounded, and without secrets."""

from __future__ import annotations

import tracemalloc

from builder.transcript import LAST, LINE, Transcript, printable

STEP = "[env 2/2] RUN install"


def test_lines_are_given_whole_however_they_came() -> None:
    transcript = Transcript(1_000)
    given = [transcript.add(STEP, 1, part) for part in (b"on", b"e\ntw", b"o\n", b"caf\xc3", b"\xa9\n")]
    assert given == ["", "one\n", "two\n", "", "café\n"]


def test_a_line_that_a_step_did_not_end_is_given_with_the_step_s_end() -> None:
    transcript = Transcript(1_000)
    assert transcript.add(STEP, 1, b"the rest") == ""
    assert transcript.end(STEP) == "the rest\n"
    assert transcript.last(STEP) == ("the rest",)
    assert transcript.end(STEP) == ""


def test_both_streams_and_other_steps_keep_their_lines_apart() -> None:
    transcript = Transcript(1_000)
    transcript.add(STEP, 1, b"out")
    transcript.add(STEP, 2, b"err")
    transcript.add("other", 1, b"oth")
    assert transcript.add(STEP, 1, b"put\n") == "output\n"
    assert transcript.add(STEP, 2, b"or\n") == "error\n"
    assert transcript.end("other") == "oth\n"


def test_an_aside_for_whoever_explains_is_kept_and_not_shown() -> None:
    transcript = Transcript(1_000)
    assert transcript.add(STEP, 2, b"no such package\nlaunchyard-why: {}\n") == "no such package\n"
    assert transcript.last(STEP) == ("no such package", "launchyard-why: {}")


def test_what_a_progress_bar_overwrites_is_left_out() -> None:
    assert Transcript(1_000).add(STEP, 1, b"10 %\r50 %\r100 %\r\n") == "100 %\n"


def test_a_secret_is_never_shown_even_in_pieces_or_behind_escapes() -> None:
    transcript = Transcript(1_000, ["ada:p%40ss-word", "p%40ss-word"])
    said = transcript.add(STEP, 1, b"https://ada:p%40ss") + transcript.add(STEP, 1, b"-word@host p@ss\x1b[0m-word\n")
    assert said == "https://***@host ***\n"
    assert transcript.last(STEP) == ("https://***@host ***",)
    assert transcript.plain("it is p%40ss-word") == "it is ***"


def test_a_secret_at_the_end_of_what_is_kept_of_a_line_is_not_shown_in_part() -> None:
    transcript = Transcript(100_000, ["secret-of-ada"])
    assert "secret" not in transcript.add(STEP, 1, b"x" * (LINE - 6) + b"secret-of-ada and more\n")


def test_a_line_without_an_end_takes_no_memory() -> None:
    transcript = Transcript(1_000_000)
    part = b"x" * 1_000_000
    tracemalloc.start()
    for _ in range(1_000):
        assert transcript.add(STEP, 1, part) == ""
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    assert transcript.end(STEP) == "x" * LINE + "…\n"


def test_past_its_bound_nothing_more_is_shown_and_the_last_lines_are_still_known() -> None:
    transcript = Transcript(20)
    shown = "".join(transcript.add(STEP, 1, f"line {number}\n".encode()) for number in range(1_000))
    assert shown == "line 0\nline 1\n[20 bytes of log: no more is shown]\n"
    assert len(transcript.last(STEP)) == LAST
    assert transcript.last(STEP)[-1] == "line 999"


def test_nothing_that_steers_a_terminal_is_printable() -> None:
    said = "\x1b]0;title\x07\x1b[31mred\x1b[0m \x9b31m\u202eabc\x00\tend\ud800\n"
    assert printable(said) == "red 31mabc    end\n"
