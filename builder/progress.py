"""Progress of a build on standard error: a live view on a terminal, a line for each finished step elsewhere."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from builder.engine import Log, Report, Step
from builder.quantities import duration_in_words, size_in_words
from builder.stages import stage_of
from builder.transcript import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table

NOTEWORTHY = 1.0
"""Seconds from which a step that only copies is worth a line."""


@contextmanager
def progress(stream: TextIO | None = None) -> Iterator[Report]:
    """A Report that shows a build as it goes on; the live view ends, and stays, when the block is left."""
    stream = stream or sys.stderr
    if not stream.isatty():
        yield Lines(stream)
        return
    view = LiveView(stream)
    try:
        yield view
    finally:
        view.close()


@dataclass(slots=True)
class Stage:
    """Steps of a build that a person thinks of as one."""

    words: str
    steps: dict[str, Step] = field(default_factory=dict)
    told: bool = False

    @property
    def seconds(self) -> float:
        """How long its steps took, each for itself: stages run side by side."""
        now = time.time()
        return sum((s.completed or now) - s.started for s in self.steps.values() if s.started)

    @property
    def size(self) -> int:
        """Bytes that it has added to the image, as far as that is known."""
        return sum(s.size or 0 for s in self.steps.values())

    @property
    def started(self) -> float:
        """When its own work began, not what that starts from; after everything else where nothing has."""
        return min((s.started for s in self._at_work or self.steps.values() if s.started), default=float("inf"))

    @property
    def noteworthy(self) -> bool:
        """Whether it is more than a few copies."""
        return self.failed or self.seconds >= NOTEWORTHY or bool(self._at_work)

    @property
    def running(self) -> bool:
        return any(s.started and not s.completed for s in self.steps.values())

    @property
    def cached(self) -> bool:
        steps = [s for s in self.steps.values() if " FROM " not in s.name]
        return bool(steps) and all(s.cached for s in steps)

    @property
    def failed(self) -> bool:
        return any(s.error for s in self.steps.values())

    @property
    def _at_work(self) -> list[Step]:
        """The steps that do more than copy, of those that have begun."""
        return [s for s in self.steps.values() if s.started and (" RUN " in s.name or s.name.startswith("exporting"))]


class Lines:
    """One line for each stage that is finished, and not one for every copy or log line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stages: dict[tuple[str, str], Stage] = {}

    def __call__(self, event: Step | Log) -> None:
        if isinstance(event, Log) or not (words := stage_of(event)):
            return
        name, last = _place(event)
        stage = self._stages.setdefault((words, name), Stage(words))
        stage.steps[event.name] = event
        if event.completed and (event.error or last) and not stage.told:
            stage.told = True
            self._say(stage)

    def _say(self, stage: Stage) -> None:
        if not stage.noteworthy:
            return
        how = "failed" if stage.failed else "cached" if stage.cached else duration_in_words(stage.seconds)
        self._stream.write(f"{how:>10}  {stage.words}\n")
        self._stream.flush()


def _place(step: Step) -> tuple[str, bool]:
    """The name of a step's stage, and whether it is its last step: of "[env 3/3] …", "env" and true."""
    found = re.match(r"\[(?:([\w-]+) )?(\d+)/(\d+)\]", step.name)
    return (found[1] or "", found[2] == found[3]) if found else ("", True)


class LiveView:
    """The stages with their times, redrawn in place; nothing is shown until there is a step to show."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stages: dict[str, Stage] = {}
        self._said = ""
        self._live: Live | None = None
        self._spinner: RenderableType = ""

    def __call__(self, event: Step | Log) -> None:
        if isinstance(event, Log):
            self._said = next((line for line in reversed(event.text.splitlines()) if line.strip()), self._said)
        elif words := stage_of(event):
            self._stages.setdefault(words, Stage(words)).steps[event.name] = event
            self._start()

    def close(self) -> None:
        self._said = ""
        if self._live:
            self._live.stop()

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        stages = [stage for stage in list(self._stages.values()) if stage.noteworthy]
        for stage in sorted(stages, key=lambda stage: stage.started):
            live = self._live is not None and stage.running
            mark = self._spinner if live else Text("✗", "red") if stage.failed else Text("✓", "green")
            took = "cached" if stage.cached else duration_in_words(stage.seconds)
            size = size_in_words(stage.size) if stage.size else ""
            said = printable(self._said)[:70] if live else ""
            table.add_row(
                mark,
                Text(stage.words),
                Text(took, "cyan", justify="right"),
                Text(size, justify="right"),
                Text(said, "dim", no_wrap=True),
            )
        return table

    def _start(self) -> None:
        if self._live is not None:
            return
        from rich.console import Console
        from rich.live import Live
        from rich.spinner import Spinner

        self._spinner = Spinner("dots")
        console = Console(file=self._stream, stderr=True)
        self._live = Live(console=console, get_renderable=self.__rich__, refresh_per_second=8)
        self._live.start()
