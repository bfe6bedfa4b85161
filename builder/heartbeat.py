"""Heartbeat: a worker says that it is alive, and looks who else is.

What runs builds is known by a row that it renews. Whoever finds a row that was not renewed takes its
builds over; whoever finds its own row gone has been taken for dead, and must not go on.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from dbos import error as dbos_errors
from sqlalchemy.exc import SQLAlchemyError

from builder.database import summary
from builder.journal import JournalTaken
from builder.store import LEASE, Store
from detectors.failures import BuildError

BEAT = 3.0
"""Seconds between two signs of life."""

log = logging.getLogger("launchyard")


@dataclass
class Heartbeat:
    """The sign of life of one worker, in a thread, from `start` to `stop`."""

    store: Store
    worker: str
    at_once: int
    look: Callable[[], None]
    """Called after every beat that may judge others. What fails in it is tried again after the next."""
    lost: Callable[[], None]
    """Called once, where this worker must not go on: the others took it for dead, or soon will."""

    def start(self) -> None:
        """Let the others know of this worker: from then on what it has in hand is its own."""
        self.store.leave(self.worker)
        self.store.join(self.worker, socket.gethostname()[:250], self.at_once)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take leave, so that nobody has to wait for the lease to run out."""
        self._over.set()
        self._thread.join(LEASE)
        try:
            self.store.leave(self.worker)
        except SQLAlchemyError as error:
            log.warning("no leave could be taken; the lease runs out", extra={"problem": summary(error)})

    def _run(self) -> None:
        try:
            self._beat()
        except Exception:
            # Whatever it was: who gives no sign of life must not go on building beside who takes over.
            log.exception("this worker can give no sign of life any more")
            self.lost()

    def _beat(self) -> None:
        since = last = time.monotonic()
        while not self._over.wait(BEAT):
            try:
                if not self.store.beat(self.worker):
                    log.error("this worker was taken for dead")
                    self.lost()
                    return
            except SQLAlchemyError as error:
                log.warning("no sign of life could be given", extra={"problem": summary(error)})
                since = time.monotonic()
                continue
            now = time.monotonic()
            if now - last > LEASE:
                since = now
            last = now
            # Where the database, or this process, stood still, the others had no chance to be seen either.
            if now - since >= LEASE:
                self._look()

    def _look(self) -> None:
        try:
            self.look()
        except (SQLAlchemyError, dbos_errors.DBOSException, BuildError, JournalTaken, OSError) as error:
            log.warning("builds of others could not be looked after", extra={"problem": summary(error)})
