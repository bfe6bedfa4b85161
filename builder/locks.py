"""Locks between processes: one file each, freed by the kernel when its holder ends however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LEAVING = 5.0
"""Seconds in which a service has left its directory to the next one."""


class LockTimeout(Exception):
    """The lock was not free within its bound."""


@contextmanager
def held(path: Path, seconds: float, wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold the lock file, waiting for it `seconds` at most; yields whether it had to be waited for.

    `wait` is called once where it has to be. Raises LockTimeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, waited = _acquire(path, time.monotonic() + seconds, wait)
    try:
        yield waited
    finally:
        os.close(descriptor)


def _acquire(path: Path, deadline: float, wait: Callable[[], None]) -> tuple[int, bool]:
    waited = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor, waited
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise LockTimeout(str(path)) from None
            if not waited:
                wait()
            waited = True
            time.sleep(0.05)
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one of that name: `prune` removes lock files that are old."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
