"""Durable execution: every build that is remembered as under way runs to its end, whatever ends before it.

A build is a DBOS workflow under the build's own id, so it is never started twice. Its steps may run
again after a crash, and do no harm then: a build finds the image of its key, and recording what came
of one that has ended changes nothing. What a dead worker had in hand is taken over by those alive.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, replace
from queue import SimpleQueue
from typing import Any, NoReturn, ParamSpec, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from dbos import error as dbos_errors
from sqlalchemy.exc import SQLAlchemyError

from builder.address import parse
from builder.build import names_registry
from builder.database import AWAY, database_failure, summary
from builder.failures import explain
from builder.failures.served import BuilderLost, RecordAbsent
from builder.heartbeat import Heartbeat
from builder.journal import Journal, JournalTaken, Writer
from builder.metrics import Metrics
from builder.perform import Order, outcome_from_json, outcome_to_json
from builder.records import ENDED, Build, Environment, Outcome, Reason, StepTime
from builder.scratch import clear_all
from builder.service import BuildError, Settings, Wish, request_of
from builder.space import no_room
from builder.store import Store
from builder.worker import Runner

APPLICATION = "launchyard"
"""Whose queue it is, where others use DBOS in the same database."""

NAME = "builds"

VERSION = "1"
"""Of the workflow below: a service of another version leaves its workflows alone. Changes with its steps."""

POLLING = 0.1
"""Seconds between two looks for a build that can start."""

WATCHING = 0.4
"""Seconds between two looks for a cancellation, of each build that runs."""

GLANCES = 10
"""Looks for dead workers, between two through all that is in line: that takes longer, and is seldom needed."""

PAUSES = (1.0, 10.0)
"""Seconds before a database which is away is asked again: at first, and at the most."""

FAREWELL = 5.0
"""Seconds that who puts builds in line has for the one in hand, when the service ends."""

FORGOTTEN = 500
"""Workflows that are forgotten at once, each after its build has ended."""

OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""States of workflows that DBOS does not go on with."""

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
        self._coming: SimpleQueue[Build | None] = SimpleQueue()
        # A daemon, as is whatever may wait for a database without end: it keeps no process from ending.
        self._putting = threading.Thread(target=self._put_all, name="line", daemon=True)
        self._over = threading.Event()
        self._in_hand: set[str] = set()
        self._forsaken: set[str] = set()

    def start(self, worker: str, at_once: int) -> None:
        """Take builds in; and run `at_once` of them at a time as a worker of this name, unless it is 0.

        A name that was used before goes on with what it had in hand.
        """
        global _queue
        config: DBOSConfig = {
            "name": APPLICATION, "system_database_url": self._url, "application_version": VERSION,
            "executor_id": worker, "log_level": "ERROR",
            # Nobody is notified here, and who ends the service waits for the listener, which sleeps a second else.
            "notification_listener_polling_interval_sec": POLLING,
        }  # fmt: skip
        if self._url.startswith("sqlite:"):
            config["db_engine_kwargs"] = {"connect_args": {"factory": _Connection}}
        _queue = self
        self._worker = worker
        if at_once:
            self._register(at_once)
        DBOS(config=config)
        DBOS.listen_queues([NAME] if at_once else [])
        if at_once:
            # First of all: DBOS takes builds in as soon as it is there, and who is not known counts as dead.
            self._heartbeat = Heartbeat(self._store, worker, at_once, self._take_over, _end_process)
            self._heartbeat.start()
        DBOS.launch()
        self._putting.start()
        if at_once:
            self._take_up()

    def _register(self, at_once: int) -> None:
        """Before DBOS starts, which would look for the queue before it is there, and then a second later."""
        DBOS.migrate(self._url)
        client = DBOSClient(system_database_url=self._url, application_name=APPLICATION, retry_connection_errors=False)
        try:
            client.register_queue(NAME, worker_concurrency=at_once, polling_interval_sec=POLLING)
        finally:
            client.destroy()

    def stop(self) -> None:
        """Leave every build where it is; the next start, or another worker, goes on with it."""
        self._over.set()
        self._coming.put(None)
        DBOS.destroy()
        if self._heartbeat:
            self._heartbeat.stop()
        if self._putting.is_alive():
            self._putting.join(FAREWELL)

    def put(self, build: Build) -> None:
        """Let a build run when its turn comes; nobody waits for that. Twice is the same as once."""
        self._coming.put(build)

    def _put_all(self) -> None:
        while (build := self._coming.get()) and not self._over.is_set():
            with _about(build.id):
                try:
                    self._put(build)
                except (SQLAlchemyError, dbos_errors.DBOSException, OSError) as error:
                    # It stays in the records, and is taken up with all that was lost.
                    log.warning("a build is not in line yet", extra={"problem": summary(error)})

    def _put(self, build: Build) -> None:
        with SetWorkflowID(build.id), SetEnqueueOptions(priority=build.turn):
            DBOS.enqueue_workflow(NAME, _build, build.id)

    def _take_over(self) -> None:
        """Let the line have what workers had in hand that are not alive."""
        # In this order: who joins in between has nothing in hand that is seen here.
        in_hand = DBOS.list_workflows(status="PENDING", queue_name=NAME, load_input=False, load_output=False)
        alive = self._store.bury()
        clear_all(self._settings.state_dir, alive)
        lost = [workflow for workflow in in_hand if workflow.executor_id and workflow.executor_id not in alive]
        for workflow in lost:
            with _about(workflow.workflow_id):
                log.warning("takes a build over from a worker that is gone", extra={"worker": workflow.executor_id})
        if lost:
            # By executor, where the public resume_workflow would also restart what another has taken over by now.
            DBOS._recover_pending_workflows(sorted({workflow.executor_id for workflow in lost if workflow.executor_id}))
        self._glances += 1
        if self._glances % GLANCES == 0:
            self._take_up()
            self._forget()

    def _take_up(self) -> None:
        """What DBOS goes on with by itself needs nothing; the rest was not yet queued, or cannot go on."""
        builds = self._store.under_way()
        found = _workflows([build.id for build in builds])
        forsaken = set()
        for build in builds:
            workflow = found.get(build.id)
            if workflow is None:
                self.put(build)
            elif workflow.status in OVER:
                failure = BuilderLost(f"Its workflow has the state {workflow.status}")
                with _about(build.id):
                    log.warning("gives up a build whose workflow is over", extra={"workflow": workflow.status})
                    self.conclude(build.id, Outcome(explanation=explain(failure).to_json()))
            elif workflow.status == "PENDING" and workflow.executor_id == self._worker:
                forsaken.add(build.id)
        # Twice in a row, for what was just taken in, or just left, is on its way.
        forsaken -= self._in_hand
        for build_id in forsaken & self._forsaken:
            with _about(build_id):
                log.warning("goes on with a build that it had let go of")
                DBOS.resume_workflow(build_id, queue_name=NAME)
        self._forsaken = forsaken

    def _forget(self) -> None:
        """Let DBOS forget the workflows of builds that have ended: their records have what is to be known."""
        over = DBOS.list_workflows(name="build", status=OVER, limit=FORGOTTEN, load_input=False, load_output=False)
        # In this order: what is under way after its workflow was over has lost its end.
        if ids := {workflow.workflow_id for workflow in over} - {build.id for build in self._store.under_way()}:
            DBOS.delete_workflows(sorted(ids))

    def answers(self) -> None:
        """Ask the queue's database for nothing."""
        DBOS.list_workflows(limit=1, load_input=False)

    def end(self, build: Build) -> None:
        """Write the end of a build that never ran, where it is not written yet."""
        with _about(build.id), suppress(JournalTaken):  # by who writes it at this moment
            self._write_end(build, reused=False)

    async def run(self, build_id: str) -> dict[str, Any]:
        """What came of a build, as JSON; of one that has ended, or is gone, nothing more."""
        build = await _patiently(self._store.begin, build_id)
        if build is None:
            return outcome_to_json(Outcome())
        environment = await _patiently(self._store.environment, build.environment_id)
        facts = {"environment": environment.id, "environment_name": environment.name, "reason": build.reason}
        log.info("build starts", extra=facts)
        try:
            with self._journal.open(build_id) as writer:
                return await self._run(build, environment, writer)
        except JournalTaken:
            log.error("others go on with a build of this worker")
            _end_process()

    async def _run(self, build: Build, environment: Environment, writer: Writer) -> dict[str, Any]:
        again = build.commit is not None
        writer.append("state", {"state": "running", "again": again})
        if again:
            writer.append("log", {"step": "", "text": "[The service was restarted: this build begins anew.]\n"})
        stop = asyncio.Event()
        plan: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        steps = _Steps()
        beside = (
            asyncio.create_task(self._watch(build.id, stop)),
            asyncio.create_task(self._note_plan(build.id, plan)),
        )

        def emit(type: str, content: Mapping[str, Any]) -> None:
            writer.append(type, content)
            if type == "plan":
                plan.get_loop().call_soon_threadsafe(plan.set_result, content)
            elif type == "step":
                steps.note(content)

        order = replace(order_of(build, environment, self._settings), worker=self._worker)
        try:
            outcome = await self._runner.run(order, emit, stop)
            if plan.done():
                await beside[1]
        finally:
            for task in beside:
                task.cancel()
        return outcome_to_json(Outcome() if stop.is_set() else outcome) | {"steps": steps.so_far()}

    async def _watch(self, build_id: str, stop: asyncio.Event) -> None:
        while not await _patiently(self._store.is_cancelling, build_id):
            await asyncio.sleep(WATCHING)
        stop.set()

    async def _note_plan(self, build_id: str, plan: asyncio.Future[Mapping[str, Any]]) -> None:
        known = await plan
        try:
            await _patiently(self._store.note_plan, build_id, known["commit"], known["key"], known["strategy"])
        except SQLAlchemyError as error:  # no reason to lose what was built
            log.warning("what a build's ref came to is not noted", extra={"problem": summary(error)})

    def conclude(self, build_id: str, outcome: Outcome) -> Build | None:
        """Record what came of a build, None when it is gone; a second time changes nothing."""
        build = self._store.conclude(build_id, outcome)
        if build is None:
            self._journal.forget(build_id)
            log.info("build ends", extra={"outcome": "its environment was deleted"})
            return None
        self._write_end(build, reused=bool(outcome.built and outcome.built.reused))
        return build

    def look_again(self, build: Build) -> None:
        """Build once more where somebody asked for that while a build ran, and its ref has moved on since."""
        if build.asked_again_by is None or build.commit is None or build.state == "cancelled":
            return
        try:
            if self._has_moved(build):
                reason: Reason = "as-of" if build.asked.as_of else "asked"
                again, new = self._store.start_build(build.environment_id, reason, build.asked_again_by, build.asked)
                if new:
                    self.put(again)
        except BuildError as error:
            if not isinstance(error.failure, RecordAbsent):  # deleted by now
                raise

    def _has_moved(self, build: Build) -> bool:
        from builder.repository import open_commit

        order = order_of(replace(build, commit=None), self._store.environment(build.environment_id), self._settings)
        address = parse(order.request.repository, order.settings, allow_local=order.allow_local)
        try:
            return open_commit(address, order.request.ref, order.settings).id != build.commit
        except BuildError:
            return True  # where that cannot be told, a build says why

    def _write_end(self, build: Build, *, reused: bool) -> None:
        assert build.state in ENDED
        with self._journal.open(build.id) as writer:
            if writer.ended:
                return
            if build.explanation:
                writer.append("explanation", build.explanation)
            writer.append("end", {"state": build.state, "outcome": build.outcome, "version": build.version})
        self._metrics.ended(build, reused=reused)
        why = {"code": build.explanation["code"], "title": build.explanation["title"]} if build.explanation else {}
        facts = {"environment": build.environment_id, "state": build.state, "outcome": build.outcome}
        log.info("build ends", extra={**facts, "version": build.version, **why})

    @contextmanager
    def in_hand(self, build_id: str) -> Iterator[None]:
        """While this process works on a build."""
        self._in_hand.add(build_id)
        try:
            yield
        finally:
            self._in_hand.discard(build_id)


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
    wanted = build.wanted
    choices = replace(wanted.options, as_of=build.asked.as_of or wanted.options.as_of)
    ref = build.commit or build.asked.ref or wanted.ref
    request = request_of(environment.repository, ref, wanted.subdir, choices)
    wish = Wish(rebuild=build.asked.fresh, push=names_registry(f"{settings.image_prefix}/image"))
    return Order(request, wish, replace(settings, owner=environment.owner), settings.allow_local)


class _Steps:
    """How long the steps of a build took, by its events; of the one that runs, so far."""

    def __init__(self) -> None:
        self._steps: dict[str, Mapping[str, Any]] = {}

    def note(self, step: Mapping[str, Any]) -> None:
        known = self._steps.get(step["name"])
        # What the first of two tries ran is no less work for being cached in the second.
        if step["started"] and not (step["cached"] and known and known["completed"]):
            self._steps[step["name"]] = step

    def so_far(self) -> list[dict[str, Any]]:
        """StepTimes, as JSON."""
        now = time.time()
        return [
            asdict(StepTime(name, round((step["completed"] or now) - step["started"], 3), step["cached"]))
            for name, step in self._steps.items()
        ]


def _workflows(ids: list[str]) -> dict[str, WorkflowStatus]:
    found: list[WorkflowStatus] = []
    for start in range(0, len(ids), 500):
        found += DBOS.list_workflows(workflow_ids=ids[start : start + 500], load_input=False, load_output=False)
    return {workflow.workflow_id: workflow for workflow in found}


@contextmanager
def _about(build_id: str) -> Iterator[None]:
    """Let every line of the log say which build it is about."""
    before = build_in_hand.set(build_id)
    try:
        yield
    finally:
        build_in_hand.reset(before)


Parameters = ParamSpec("Parameters")
Found = TypeVar("Found")


async def _patiently(ask: Callable[Parameters, Found], *args: Parameters.args, **kwargs: Parameters.kwargs) -> Found:
    """Ask, and again for as long as the database is away or the disk is full: no build is lost by that.

    There is no end to it, since that a build was given up could not be recorded either.
    """
    pause, longest = PAUSES
    while True:
        try:
            return await asyncio.to_thread(ask, *args, **kwargs)
        except (*AWAY, OSError) as error:
            log.warning("waits for the database, or for room on the disk", extra={"problem": summary(error)})
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, longest)


def _end_process() -> NoReturn:
    """Others go on with what this worker had in hand, or soon will: what it would still write of it is wrong.

    Its builds' own processes end when this one does.
    """
    log.error("this worker ends")
    os._exit(os.EX_TEMPFAIL)


_queue: Queue
"""The one of this process; what DBOS calls by name finds it here."""


@DBOS.workflow(name="build", max_recovery_attempts=20)
async def _build(build_id: str) -> None:
    build_in_hand.set(build_id)
    with _queue.in_hand(build_id):
        try:
            outcome = await _perform(build_id)
        except (OSError, SQLAlchemyError) as error:  # of the build's own files, or what came of it was not kept
            log.warning("a build was cut off", extra={"problem": summary(error)})
            outcome = outcome_to_json(Outcome(explanation=explain(_failure(error)).to_json()))
        await _conclude(build_id, outcome)


def _failure(error: OSError | SQLAlchemyError) -> object:
    if isinstance(error, SQLAlchemyError):
        return database_failure(error)
    full = no_room(error, "the build's own files on the service's machine")
    return full or BuilderLost(f"{type(error).__name__}: {error.strerror}")


@DBOS.step(name="perform")
async def _perform(build_id: str) -> dict[str, Any]:
    return await _queue.run(build_id)


@DBOS.step(name="conclude", retries_allowed=True, max_attempts=30, interval_seconds=1.0, backoff_rate=1.2)
async def _conclude(build_id: str, outcome: dict[str, Any]) -> None:
    steps = tuple(StepTime(**step) for step in outcome.get("steps", ()))
    build = await _patiently(_queue.conclude, build_id, replace(outcome_from_json(outcome), steps=steps))
    if build:
        await _patiently(_queue.look_again, build)
