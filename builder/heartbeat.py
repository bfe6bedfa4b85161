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

from sqlalchemy.exc import SQLAlchemyError

from builder.store import Store, summary

BEAT = 3.0
"""Seconds between two signs of life."""

LEASE = 12.0
"""Seconds without one, after which a worker counts as dead."""

log = logging.getLogger("launchyard")


@dataclass
class Heartbeat:
    """The sign of life of one worker, in a thread, from `start` to `stop`."""

    store: Store
    worker: str
    at_once: int
    look: Callable[[frozenset[str]], None]
    """Gets the ids of the workers that are alive, after every beat that may judge others."""
    lost: Callable[[], None]
    """Called once, when the others took this worker for dead."""

    def start(self) -> None:
        self.store.leave(self.worker)
        self.store.join(self.worker, socket.gethostname()[:250], self.at_once)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take leave, so that nobody has to wait for the lease to run out."""
        self._over.set()
        self._thread.join(LEASE)
        self.store.leave(self.worker)

    def _run(self) -> None:
        since = last = time.monotonic()
        while not self._over.wait(BEAT):
            try:
                if not self.store.beat(self.worker):
                    self.lost()
                    return
                now = time.monotonic()
                if now - last > LEASE:
                    since = now
                last = now
                # Where the database, or this process, stood still, the others had no chance to be seen either.
                if now - since >= LEASE:
                    self.look(frozenset(worker.id for worker in self.store.bury(LEASE)))
            except SQLAlchemyError as error:
                log.warning("no sign of life could be given", extra={"problem": summary(error)})
                since = time.monotonic()
