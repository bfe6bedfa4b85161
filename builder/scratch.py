"""A directory for what a build needs while it runs, and the end of what it leaves behind when it is killed.

Programs of a build run in sessions of their own and outlive a process that is killed. They are known by
the temporary directory that they were given.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from builder.docker import DockerFailed, forget_read


def new_scratch(state_dir: str, worker: str) -> Path:
    """A directory of its own for a build of a worker, to be its TMPDIR."""
    above = _above(state_dir) / worker
    above.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Path(tempfile.mkdtemp(dir=above))


def clear(scratch: Path) -> None:
    """End what still runs with a TMPDIR in a directory, and remove it."""
    for process in _running(scratch):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
    shutil.rmtree(scratch, ignore_errors=True)


def clear_all(state_dir: str, but: Collection[str] = ()) -> None:
    """The same for every build of every worker but these, none of which came to its own end."""
    above = _above(state_dir)
    for worker in above.iterdir() if above.is_dir() else ():
        if worker.name not in but:
            builds = tuple(worker.iterdir())
            clear(worker)
            _forget(*builds)


def clear_killed(scratch: Path) -> None:
    """The same for a build that did not come to its own end: what it made in the engine is there still."""
    clear(scratch)
    _forget(scratch)


def _forget(*builds: Path) -> None:
    with contextlib.suppress(DockerFailed):  # an engine that is away is looked through later, by its containers' age
        for scratch in builds:
            forget_read(scratch)


def _above(state_dir: str) -> Path:
    return Path(state_dir, "service", "scratch")


def _running(scratch: Path) -> Iterator[int]:
    place = f"TMPDIR={scratch}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            variables = (process / "environ").read_bytes().split(b"\0")
            if any(variable == place or variable.startswith(place + b"/") for variable in variables):
                yield int(process.name)
