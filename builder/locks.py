"""Locks between processes: one file each, freed by the kernel when its holder ends however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class LockTimeout(Exception):
    """The lock was not free within its bound."""


@contextmanager
def held(path: Path, seconds: float) -> Iterator[bool]:
    """Hold the lock file, waiting for it `seconds` at most; yields whether it had to be waited for.

    Raises LockTimeout.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _acquire(descriptor, path, seconds)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return waited
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise LockTimeout(str(path)) from None
            waited = True
            time.sleep(0.05)
