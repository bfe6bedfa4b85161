"""The line of builds: none is lost, and none ends twice, whatever ends in between."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import dbos._queue
import pytest
from dbos import DBOS

from builder.store import Store
from tests.service import AWAY, PATIENCE, GatedEngine, Running, failing, running

pytestmark = pytest.mark.service


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Running]:
    """A service for a test that spoils it."""
    with running(tmp_path, GatedEngine(index={"six": "1.16.0"})) as made:
        yield made


def queued(service: Running) -> list[Any]:
    """Three builds, the last of which waits for its turn."""
    environments = [service.built(name=f"line-{n}") for n in range(3)]
    service.engine.gate.clear()
    builds = [service.post(f"/environments/{e['id']}/builds", {"fresh": True}) for e in environments]
    service.until(lambda: service.embedded.store.counts() == {"running": 2, "queued": 1})
    return sorted(builds, key=lambda build: service.get(f"/builds/{build['id']}")["state"] == "queued")


def test_a_build_that_a_worker_took_in_and_let_go_of_is_gone_on_with(
    own: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = own.built(name="let-go")
    with monkeypatch.context() as broken:
        failing(broken, dbos._queue, "execute_dequeued_workflow", AWAY, 1)
        build = own.post(f"/environments/{environment['id']}/builds", {"fresh": True})
        own.until(lambda: statuses(build["id"]) == ["PENDING"])
        own.embedded.queue._take_up()
        assert own.get(f"/builds/{build['id']}")["state"] == "queued"
        own.embedded.queue._take_up()
    own.until(lambda: own.get(f"/builds/{build['id']}")["state"] == "succeeded")


def statuses(build_id: str) -> list[str]:
    return [workflow.status for workflow in DBOS.list_workflows(workflow_ids=[build_id])]


def test_a_build_that_lost_its_record_with_the_power_has_failed_and_may_be_built_again(tmp_path: Path) -> None:
    images = GatedEngine(index={"six": "1.16.0"})
    with running(tmp_path, images) as service:
        environment = service.built(name="lost")
        build = service.rebuilt(environment, fresh=True)
        service.until(lambda: statuses(build["id"]) == ["SUCCESS"])
    with closing(sqlite3.connect(tmp_path / "state" / "service" / "records.db", isolation_level=None)) as records:
        records.execute("UPDATE builds SET state = 'running', finished_at = NULL WHERE id = ?", [build["id"]])
    with running(tmp_path, images) as service:
        ended = service.get(f"/builds/{build['id']}")
        assert (ended["state"], ended["explanation"]["code"]) == ("failed", "builder-lost")
        assert service.rebuilt(environment, fresh=True)["state"] == "succeeded"


def test_a_build_that_two_cancel_at_once_ends_once(own: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, last = queued(own)
    both = threading.Barrier(2)
    cancel = Store.cancel

    def together(store: Store, id: str) -> Any:
        both.wait(PATIENCE)
        return cancel(store, id)

    monkeypatch.setattr(Store, "cancel", together)
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: own.http.post(f"/api/v1/builds/{last['id']}/cancel"), range(2)))
    assert [answer.json()["state"] for answer in answers] == ["cancelled"] * 2
    assert [event for _, event, _ in own.events(last["id"])] == ["end"]
    own.engine.gate.set()


def test_a_build_that_is_cancelled_by_a_process_that_is_killed_then_gets_its_end_in_its_turn(own: Running) -> None:
    *_, last = queued(own)
    cancelled, _ = own.embedded.store.cancel(last["id"])
    assert cancelled.state == "cancelled" and own.events(last["id"]) == []
    own.engine.gate.set()
    own.until(lambda: [event for _, event, _ in own.events(last["id"])] == ["end"])


def test_a_worker_is_known_before_it_takes_anything_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = DBOS.launch
    known = []

    def look_then_launch() -> None:
        with closing(sqlite3.connect(tmp_path / "state" / "service" / "records.db")) as records:
            known.append(records.execute("SELECT id FROM workers").fetchall())
        launch()

    monkeypatch.setattr(DBOS, "launch", look_then_launch)
    with running(tmp_path):
        assert known == [[("embedded",)]]


def test_nothing_is_taken_from_a_worker_that_joins_while_others_look(
    own: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = own.built(name="joins")
    own.engine.gate.clear()
    own.engine.waiting.clear()
    own.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    assert own.engine.waiting.wait(PATIENCE)
    bury, listed = Store.bury, DBOS.list_workflows
    joined = []

    def bury_then_join(store: Store) -> frozenset[str]:
        """The alive, before another joins at once and takes in the build that there is."""
        alive = bury(store) - {"embedded"}
        joined.append("embedded")
        return alive

    monkeypatch.setattr(Store, "bury", bury_then_join)
    monkeypatch.setattr(DBOS, "list_workflows", lambda **asked: listed(**asked) if joined else [])
    taken: list[list[str]] = []
    monkeypatch.setattr(DBOS, "_recover_pending_workflows", taken.append)
    own.embedded.queue._take_over()
    assert joined and taken == []
    own.engine.gate.set()


def test_the_queue_forgets_builds_that_have_ended_and_only_those(own: Running) -> None:
    environment = own.built(name="forgotten")
    ended = own.rebuilt(environment, fresh=True)
    own.until(lambda: statuses(ended["id"]) == ["SUCCESS"])
    own.engine.gate.clear()
    own.engine.waiting.clear()
    runs = own.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    assert own.engine.waiting.wait(PATIENCE)
    own.embedded.queue._forget()
    assert statuses(ended["id"]) == [] and statuses(runs["id"]) == ["PENDING"]
    assert own.get(f"/builds/{ended['id']}") == ended
    own.engine.gate.set()
    assert own.ended(runs["id"])["state"] == "succeeded"


def test_a_service_ends_although_the_queue_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    reached = threading.Event()

    def hang(*arguments: object) -> None:
        reached.set()
        never.wait(2 * PATIENCE)

    monkeypatch.setattr("builder.queue.FAREWELL", 0.1)
    closed: list[Store] = []
    close = Store.close

    def noted(store: Store) -> None:
        closed.append(store)
        close(store)

    monkeypatch.setattr(Store, "close", noted)

    def serve() -> None:
        with running(tmp_path) as service:
            environment = service.built(name="hangs")
            monkeypatch.setattr(DBOS, "enqueue_workflow", hang)
            failing(monkeypatch, Store, "leave", AWAY, 1)
            service.post(f"/environments/{environment['id']}/builds", {"fresh": True})
            assert reached.wait(PATIENCE)

    ends = threading.Thread(target=serve, daemon=True)
    ends.start()
    ends.join(PATIENCE)
    assert not ends.is_alive() and len(closed) == 1
    never.set()
