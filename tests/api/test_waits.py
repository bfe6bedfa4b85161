"""Builds, when what they stand on fails for a while: they wait for it, or say why they end."""

from __future__ import annotations

import sqlite3

import pytest
from dbos._sys_db import SystemDatabase
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from builder.records import Asked
from builder.store import Store
from tests.service import AWAY, PATIENCE, Running, failing

pytestmark = pytest.mark.service


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a database asks again at once."""
    monkeypatch.setattr("builder.queue.PAUSES", (0.001, 0.001))


def test_a_build_is_cancelled_after_the_database_was_away_for_long(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = service.built(name="watched")
    service.engine.gate.clear()
    service.engine.waiting.clear()
    with monkeypatch.context() as while_away:
        failing(while_away, Store, "is_cancelling", AWAY, 200)
        build = service.post(f"/environments/{environment['id']}/builds", {"fresh": True})
        assert service.engine.waiting.wait(PATIENCE)
        service.post(f"/builds/{build['id']}/cancel", status=200)
        assert service.ended(build["id"])["state"] == "cancelled"


@pytest.mark.parametrize("error", [AWAY, PoolTimeout("no connection is free")], ids=["away", "pool"])
@pytest.mark.parametrize("name", ["begin", "environment", "note_plan", "conclude"])
def test_a_build_waits_for_a_database_that_is_away(
    service: Running, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    environment = service.built(name=f"{name}-{type(error).__name__}")
    asked = service.embedded.service.rebuild
    with monkeypatch.context() as while_away:
        if name == "environment":  # which the request asks for as well
            build, _ = asked(environment["id"], Asked(fresh=True))
            failing(while_away, Store, name, error, 1)
        else:
            failing(while_away, Store, name, error, 100)
            build, _ = asked(environment["id"], Asked(fresh=True))
        service.events(build.id)
    assert service.embedded.store.build(build.id).state == "succeeded"


def test_a_build_whose_commit_cannot_be_noted_succeeds(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = service.built(name="not-noted")
    with monkeypatch.context() as broken:
        failing(broken, Store, "note_plan", DataError("UPDATE", {}, Exception("value too long")), 1)
        assert service.rebuilt(environment, fresh=True)["state"] == "succeeded"


def test_a_build_whose_outcome_the_queue_cannot_keep_says_why_and_a_later_rebuild_succeeds(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = service.built(name="not-kept")
    full = OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full"))
    with monkeypatch.context() as broken:
        failing(broken, SystemDatabase, "record_operation_result", full, 1)
        build = service.rebuilt(environment, fresh=True)
    assert (build["state"], build["explanation"]["code"]) == ("failed", "disk-full")
    assert service.rebuilt(environment, fresh=True)["state"] == "succeeded"
