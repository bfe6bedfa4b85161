"""When the machine itself was held up: where it is shared, others keep it from running for tens of milliseconds.

A program cannot tell that from delays of its own. So a process does a little work again and again, always the same,
and prints when it took many times as long as it usually does. Run by `benchmarks.service`.
"""

from __future__ import annotations

import bisect
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

TURNS = 3_000
"""Of a loop that does nothing: a tenth of a millisecond."""

PAUSE = 0.003
"""Seconds between two of these loops."""

HELD_UP = 3.0
"""Times as long as usual that it takes where the machine is held up; two busy threads of one core make it twice."""

AFTERWARDS = 0.08
"""Seconds that what has piled up meanwhile is given."""


@contextmanager
def watched() -> Iterator[list[float]]:
    """For as long as the block lasts; the moments at which the machine was held up are there after it."""
    stills: list[float] = []
    with tempfile.TemporaryFile("w+") as moments:
        watch = subprocess.Popen([sys.executable, "-m", "benchmarks.stills"], stdout=moments)
        try:
            yield stills
        finally:
            watch.terminate()
            watch.wait()
            moments.seek(0)
            stills += map(float, moments)


def free_of(stills: Sequence[float], began: float, ended: float) -> bool:
    """Whether the machine ran between two moments of time.perf_counter, and had since it was held up last."""
    following = bisect.bisect_left(stills, began - AFTERWARDS)
    return following == len(stills) or stills[following] > ended


def main() -> None:
    usual = sorted(_took() for _ in range(500))[250]
    while True:
        began = time.perf_counter()
        if _took() > HELD_UP * usual:
            print(began, flush=True)
        time.sleep(PAUSE)


def _took() -> float:
    began = time.thread_time()
    for _ in range(TURNS):
        pass
    return time.thread_time() - began


if __name__ == "__main__":
    main()
