"""What a person sees of a build: stages, not BuildKit's bookkeeping."""

from __future__ import annotations

import io
import re

from builder.engine import Log, Step
from builder.progress import LiveView, progress

BUILD = (
    Step("[internal] load build definition from Dockerfile", 100, 100.1),
    Step("[request 1/1] COPY request/ /", 100, 100.1),
    Step("[interpreter 1/2] FROM lab/tools", 100, 100.1),
    Step("[interpreter 2/2] RUN bytecode", 100, 100.1, cached=True),
    Step("[lock 1/2] COPY source/ /work/", 100, 100.5),
    Step("[lock 2/2] RUN lock", 100.5),
    Log("[lock 2/2] RUN lock", "Collecting six\n"),
    Step("[lock 2/2] RUN lock", 100.5, 102.5),
    Step("[environment 1/2] RUN install", 102.5, 104),
    Step("[environment 2/2] RUN finish", 104, 105),
    Step("[stage-6 2/2] COPY --from=env /opt/ /opt/", 105, 105.2),
    Step("exporting to image", 105.2, 106),
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(*events: Step | Log) -> list[str]:
    stream = io.StringIO()
    with progress(stream) as report:
        for event in events:
            report(event)
    return [line.strip() for line in stream.getvalue().splitlines()]


def test_each_finished_stage_is_one_line() -> None:
    assert lines(*BUILD) == [
        "cached  preparing Python",
        "2.5 s  deciding versions and fetching packages",
        "2.5 s  installing packages",
        "0.8 s  keeping the image",
    ]


def test_step_that_is_reported_twice_is_told_once() -> None:
    assert lines(*BUILD, *BUILD) == lines(*BUILD)


def test_failed_step_is_told_at_once() -> None:
    failed = Step("[lock 1/3] RUN lock", 100, 101, error="exit code: 1")
    assert lines(failed) == ["failed  deciding versions and fetching packages"]


def test_copy_that_takes_long_is_told() -> None:
    assert lines(Step("[python 1/1] FROM python:3.12", 100, 109)) == ["9.0 s  fetching the Python base"]


def test_parents_are_told_apart_from_the_environment() -> None:
    assert lines(Step("[2/2] RUN apt-get", 100, 160, parent="tools")) == [
        "1 min 0 s  the tools image, once for all builds"
    ]


def test_live_view_shows_stages_and_what_the_running_one_says() -> None:
    stream = Terminal()
    with progress(stream) as report:
        assert isinstance(report, LiveView)
        for event in BUILD[:7]:
            report(event)
        report(Log("[lock 2/2] RUN lock", "\x1b[31mDownloading\x1b[0m\n"))
        report(BUILD[7])
    shown = stream.getvalue()
    assert "deciding versions" in shown
    assert "cached" in shown
    assert "[internal]" not in shown
    assert "\x1b[31mDownloading" not in shown


def test_live_view_ends_with_what_each_stage_has_added_to_the_image() -> None:
    stream = Terminal()
    with progress(stream) as report:
        for event in BUILD:
            report(event)
        report(Step("[environment 1/2] RUN install", 102.5, 104, size=40_000_000))
        report(Step("[environment 2/2] RUN finish", 104, 105, size=2_000_000))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert re.search(r"installing packages +2\.5 s +42 MB", shown)


def test_live_view_shows_no_stage_of_which_only_the_image_that_it_starts_from_is_there() -> None:
    stream = Terminal()
    with progress(stream) as report:
        report(Step("[environment 2/2] RUN install"))
        report(Step("[environment 1/2] FROM lab/parent", 99, 99.0003))
        for event in BUILD[2:4]:
            report(event)
    assert "preparing Python" in stream.getvalue()
    assert "installing packages" not in stream.getvalue()


def test_live_view_has_stages_in_the_order_in_which_their_work_began() -> None:
    stream = Terminal()
    with progress(stream) as report:
        report(Step("[environment 1/2] FROM lab/parent", 99, 99.0003))
        for event in BUILD:
            report(event)
    shown = stream.getvalue()
    assert shown.rindex("preparing Python") < shown.rindex("deciding versions") < shown.rindex("installing packages")


def test_live_view_of_a_reused_image_shows_nothing() -> None:
    stream = Terminal()
    with progress(stream):
        pass
    assert stream.getvalue() == ""
