"""Durable execution: every build that is remembered as under way runs to its end, whatever ends before it.

A build is a DBOS workflow under the build's own id, so it is never started twice. Its steps may run
again after a crash, and do no harm then: a build finds the image of its key, and recording what came
of one that has ended changes nothing.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID

from builder.failures import explain
from builder.failures.built import DiskFull
from builder.failures.served import BuilderLost
from builder.journal import Journal, Writer
from builder.metrics import Metrics
from builder.records import ENDED, Build, Environment, Outcome
from builder.service import Options, Request, Settings, Wish
from builder.store import Store
from builder.worker import Order, Runner, outcome_from_json, outcome_to_json

NAME = "builds"

VERSION = "1"
"""Of the workflow below: a service of another version leaves its workflows alone. Changes with its steps."""

POLLING = 0.1
"""Seconds between two looks for a build that can start."""

WATCHING = 0.4
"""Seconds between two looks for a cancellation, of each build that runs."""

log = logging.getLogger("launchyard")

build_in_hand: ContextVar[str] = ContextVar("build_in_hand", default="")
"""The id of the build that is worked on; in every line of the log."""


class Queue:
    """Runs builds, a few at a time, in the order in which they came. DBOS allows one in a process."""

    def __init__(
        self, url: str, store: Store, journal: Journal, runner: Runner, settings: Settings, metrics: Metrics
    ) -> None:
        self._url = url
        self._store = store
        self._journal = journal
        self._runner = runner
        self._settings = settings
        self._metrics = metrics

    def start(self, at_once: int) -> None:
        """Go on with what was under way, and take up what is asked for from now on."""
        global _queue
        config: DBOSConfig = {
            "name": "launchyard", "system_database_url": self._url, "application_version": VERSION,
            "executor_id": "embedded", "log_level": "ERROR",
        }  # fmt: skip
        if self._url.startswith("sqlite:"):
            config["db_engine_kwargs"] = {"connect_args": {"factory": _Connection}}
        _queue = self
        DBOS(config=config)
        DBOS.launch()
        DBOS.register_queue(NAME, worker_concurrency=at_once, polling_interval_sec=POLLING, on_conflict="always_update")
        for build in self._store.under_way():
            self._take_up(build)

    def stop(self) -> None:
        """Leave every build where it is; the next start goes on with it."""
        DBOS.destroy()

    def put(self, build_id: str) -> None:
        """Let a build run when its turn comes. Twice is the same as once."""
        with SetWorkflowID(build_id):
            DBOS.enqueue_workflow(NAME, _build, build_id)

    def _take_up(self, build: Build) -> None:
        """What DBOS goes on with by itself needs nothing; the rest was not yet queued, or cannot go on."""
        status = DBOS.get_workflow_status(build.id)
        if status is None:
            self.put(build.id)
        elif status.status in ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
            failure = BuilderLost(f"Its workflow has the state {status.status}")
            self.conclude(build.id, Outcome(explanation=explain(failure).to_json()))

    def answers(self) -> None:
        """Ask the queue's database for nothing."""
        DBOS.list_workflows(limit=1, load_input=False)

    def end(self, build: Build) -> None:
        """Write the end of a build that never ran."""
        with self._journal.open(build.id) as writer:
            _write_end(writer, build)

    async def run(self, build_id: str) -> dict[str, Any] | None:
        """What came of a build, as JSON; None when there is nothing to do."""
        build = await asyncio.to_thread(self._store.begin, build_id)
        if build is None:
            return None
        environment = await asyncio.to_thread(self._store.environment, build.environment_id)
        log.info("build starts", extra={"environment": environment.name, "reason": build.reason})
        self._metrics.started(build)
        with self._journal.open(build_id) as writer:
            return outcome_to_json(await self._run(build, environment, writer))

    async def _run(self, build: Build, environment: Environment, writer: Writer) -> Outcome:
        writer.append("state", {"state": "running", "again": build.commit is not None})
        stop = asyncio.Event()
        watching = asyncio.create_task(self._watch(build.id, stop))

        def emit(type: str, content: Mapping[str, Any]) -> None:
            writer.append(type, content)
            if type == "plan":
                self._store.note_plan(build.id, content["commit"], content["key"], content["strategy"])

        try:
            outcome = await self._runner.run(order_of(build, environment, self._settings), emit, stop)
        finally:
            watching.cancel()
        return Outcome() if stop.is_set() else outcome

    async def _watch(self, build_id: str, stop: asyncio.Event) -> None:
        while not await asyncio.to_thread(self._store.is_cancelling, build_id):
            await asyncio.sleep(WATCHING)
        stop.set()

    def conclude(self, build_id: str, outcome: Outcome) -> None:
        """Record what came of a build; a second time changes nothing."""
        build = self._store.conclude(build_id, outcome)
        if build is None:
            self._journal.forget(build_id)
            return
        with self._journal.open(build_id) as writer:
            if not writer.ended:
                _write_end(writer, build)
                self._metrics.ended(build, reused=bool(outcome.built and outcome.built.reused))
        log.info("build ends", extra={"state": build.state, "outcome": build.outcome, "version": build.version})


class _Connection(sqlite3.Connection):
    """DBOS's own: who queues a build waits neither for who looks for one, nor for the disk.

    What a loss of power takes back is done again at the next start, from the records.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")


def order_of(build: Build, environment: Environment, settings: Settings) -> Order:
    """How a build is to be done. A commit that is known already is kept, though its ref may have moved."""
    choices = environment.options
    options = Options(
        subdir=environment.subdir,
        strategy=choices.strategy,
        python=choices.python,
        groups=choices.groups,
        extras=choices.extras,
        as_of=build.asked.as_of or choices.as_of,
    )
    ref = build.commit or build.asked.ref or environment.ref
    request = Request(environment.repository, ref, options, choices.frontend)
    return Order(request, Wish(rebuild=build.asked.fresh), settings, settings.allow_local)


def _write_end(writer: Writer, build: Build) -> None:
    assert build.state in ENDED
    if build.explanation:
        writer.append("explanation", build.explanation)
    writer.append("end", {"state": build.state, "outcome": build.outcome, "version": build.version})


_queue: Queue
"""The one of this process; what DBOS calls by name finds it here."""


@DBOS.workflow(name="build", max_recovery_attempts=20)
async def _build(build_id: str) -> None:
    build_in_hand.set(build_id)
    try:
        outcome = await _perform(build_id)
    except OSError as error:
        outcome = outcome_to_json(Outcome(explanation=explain(_failure(error)).to_json()))
    if outcome is not None:
        await _conclude(build_id, outcome)


def _failure(error: OSError) -> object:
    if error.errno == errno.ENOSPC:
        return DiskFull("the build's own files on the service's machine")
    return BuilderLost(f"{type(error).__name__}: {error.strerror}")


@DBOS.step(name="perform")
async def _perform(build_id: str) -> dict[str, Any] | None:
    return await _queue.run(build_id)


@DBOS.step(name="conclude", retries_allowed=True, max_attempts=30, interval_seconds=1.0, backoff_rate=1.2)
async def _conclude(build_id: str, outcome: dict[str, Any]) -> None:
    await asyncio.to_thread(_queue.conclude, build_id, outcome_from_json(outcome))
