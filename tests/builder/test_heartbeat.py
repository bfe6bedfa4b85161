"""A worker's sign of life goes on whatever fails beside it, and where it cannot, the worker ends."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from dbos import error as dbos_errors

from builder.failures.served import RecordAbsent
from builder.heartbeat import Heartbeat
from builder.journal import JournalTaken
from builder.store import Store
from detectors.failures import BuildError

PATIENCE = 10.0


@dataclass
class Looks:
    """What a worker does after each beat."""

    errors: list[Exception]
    over: threading.Event = field(default_factory=threading.Event)
    """Set once nothing fails any more."""

    def __call__(self) -> None:
        if self.errors:
            raise self.errors.pop()
        self.over.set()


Beat = Callable[[Callable[[], None]], threading.Event]


@pytest.fixture
def beat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beat]:
    """A function that lets a worker live, and gives what is set once it must end."""
    monkeypatch.setattr("builder.heartbeat.BEAT", 0.001)
    monkeypatch.setattr("builder.heartbeat.LEASE", 0.0)
    store = Store(f"sqlite:///{tmp_path / 'records.db'}")
    store.migrate()
    made: list[Heartbeat] = []

    def start(look: Callable[[], None]) -> threading.Event:
        lost = threading.Event()
        made.append(Heartbeat(store, "worker", 1, look, lost.set))
        made[0].start()
        return lost

    yield start
    monkeypatch.undo()
    made[0].stop()
    store.close()


def test_a_worker_goes_on_beating_whatever_fails_when_it_looks_after_others(beat: Beat) -> None:
    looks = Looks(
        [
            OSError(errno.ENOSPC, "No space left on device"),
            JournalTaken(),
            dbos_errors.DBOSException("no"),
            BuildError(RecordAbsent("build", "x")),
        ]
    )
    lost = beat(looks)
    assert looks.over.wait(PATIENCE) and not lost.is_set()


def test_a_worker_that_can_beat_no_more_ends_and_says_why(beat: Beat, caplog: pytest.LogCaptureFixture) -> None:
    looks = Looks([RuntimeError("a slip")])
    assert beat(looks).wait(PATIENCE)
    assert "can give no sign of life any more" in caplog.text and "a slip" in caplog.text


def test_a_worker_that_was_taken_for_dead_ends(beat: Beat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "beat", lambda *_: False)
    assert beat(Looks([])).wait(PATIENCE)
