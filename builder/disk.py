"""Disk: what is left of the engine's, watched while a build runs.

BuildKit bounds no step's disk on the usual storage drivers, and the engine may be on another
machine: a container sees the file system that steps write to, wherever that is.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from select import select

from builder.docker import LOOKING

UNWATCHED = 3.0
"""Seconds of a build in which nobody looks: starting a container slows down one that is over by then."""

INTERVAL = 1.0
"""Seconds between two looks."""

THREAD = "disk"
"""The name of the thread that looks."""

END_TIME = 10
"""Seconds that the container may take to go."""

_SAY = "while read -r _; do df -B1 --output=avail / | tail -n 1; done"


@contextlib.contextmanager
def watched(image: str, floor: int, low: Callable[[int], None]) -> Iterator[None]:
    """Call `low` with the bytes left, once, when the engine's disk has fewer than `floor`.

    Where no container of `image` can be had, nothing is watched; `launchyard doctor` says so.
    """
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(image, floor, low, over), name=THREAD)
    thread.start()
    try:
        yield
    finally:
        over.set()


def free(image: str) -> int | None:
    """Bytes left on the engine's disk as `watched` sees them; None where it sees nothing."""
    with contextlib.closing(_free(image, threading.Event())) as found:
        return next(found, None)


def _watch(image: str, floor: int, low: Callable[[int], None], over: threading.Event) -> None:
    if over.wait(UNWATCHED):
        return
    with contextlib.closing(_free(image, over)) as found:
        for free in found:
            if free < floor:
                low(free)
                return


def _free(image: str, over: threading.Event) -> Generator[int, None, None]:
    """Bytes left, each time anew. The container reads from us, so that it goes when we do, however that is."""
    # A session of its own: Ctrl-C is for the process that reads this.
    process = subprocess.Popen(
        ["docker", "run", *LOOKING, "--interactive", "--", image, "-c", _SAY],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdin and process.stdout
    try:
        while not over.wait(INTERVAL):
            process.stdin.write(b"\n")
            process.stdin.flush()
            while not select([process.stdout], [], [], INTERVAL)[0]:  # a busy engine takes its time to start it
                if over.is_set():
                    return
            said = process.stdout.readline()
            if not said.strip().isdigit():
                return
            yield int(said)
    except BrokenPipeError:
        return
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin and process.stdout
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(END_TIME)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
