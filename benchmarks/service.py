"""The build service under load, on loopback: how soon it answers while it builds, and what it takes to stand by.

It is the real service in a process of its own, with the real engine, over a store of 10,000 environments and
100,000 builds. A delay counts from when a request was due, so that a service which stands still cannot hide it.
Run by `make bench-service`; needs an engine and the Python index, and exits 1 where a figure misses its target.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from benchmarks.load import Answer, Ask, Reader, ask, follow, send
from benchmarks.records import Known, fill
from benchmarks.side_by_side import commit
from benchmarks.stills import free_of, watched
from builder.client import Client
from builder.documents import Choices, NewEnvironment
from builder.serve import open_many

RATE = 200
"""Requests a second."""

WARM = 2
"""Seconds of requests that are not counted: the first of a kind finds nothing imported, and nothing compiled."""

READERS = 1_000

PATIENCE = 240.0
"""Seconds after which something that should have happened has not."""

PRINTING = 'n=0; while [ "$n" -lt 2400 ]; do echo "printed at $(date +%s.%N)"; sleep 0.25; n=$((n + 1)); done'
"""What the build does that runs throughout: ten minutes, unless it is cancelled."""

PRINTED = re.compile(rb"printed at (\d+\.\d+)\\n")

WRITES = ("preview", "rebuild")
"""Kinds of requests that are held to the target on their own; the others are reads."""

MIX = {
    "preview": 10, "rebuild": 10, "environment": 20, "environments": 5, "environments found": 5, "build": 20,
    "builds": 5, "builds of one": 5, "versions": 5, "version": 5, "packages": 5, "image": 5,
}  # fmt: skip
"""How many of a hundred requests are of a kind."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Figure:
    """Something measured, and the most that it may be."""

    name: str
    value: float
    unit: str
    at_most: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="of requests, and then of readers")
    parser.add_argument("--starts", type=int, default=3)
    arguments = parser.parse_args()
    open_many()
    with tempfile.TemporaryDirectory(prefix="launchyard-bench-") as scratch:
        directory = Path(scratch, "service")  # images are called after it, the same at each run
        directory.mkdir()
        figures = list(measured(directory, arguments.seconds, arguments.starts))
    return show(figures)


def measured(directory: Path, seconds: int, starts: int) -> Iterator[Figure]:
    known_one = make_repository(directory / "repository", "true")
    printing = make_repository(directory / "printing", f"# {time.time_ns()}\n{PRINTING}")
    known = fill(f"sqlite:///{new_state(directory) / 'records.db'}", known_one)
    yield from standing_by(directory, starts)
    with serving(directory) as (process, address), Client(address) as client:
        port = int(address.rpartition(":")[2])
        assert [*client.events(create(client, known_one))][-1].content["state"] == "succeeded"
        build_id = create(client, printing)
        until(lambda: "printed at" in client.log(build_id))
        warm, asks = WARM * RATE, mixed(known, known_one, (WARM + seconds) * RATE)
        with watched() as stills:
            answers = timed(send(port, asks, RATE))[warm:]
        yield from delays(answers)
        beside(answers, [answer for answer in answers if free_of(stills, answer.due, answer.due + answer.delay)])
        yield from streams(*timed(follow(port, f"/builds/{build_id}/events", READERS, seconds)))
        assert client.build(build_id).state == "running", "the build ended before the load did"
        print(f"resident after it all: {resident(process.pid):.0f} MB")
        client.cancel(build_id)


def make_repository(repository: Path, script: str) -> Path:
    repository.mkdir()
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    (repository / "postBuild").touch(0o755)
    commit(repository, {"requirements.txt": "six\n", "postBuild": f"#!/bin/sh\n{script}\n"})
    return repository


def new_state(directory: Path) -> Path:
    """Where a service over `directory` keeps its records."""
    made = directory / "state" / "service"
    made.mkdir(parents=True)
    return made


@contextmanager
def serving(directory: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`launchyard serve`, and its address, once it is ready."""
    environ = {
        **os.environ,
        "LAUNCHYARD_ALLOW_LOCAL": "true",
        "LAUNCHYARD_IMAGE_PREFIX": "launchyard-bench",
        "XDG_CACHE_HOME": str(directory / "cache"),
    }
    command = ["launchyard", "serve", "--port", "0", "--state", str(directory / "state")]
    process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout
    try:
        address = process.stdout.readline().strip()
        until(lambda: httpx2.get(f"{address}/readyz").is_success)
        yield process, address
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


def until(what: Callable[[], bool]) -> None:
    """Wait for something that nothing tells of."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def create(client: Client, repository: Path) -> str:
    """A new environment; the id of its first build."""
    return client.create(NewEnvironment(repository=str(repository), options=Choices(frontend="none"))).build.id


def standing_by(directory: Path, starts: int) -> Iterator[Figure]:
    """Medians of some starts: until it is ready, and what it holds then."""
    seconds, sizes = [], []
    for _ in range(starts):
        began = time.perf_counter()
        with serving(directory) as (process, _):
            seconds.append(time.perf_counter() - began)
            time.sleep(2)
            sizes.append(resident(process.pid))
    yield Figure("from start to ready", statistics.median(seconds), "s", 2)
    yield Figure("resident memory, standing by", statistics.median(sizes), "MB", 200)


def resident(process_id: int) -> float:
    """Megabytes of a process and of those that it started."""
    statuses = [Path(f"/proc/{id}/status").read_text() for id in (process_id, *children(process_id))]
    return sum(int(found[1]) for status in statuses if (found := re.search(r"VmRSS:\s+(\d+)", status))) / 1_000


def children(process_id: int) -> list[int]:
    return [int(id) for file in Path(f"/proc/{process_id}/task").glob("*/children") for id in file.read_text().split()]


def mixed(known: Known, repository: Path, count: int) -> list[Ask]:
    """Requests of every kind, mixed; each rebuild is of another environment, so each is a new build."""
    chance = random.Random(1)
    environments, unbuilt = known.environments, iter(chance.sample(known.environments, count))
    preview = json.dumps({"repository": str(repository), "options": {"frontend": "none"}}).encode()
    make: Mapping[str, Callable[[], tuple[str, str, bytes]]] = {
        "preview": lambda: ("POST", "/plans", preview),
        "rebuild": lambda: ("POST", f"/environments/{next(unbuilt)}/builds", b'{"fresh": false}'),
        "environment": lambda: ("GET", f"/environments/{chance.choice(environments)}", b""),
        "environments": lambda: ("GET", f"/environments?cursor={chance.choice(environments)}", b""),
        "environments found": lambda: ("GET", f"/environments?search={chance.choice(environments)[-12:]}", b""),
        "build": lambda: ("GET", f"/builds/{chance.choice(known.builds)}", b""),
        "builds": lambda: ("GET", f"/builds?state=failed&cursor={chance.choice(known.builds)}", b""),
        "builds of one": lambda: ("GET", f"/environments/{chance.choice(environments)}/builds", b""),
        "versions": lambda: ("GET", f"/environments/{chance.choice(environments)}/versions", b""),
        "version": lambda: ("GET", f"/environments/{chance.choice(environments)}/versions/1", b""),
        "packages": lambda: ("GET", f"/environments/{chance.choice(environments)}/versions/2/packages", b""),
        "image": lambda: ("GET", f"/environments/{chance.choice(environments)}/image", b""),
    }
    kinds = chance.choices(list(MIX), list(MIX.values()), k=count)
    return [ask(kind, *make[kind]()) for kind in kinds]


def timed(load: Coroutine[Any, Any, Result]) -> Result:
    """Run a load, and say how busy this process was with it: near all of the time, its figures are its own."""
    gc.collect()
    gc.freeze()
    began, busy = time.perf_counter(), time.process_time()
    result = asyncio.run(load)
    share = (time.process_time() - busy) / (time.perf_counter() - began)
    print(f"the load itself was busy {share:.0%} of the time")
    return result


def delays(answers: Sequence[Answer]) -> Iterator[Figure]:
    """What the requests came to, by kind."""
    lags = [answer.lag for answer in answers]
    print(f"the load's own lag: p50 {milliseconds(lags, 50):.1f}, p99 {milliseconds(lags, 99):.1f} ms")
    for kind in MIX:
        line(kind, [answer.delay for answer in answers if answer.kind == kind])
    line("in all", [answer.delay for answer in answers])
    for name, found in by_target(answers).items():
        yield Figure(f"{name}, p99 at {RATE} requests/s", milliseconds(found, 99), "ms", 50)
    yield Figure("requests not answered, or by an error", sum(not 200 <= a.status < 300 for a in answers), "", 0)


def by_target(answers: Sequence[Answer]) -> Mapping[str, Sequence[float]]:
    return {
        "previews": [answer.delay for answer in answers if answer.kind == "preview"],
        "rebuilds asked for": [answer.delay for answer in answers if answer.kind == "rebuild"],
        "reads": [answer.delay for answer in answers if answer.kind not in WRITES],
    }


def beside(answers: Sequence[Answer], free: Sequence[Answer]) -> None:
    """What a machine of its own would give, as far as this one shows it; no target is held to that."""
    print(f"{1 - len(free) / len(answers):.0%} of these met that the machine itself was held up; the others:")
    for name, found in by_target(free).items():
        if found:
            line(name, found)


def line(name: str, delays: Sequence[float]) -> None:
    p50, p99, most = (milliseconds(delays, percent) for percent in (50, 99, 100))
    print(f"  {name:<20}{len(delays):6}   p50 {p50:7.1f}   p99 {p99:7.1f}   max {most:7.1f} ms")


def streams(complete: float, readers: Sequence[Reader]) -> Iterator[Figure]:
    """How late lines were, from being printed in the build to being read; of those printed once all readers read."""
    late: dict[bytes, list[float]] = {}
    for reader in readers:
        for match, time_read in reader.found(PRINTED):
            if float(match[1]) > complete:
                late.setdefault(match[1], []).append(time_read - float(match[1]))
    # The last ones were on their way when the readers left.
    newest = max(map(float, late))
    whole = [stamp for stamp in late if float(stamp) < newest - 2]
    delays = [delay for stamp in whole for delay in late[stamp]]
    print(f"{len(readers)} readers, {len(whole)} lines")
    line("printed to read", delays)
    yield Figure(f"lines to {READERS:,} readers, at the most", max(delays), "s", 2)
    yield Figure("lines that a reader missed", len(whole) * len(readers) - len(delays), "", 0)


def milliseconds(seconds: Sequence[float], percent: int) -> float:
    """A percentile; 100 is the most."""
    return sorted(seconds)[max(0, -(-len(seconds) * percent // 100) - 1)] * 1_000


def show(figures: Sequence[Figure]) -> int:
    for figure in figures:
        kept = "ok    " if figure.value <= figure.at_most else "MISSED"
        print(f"{kept} {figure.name:<45}{figure.value:8.2f} {figure.unit:<2} at most {figure.at_most}")
    return int(any(figure.value > figure.at_most for figure in figures))


if __name__ == "__main__":
    sys.exit(main())
