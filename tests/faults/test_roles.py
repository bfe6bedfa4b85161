"""A service of several processes over Postgres: whichever is killed, or away for a while, every build ends once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from builder.buildkit import BuildKit
from builder.client import Event, ServiceProblem
from builder.store import LEASE, Store
from tests import servers
from tests.faults.conftest import Process, until, vanish
from tests.faults.test_kills import COUNTED, STAGES, seen_until
from tests.servers import Server

pytestmark = pytest.mark.engine

LONGER = "for n in $(seq 400); do echo counted $n; sleep 0.1; done"
"""A build that is still under way when a dead worker's lease has run out."""

TAKEN_OVER = 30.0
"""Seconds within which a dead worker's builds are begun again by another."""


@dataclass
class Installation:
    """An API and workers over one database and one directory."""

    api: Process
    database: str
    workers: list[Process]

    def worker(self) -> Process:
        """One more of them."""
        made = Process(self.api.directory, "worker", self.api.environ)
        made.start()
        self.workers.append(made)
        return made

    def whole(self, build_id: str) -> list[Event]:
        """A build's events once it has ended; it has ended once, and its log is all of it."""
        every = list(self.api.client.events(build_id))
        assert all(one.id < other.id for one, other in pairwise(every))
        assert [event.type for event in every].count("end") == 1
        log = self.api.client.log(build_id)
        assert log == "".join(event.content["text"] for event in every if event.type == "log")
        return every


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with servers.postgres() as server:
        yield server


@pytest.fixture
def installation(tmp_path: Path, postgres: Server, engine: BuildKit) -> Iterator[Installation]:
    database = postgres.database()
    made = Installation(Process(tmp_path, "api", {"LAUNCHYARD_DATABASE": database}), database, [])
    made.api.start()
    yield made
    for process in (*made.workers, made.api):
        process.close()


@contextmanager
def followed_from_here(api: Process, build_id: str) -> Iterator[Iterator[str]]:
    """The lines of a build's stream behind what its journal has now, over one connection."""
    import httpx2

    journal = api.directory / "state" / "service" / "builds" / f"{build_id}.events"
    headers = {"Last-Event-ID": str(journal.stat().st_size)}
    address = f"{api.client._address}/api/v1/builds/{build_id}/events"
    with httpx2.stream("GET", address, headers=headers, timeout=60) as answer:
        assert answer.is_success
        yield answer.iter_lines()


def test_a_build_of_a_worker_that_never_comes_back_is_taken_over(
    installation: Installation, slow: Callable[[str], Path]
) -> None:
    first = installation.worker()
    created = installation.api.create(slow(COUNTED))
    seen = seen_until(installation.api, created.build.id, STAGES["printing"])
    first.kill()
    killed = time.monotonic()
    other = installation.worker()
    again = next(event for event in installation.api.client.events(created.build.id, seen[-1].id) if _begins(event))
    assert again.content["again"] and time.monotonic() - killed < TAKEN_OVER
    every = installation.whole(created.build.id)
    assert installation.api.client.build(created.build.id).state == "succeeded"
    assert every[: len(seen)] == seen
    assert all(f"counted {n}\n" in installation.api.client.log(created.build.id) for n in range(1, 41))
    vanish(other.remains)


def test_after_all_of_it_is_killed_at_once_every_build_ends(
    installation: Installation, slow: Callable[[str], Path]
) -> None:
    worker = installation.worker()
    created = [installation.api.create(slow(COUNTED)) for _ in range(3)]
    seen_until(installation.api, created[0].build.id, STAGES["printing"])
    worker.kill()
    installation.api.kill()
    installation.api.start()
    installation.worker()
    for one in created:
        installation.whole(one.build.id)
        assert installation.api.client.build(one.build.id).state == "succeeded"


def test_a_stream_goes_on_where_it_was_after_the_api_is_killed(
    installation: Installation, slow: Callable[[str], Path]
) -> None:
    installation.worker()
    created = installation.api.create(slow(COUNTED))
    seen = []
    for event in installation.api.client.events(created.build.id):
        seen.append(event)
        if STAGES["printing"](event):
            installation.api.kill()
            installation.api.start()
    assert seen == installation.whole(created.build.id)


def test_a_worker_that_was_taken_for_dead_and_comes_back_ends_and_writes_nothing_more(
    installation: Installation, slow: Callable[[str], Path]
) -> None:
    asleep = installation.worker()
    created = installation.api.create(slow(LONGER))
    seen = seen_until(installation.api, created.build.id, STAGES["printing"])
    assert asleep.process
    os.kill(asleep.process.pid, signal.SIGSTOP)
    installation.worker()
    next(event for event in installation.api.client.events(created.build.id, seen[-1].id) if _begins(event))
    os.kill(asleep.process.pid, signal.SIGCONT)
    assert asleep.process.wait(LEASE) == os.EX_TEMPFAIL
    asleep.end()
    installation.api.client.cancel(created.build.id)
    installation.whole(created.build.id)
    assert installation.api.client.build(created.build.id).state == "cancelled"


def test_while_postgres_is_away_the_api_says_so_and_builds_wait_for_it(
    installation: Installation, slow: Callable[[str], Path], postgres: Server
) -> None:
    worker = installation.worker()
    created = installation.api.create(slow(COUNTED))
    seen_until(installation.api, created.build.id, STAGES["printing"])
    postgres.stop()
    with pytest.raises(ServiceProblem) as raised:
        installation.api.client.build(created.build.id)
    assert (raised.value.status, raised.value.explanation.code) == (503, "database-away")
    until(lambda: not worker.workers())
    with followed_from_here(installation.api, created.build.id) as lines:
        postgres.start()
        assert "event: end" in lines
    assert "Traceback" not in (installation.api.directory / "errors").read_text()
    installation.whole(created.build.id)
    assert installation.api.client.build(created.build.id).state == "succeeded"
    again = installation.api.client.rebuild(created.id)
    installation.whole(again.id)
    assert installation.api.client.build(again.id).state == "succeeded"


def test_a_worker_ends_when_it_is_told_to_although_postgres_is_away(
    installation: Installation, slow: Callable[[str], Path], postgres: Server
) -> None:
    worker = installation.worker()
    created = installation.api.create(slow(COUNTED))
    seen_until(installation.api, created.build.id, STAGES["printing"])
    postgres.stop()
    try:
        worker.end()
    finally:
        postgres.start()
    installation.worker()
    installation.whole(created.build.id)
    assert installation.api.client.build(created.build.id).state == "succeeded"


def test_a_worker_ends_when_it_is_told_to_although_it_cannot_note_what_it_has_built(
    installation: Installation, slow: Callable[[str], Path], postgres: Server
) -> None:
    worker = installation.worker()
    created = installation.api.create(slow(f"{COUNTED}\nsleep 8"))
    seen_until(installation.api, created.build.id, STAGES["printing"])
    postgres.stop()
    try:
        until(lambda: not worker.workers())
        worker.end()
    finally:
        postgres.start()


def test_processes_that_start_at_once_over_an_empty_database_all_start(
    installation: Installation, postgres: Server
) -> None:
    environ = {"LAUNCHYARD_DATABASE": postgres.database()}
    made = [Process(installation.api.directory, role, environ) for role in ("api", "worker", "worker")]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Process.start, made))
    store = Store(environ["LAUNCHYARD_DATABASE"])
    try:
        assert list(made[0].client.environments()) == []
        until(lambda: len(store.workers()) == 2)
    finally:
        for process in made:
            process.close()
    assert store.workers() == ()
    store.close()


def test_a_worker_answers_only_how_it_does(installation: Installation) -> None:
    worker = installation.worker()
    import httpx2

    address = worker.client._address
    assert httpx2.get(f"{address}/readyz").is_success
    assert "launchyard_workers 1.0" in httpx2.get(f"{address}/metrics").text
    assert httpx2.get(f"{address}/api/v1/environments").status_code == 404


def _begins(event: Event) -> bool:
    return event.type == "state"
