"""The whole service in one process, over SQLite and a state directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.failures.served import StateTaken
from builder.journal import Journal
from builder.locks import LockTimeout, held
from builder.metrics import Metrics
from builder.previews import Previews
from builder.queue import Queue
from builder.scratch import clear_all
from builder.service import Builder, Engine, Service, Settings
from builder.store import Store
from builder.worker import Runner
from detectors.failures import BuildError


@dataclass(frozen=True, slots=True)
class Embedded:
    """A service that runs, and what its operator asks about it."""

    service: Service
    store: Store
    queue: Queue
    metrics: Metrics


@contextmanager
def embedded(settings: Settings, engine: Engine, runner: Runner, at_once: int | None = None) -> Iterator[Embedded]:
    """The service over `settings.state_dir`, for as long as the block lasts; it goes on with what was under way.

    Raises BuildError(StateTaken) where another one works on that directory.
    """
    directory = Path(settings.state_dir, "service")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with held(directory / "lock", 5):
            yield from _running(directory, settings, engine, runner, at_once or max(2, (os.cpu_count() or 2) // 2))
    except LockTimeout:
        raise BuildError(StateTaken(settings.state_dir)) from None


def _running(directory: Path, settings: Settings, engine: Engine, runner: Runner, at_once: int) -> Iterator[Embedded]:
    clear_all(settings.state_dir)
    store = Store(f"sqlite:///{directory / 'records.db'}")
    store.migrate()
    journal = Journal(directory / "builds")
    metrics = Metrics(directory)
    metrics.watch(store.counts)
    queue = Queue(f"sqlite:///{directory / 'queue.db'}", store, journal, runner, settings, metrics)
    previews = Previews(Builder(settings, engine, allow_local=settings.allow_local))
    queue.start(at_once)
    try:
        yield Embedded(Service(settings, store, journal, queue, previews), store, queue, metrics)
    finally:
        queue.stop()
        store.close()
