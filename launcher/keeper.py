"""Keeps every session that is remembered, and every one that runs, to each other.

It looks again and again at both and takes the step that brings them together. So it does not matter
which process began something: after a restart the next look goes on with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from builder.failures import explain
from builder.failures.asked import EngineUnavailable, ImageAbsent
from builder.failures.served import SessionDiskFull, SessionEnded, SessionOutOfMemory, VersionGone
from builder.service import BuildError, Settings
from launcher.activity import REPORTS, Activity, reported
from launcher.records import OPEN, Instance, Session, SessionRequest, SessionState
from launcher.sessions import READ, SHOWN, Probe, Runtime, answers, failed, without_token
from launcher.store import LauncherStore

BUSY = 0.2
"""Seconds between two looks while a session starts or ends."""

CALM = 2.0
"""Seconds between two looks else."""

ASKED = 15.0
"""Seconds between two questions to a session when it was last active."""

COUNTED = 60.0
"""Seconds between two counts of what a session has on disk."""

IDLE = 600.0
"""Seconds without activity after which a session counts as idle."""

AT_ONCE = 4
"""Steps that are taken at the same time."""

log = logging.getLogger("launchyard")


class Keeper:
    """Takes sessions from state to state, in threads of its own."""

    def __init__(
        self,
        settings: Settings,
        store: LauncherStore,
        runtime: Runtime,
        request: Callable[[Session], SessionRequest],
        probe: Probe = answers,
    ) -> None:
        self._settings = settings
        self._store = store
        self._runtime = runtime
        self._request = request
        self.calm = CALM
        self.asked = ASKED
        self.counted = COUNTED
        self.start_time: float = settings.limits.session_start_time
        self.probe = probe
        self.traffic = Activity()
        self._owner = ""
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._looks = ThreadPoolExecutor(1, thread_name_prefix="keeper")
        self._steps = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sessions")
        self._in_hand: set[str] = set()
        self._asked_at: dict[str, datetime] = {}
        self._disks: dict[str, tuple[datetime, int]] = {}
        """When the files of a session were counted last, and how many bytes they had at first."""
        self._is_clean = False
        self._said = ""
        """Why the last look failed; empty where it did not."""
        self._thread = threading.Thread(target=self._keep, name="keeper")

    def start(self) -> None:
        """Go on with what was under way."""
        self._owner = self._store.owner()
        self._thread.start()

    def stop(self) -> None:
        """Leave every session as it is; the next start goes on with it."""
        self._ending.set()
        self._wake.set()
        self._thread.join()
        self._looks.shutdown()
        self._steps.shutdown(cancel_futures=True)

    def wake(self) -> None:
        """Look now: something was asked for."""
        self._wake.set()

    def _keep(self) -> None:
        while not self._ending.is_set():
            self._wake.clear()
            look = self._looks.submit(self._look)
            error = look.exception()
            if error and repr(error) != self._said:  # there is a next look, which may well meet the same
                _say("sessions could not be looked at", error)
            self._said = repr(error) if error else ""
            self._wake.wait(BUSY if not error and look.result() else self.calm)

    def _look(self) -> bool:
        """Begin the steps that are due; whether there are more to come soon."""
        live = self._store.live()
        deleted = self._store.deleted()
        if self._is_clean and not live and not deleted:
            return False
        instances = {instance.name: instance for instance in self._runtime.list() if instance.owner == self._owner}
        known = {session.name for session in live}
        for name in instances.keys() - known:
            self._begin(name, self._runtime.stop, name)
        self._is_clean = instances.keys() <= known
        for launcher in deleted:
            self._begin(launcher.id, self._forget, launcher.id, launcher.names)
        busy = [session for session in live if session.state not in (*OPEN, "paused")]
        for session in live:
            instance = instances.get(session.name)
            if session in busy or self._is_due(session, instance):
                self._begin(session.name, self._step, session, instance)
        return bool(busy or deleted)

    def _begin(self, name: str, step: Callable[..., None], *arguments: object) -> None:
        """Take a step in a thread, unless one for the same session is under way."""
        if name in self._in_hand or self._ending.is_set():
            return
        self._in_hand.add(name)

        def done(future: Future[None]) -> None:
            self._in_hand.discard(name)
            if not future.cancelled() and (error := future.exception()):
                _say("a session's step failed", error, name)

        self._steps.submit(step, *arguments).add_done_callback(done)

    def _is_due(self, session: Session, instance: Instance | None) -> bool:
        if session.state == "paused":
            return False
        if instance is None or instance.state == "ended" or not session.url:
            return True
        asked_at = self._asked_at.get(session.id)
        return asked_at is None or (_now() - asked_at).total_seconds() >= self.asked

    def _forget(self, launcher_id: str, names: tuple[str, ...]) -> None:
        for name in names:
            self._runtime.stop(name, delete_work=True)
        self._store.forget(launcher_id)

    def _step(self, session: Session, instance: Instance | None) -> None:
        try:
            if session.state == "starting":
                self._start(session, instance)
            elif session.state == "stopping":
                self._end(session)
            elif session.state == "pausing":
                self._runtime.stop(session.name)
                self._store.move(session.id, ("pausing",), "paused", url="")
            else:
                self._watch(session, instance)
        except BuildError as error:
            if isinstance(error.failure, EngineUnavailable) and not self._is_late(session):
                log.warning("the runtime does not answer", extra={"session": session.id})
                return
            failure = error.failure
            if isinstance(failure, ImageAbsent) and session.version:
                failure = VersionGone(session.version, failure.reference)
            self._fail(session, failure)

    def _start(self, session: Session, instance: Instance | None) -> None:
        if instance is None:
            instance = self._runtime.start(self._request(session))
        if instance.state == "ended":
            self._fail(session, self._reason(session, instance))
        elif instance.url and self.probe(instance.url):
            self._store.move(session.id, ("starting",), "running", url=instance.url, active_at=_now())
            log.info("session runs", extra={"session": session.id})
        elif self._is_late(session):
            said = f"did not answer within {self.start_time:.0f} s"
            self._fail(session, failed(said, instance, self._lines(session)))

    def _watch(self, session: Session, instance: Instance | None) -> None:
        """See whether a session still runs, and when it was last active."""
        if instance is None:
            self._fail(session, SessionEnded("was removed while it ran", ()))
        elif instance.state == "ended" and instance.exit_code == 0:
            self._store.move(session.id, OPEN, "stopping", outcome="ended by itself")
            self.wake()
        elif instance.state == "ended":
            self._fail(session, self._reason(session, instance))
        else:
            self._see_disk(session)
            self._see_activity(session, instance)

    def _see_disk(self, session: Session) -> None:
        """End a session that has grown beyond its disk. One that began so may run: how else is it to be cleared?

        Raises BuildError(SessionDiskFull).
        """
        looked_at, at_first = self._disks.get(session.id, (None, 0))
        if looked_at and (_now() - looked_at).total_seconds() < self.counted:
            return
        allowed = self._request(session).resources.disk
        used = self._runtime.disk(session.name) if allowed else None
        self._disks[session.id] = (_now(), at_first if looked_at else used or 0)
        if allowed and looked_at and used and used > max(allowed, at_first):
            raise BuildError(SessionDiskFull(used, allowed))

    def _see_activity(self, session: Session, instance: Instance) -> None:
        self._asked_at[session.id] = _now()
        reports = session.frontend in REPORTS
        seen = reported(session, instance) if reports else self.traffic.last(session.id)
        active_at = max(session.active_at, seen or session.active_at)
        quiet = (_now() - active_at).total_seconds()
        limit = self._store.launcher(session.launcher_id).idle_limit or self._settings.sessions.idle_limit
        if quiet >= limit:
            self._store.move(session.id, OPEN, "stopping", outcome=f"nobody used it for {limit // 60} minutes")
            self.wake()
            return
        state: SessionState = "idle" if quiet >= min(IDLE, limit / 2) else "running"
        if (state, active_at, instance.url) != (session.state, session.active_at, session.url):
            self._store.move(session.id, OPEN, state, active_at=active_at, url=instance.url)

    def _end(self, session: Session) -> None:
        lines = self._lines(session)
        self._runtime.stop(session.name)
        self._store.move(session.id, ("stopping",), "stopped", lines=list(lines))
        self._close(session)

    def _fail(self, session: Session, failure: object) -> None:
        lines = self._lines(session)
        self._runtime.stop(session.name)
        explanation = explain(failure, to_command=False).to_json()
        self._store.move(
            session.id, ("starting", *OPEN, "pausing"), "failed",
            explanation=explanation, outcome=explanation["title"], lines=list(lines),
        )  # fmt: skip
        self._close(session)

    def _close(self, session: Session) -> None:
        self._asked_at.pop(session.id, None)
        self._disks.pop(session.id, None)
        self.traffic.forget(session.id)
        log.info("session ends", extra={"session": session.id})

    def _reason(self, session: Session, instance: Instance) -> object:
        lines = self._lines(session)
        if instance.exhausted:
            return SessionOutOfMemory(self._request(session).resources.memory, lines[-SHOWN:])
        return failed(f"ended with exit code {instance.exit_code}", instance, lines)

    def _lines(self, session: Session) -> tuple[str, ...]:
        return without_token(self._runtime.logs(session.name, READ), session)

    def _is_late(self, session: Session) -> bool:
        return session.state == "starting" and _now() > session.begun_at + timedelta(seconds=self.start_time)


def _say(what: str, error: BaseException, session: str | None = None) -> None:
    if isinstance(error, BuildError):
        log.warning("%s: %s", what, explain(error.failure).title, extra={"session": session})
    else:
        log.error(what, exc_info=error, extra={"session": session})


def _now() -> datetime:
    return datetime.now(UTC)
