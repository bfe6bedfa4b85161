"""Durable execution: every build that is remembered as under way runs to its end, whatever ends before it.

A build is a DBOS workflow under the build's own id, so it is never started twice. Its steps may run
again after a crash, and do no harm then: a build finds the image of its key, and recording what came
of one that has ended changes nothing. What a dead worker had in hand is taken over by those alive.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, NoReturn, ParamSpec, TypeVar

from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from sqlalchemy.exc import OperationalError

from builder.build import names_registry
from builder.failures import explain
from builder.failures.built import DiskFull
from builder.failures.served import BuilderLost
from builder.heartbeat import Heartbeat
from builder.journal import Journal, JournalTaken, Writer
from builder.metrics import Metrics
from builder.records import ENDED, Build, Environment, Outcome
from builder.scratch import clear_all
from builder.service import Settings, Wish, request_of
from builder.store import Store, summary
from builder.worker import Order, Runner, outcome_from_json, outcome_to_json

NAME = "builds"

VERSION = "1"
"""Of the workflow below: a service of another version leaves its workflows alone. Changes with its steps."""

POLLING = 0.1
"""Seconds between two looks for a build that can start."""

WATCHING = 0.4
"""Seconds between two looks for a cancellation, of each build that runs."""

GLANCES = 10
"""Looks for dead workers, between two through all that is in line: that takes longer, and is seldom needed."""

PATIENCE = 60
"""Times, a second apart, that a database which is away is asked again."""

log = logging.getLogger("launchyard")

build_in_hand: ContextVar[str] = ContextVar("build_in_hand", default="")
"""The id of the build that is worked on; in every line of the log."""


class Queue:
    """The line of builds, and what runs them a few at a time. DBOS allows one in a process."""

    def __init__(
        self, url: str, store: Store, journal: Journal, runner: Runner, settings: Settings, metrics: Metrics
    ) -> None:
        self._url = url
        self._store = store
        self._journal = journal
        self._runner = runner
        self._settings = settings
        self._metrics = metrics
        self._heartbeat: Heartbeat | None = None
        self._glances = 0
        self._line = ThreadPoolExecutor(1, thread_name_prefix="line")

    def start(self, worker: str, at_once: int) -> None:
        """Take builds in; and run `at_once` of them at a time as a worker of this name, unless it is 0.

        A name that was used before goes on with what it had in hand.
        """
        global _queue
        config: DBOSConfig = {
            "name": "launchyard", "system_database_url": self._url, "application_version": VERSION,
            "executor_id": worker, "log_level": "ERROR",
        }  # fmt: skip
        if self._url.startswith("sqlite:"):
            config["db_engine_kwargs"] = {"connect_args": {"factory": _Connection}}
        _queue = self
        self._worker = worker
        DBOS(config=config)
        DBOS.listen_queues([NAME] if at_once else [])
        DBOS.launch()
        if not at_once:
            return
        DBOS.register_queue(NAME, worker_concurrency=at_once, polling_interval_sec=POLLING, on_conflict="always_update")
        self._take_up()
        self._heartbeat = Heartbeat(self._store, worker, at_once, self._take_over, _end_process)
        self._heartbeat.start()

    def stop(self) -> None:
        """Leave every build where it is; the next start, or another worker, goes on with it."""
        DBOS.destroy()
        if self._heartbeat:
            self._heartbeat.stop()
        self._line.shutdown(cancel_futures=True)

    def put(self, build: Build) -> None:
        """Let a build run when its turn comes; nobody waits for that. Twice is the same as once."""
        self._line.submit(self._put, build).add_done_callback(_told)

    def _put(self, build: Build) -> None:
        with SetWorkflowID(build.id), SetEnqueueOptions(priority=build.turn):
            DBOS.enqueue_workflow(NAME, _build, build.id)

    def _take_over(self, alive: frozenset[str]) -> None:
        """Let the line have what workers had in hand that are not alive."""
        in_hand = DBOS.list_workflows(status="PENDING", queue_name=NAME, load_input=False, load_output=False)
        dead = sorted({workflow.executor_id for workflow in in_hand if workflow.executor_id} - alive)
        if dead:
            log.warning("takes over from workers that are gone", extra={"workers": dead})
            # By executor, where the public resume_workflow would also restart what another has taken over by now.
            DBOS._recover_pending_workflows(dead)
        clear_all(self._settings.state_dir, alive)
        self._glances += 1
        if self._glances % GLANCES == 0:
            self._take_up()

    def _take_up(self) -> None:
        """What DBOS goes on with by itself needs nothing; the rest was not yet queued, or cannot go on."""
        builds = self._store.under_way()
        ids = [build.id for build in builds]
        found: dict[str, WorkflowStatus] = {}
        for start in range(0, len(ids), 500):
            part = DBOS.list_workflows(workflow_ids=ids[start : start + 500], load_input=False, load_output=False)
            found |= {workflow.workflow_id: workflow for workflow in part}
        for build in builds:
            if build.id not in found:
                self.put(build)
            elif (state := found[build.id].status) in ("ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"):
                failure = BuilderLost(f"Its workflow has the state {state}")
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
        build = await _patiently(self._store.begin, build_id)
        if build is None:
            return None
        environment = await _patiently(self._store.environment, build.environment_id)
        log.info("build starts", extra={"environment": environment.name, "reason": build.reason})
        self._metrics.started(build)
        try:
            with self._journal.open(build_id) as writer:
                return outcome_to_json(await self._run(build, environment, writer))
        except JournalTaken:
            _end_process()

    async def _run(self, build: Build, environment: Environment, writer: Writer) -> Outcome:
        writer.append("state", {"state": "running", "again": build.commit is not None})
        stop = asyncio.Event()
        plan: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        beside = (
            asyncio.create_task(self._watch(build.id, stop)),
            asyncio.create_task(self._note_plan(build.id, plan)),
        )

        def emit(type: str, content: Mapping[str, Any]) -> None:
            writer.append(type, content)
            if type == "plan":
                plan.get_loop().call_soon_threadsafe(plan.set_result, content)

        order = replace(order_of(build, environment, self._settings), worker=self._worker)
        try:
            outcome = await self._runner.run(order, emit, stop)
            if plan.done():
                await beside[1]
        finally:
            for task in beside:
                task.cancel()
        return Outcome() if stop.is_set() else outcome

    async def _watch(self, build_id: str, stop: asyncio.Event) -> None:
        while not await _patiently(self._store.is_cancelling, build_id):
            await asyncio.sleep(WATCHING)
        stop.set()

    async def _note_plan(self, build_id: str, plan: asyncio.Future[Mapping[str, Any]]) -> None:
        known = await plan
        await _patiently(self._store.note_plan, build_id, known["commit"], known["key"], known["strategy"])

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
    choices = replace(environment.options, as_of=build.asked.as_of or environment.options.as_of)
    ref = build.commit or build.asked.ref or environment.ref
    request = request_of(environment.repository, ref, environment.subdir, choices)
    wish = Wish(rebuild=build.asked.fresh, push=names_registry(f"{settings.image_prefix}/image"))
    return Order(request, wish, replace(settings, owner=environment.owner), settings.allow_local)


def _write_end(writer: Writer, build: Build) -> None:
    assert build.state in ENDED
    if build.explanation:
        writer.append("explanation", build.explanation)
    writer.append("end", {"state": build.state, "outcome": build.outcome, "version": build.version})


Parameters = ParamSpec("Parameters")
Found = TypeVar("Found")


async def _patiently(ask: Callable[Parameters, Found], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Found:
    """Ask the store, and again while its database is away: that it is started anew ends no build."""
    for _ in range(PATIENCE):
        try:
            return await asyncio.to_thread(ask, *args, **kwargs)
        except OperationalError as error:
            log.warning("the database is away", extra={"problem": summary(error)})
            await asyncio.sleep(1)
    return await asyncio.to_thread(ask, *args, **kwargs)


def _end_process() -> NoReturn:
    """Others took this worker for dead and go on with its builds: what it would still write of them is wrong.

    Its builds' own processes end when this one does.
    """
    log.error("this worker was taken for dead; it ends")
    os._exit(os.EX_TEMPFAIL)


def _told(put: Future[None]) -> None:
    """What did not come into the line stays in the records, and is taken up with all that was lost."""
    if not put.cancelled() and (error := put.exception()):
        log.warning("a build is not in line yet", extra={"problem": summary(error)})


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
