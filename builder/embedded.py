"""The service in a process: all of it over SQLite and a state directory, or one of several over Postgres."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy.exc import OperationalError

from builder.database import driver_url, explained, summary, url_of
from builder.failures.served import DatabaseNeeded, StateTaken, StateUnusable
from builder.ids import new_id
from builder.journal import Journal
from builder.locks import LEAVING, LockTimeout, held
from builder.metrics import Metrics
from builder.previews import Previews
from builder.queue import Queue
from builder.scratch import clear_all
from builder.service import Builder, Engine, Service, Settings
from builder.space import no_room
from builder.store import Store
from builder.worker import Runner
from detectors.failures import BuildError

Role = Literal["all", "api", "worker"]
"""What a process does: it answers requests, it runs builds, or both."""

EMBEDDED = "embedded"
"""The worker of a service that has its database for itself: it goes on with what it had in hand when it ended."""

TIDYING = 300.0
"""Seconds between two looks for what was left in the engine and is old enough to be nobody's."""

CHECKPOINTS = 20.0
"""Seconds between two times that SQLite's log of writes is brought into its file, beside who writes."""

log = logging.getLogger("launchyard")


@dataclass(frozen=True, slots=True)
class Embedded:
    """A service that runs, and what its operator asks about it."""

    service: Service
    store: Store
    queue: Queue
    metrics: Metrics
    role: Role


@contextmanager
def embedded(
    settings: Settings, engine: Engine, runner: Runner, role: Role = "all", at_once: int | None = None
) -> Iterator[Embedded]:
    """The service, for as long as the block lasts; a worker goes on with what was under way.

    Raises BuildError: StateTaken where another one works on that directory without a database between them,
    DatabaseNeeded where a role of several is asked for without one, and what is wrong with a database or its disk.
    """
    if role != "all" and not settings.database:
        raise BuildError(DatabaseNeeded(role))
    directory = Path(settings.state_dir, "service")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / "lock").touch()
    except OSError as error:
        full = no_room(error, settings.state_dir)
        raise BuildError(full or StateUnusable(settings.state_dir, error.strerror or str(error))) from None
    at_once = 0 if role == "api" else at_once or max(2, (os.cpu_count() or 2) // 2)
    try:
        with nullcontext() if settings.database else held(directory / "lock", LEAVING), explained(url_of(settings)):
            yield from _running(directory, settings, engine, runner, role, at_once)
    except LockTimeout:
        raise BuildError(StateTaken(settings.state_dir)) from None


def _running(
    directory: Path, settings: Settings, engine: Engine, runner: Runner, role: Role, at_once: int
) -> Iterator[Embedded]:
    alone = not settings.database
    if alone:
        clear_all(settings.state_dir)
    with closing(Store(url_of(settings))) as store, _checkpoints(store) if alone else nullcontext():
        store.migrate()
        journal = Journal(directory / "builds", settings.limits)
        metrics = Metrics(directory)
        metrics.watch(store.counts, store.workers)
        place = driver_url(settings.database) if settings.database else f"sqlite:///{directory / 'queue.db'}"
        queue = Queue(place, store, journal, runner, settings, metrics)
        previews = Previews(Builder(settings, engine, allow_local=settings.allow_local, relative=False))
        over = threading.Event()
        try:
            with explained(place):
                queue.start(EMBEDDED if alone else new_id(), at_once)
            if at_once:
                threading.Thread(target=_tidy, args=(engine, over), name="tidy", daemon=True).start()
            yield Embedded(Service(settings, store, journal, queue, previews), store, queue, metrics, role)
        finally:
            over.set()
            queue.stop()


@contextmanager
def _checkpoints(store: Store) -> Iterator[None]:
    over = threading.Event()

    def keep_short() -> None:
        while not over.wait(CHECKPOINTS):
            try:
                store.checkpoint()
            except OperationalError as error:  # a full disk: who writes has to wait once the log is long
                log.warning("what was written is still in the database's log", extra={"problem": summary(error)})

    thread = threading.Thread(target=keep_short, name="checkpoints", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tidy(engine: Engine, over: threading.Event) -> None:
    while True:
        with suppress(BuildError):  # without an engine there is nothing to tidy, and builds say so
            engine.tidy()
        if over.wait(TIDYING):
            return
