"""What a service writes to standard error: JSON, with the build that a line is about."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, redirect_stderr
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbos import DBOS
from dbos._sys_db import SystemDatabase

from builder.serve import log_as_json
from tests.service import AWAY, GatedEngine, Running, failing, running

pytestmark = pytest.mark.service

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """A function that gives the lines since it was called last; one that is no JSON fails the test."""
    loggers = [logging.getLogger(name) for name in ("", "dbos", "launchyard")]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    written = io.StringIO()
    with redirect_stderr(written):
        log_as_json()
    read = 0

    def since() -> list[dict[str, Any]]:
        nonlocal read
        whole = written.getvalue()[read:].rpartition("\n")[0]
        read += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line]

    yield since
    for logger, handlers, propagate, level in before:
        logger.handlers[:] = handlers
        logger.propagate = propagate
        logger.setLevel(level)


@pytest.fixture
def own(lines: Lines, tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path, GatedEngine(index={"six": "1.16.0"})) as made:
        yield made


def about(found: list[dict[str, Any]], build_id: str) -> list[str]:
    return [line["message"] for line in found if line.get("build") == build_id]


def test_a_build_that_starts_and_ends_is_named_in_every_line(own: Running, lines: Lines) -> None:
    build = own.rebuilt(own.built(name="named"), fresh=True)
    found: list[dict[str, Any]] = []

    def ended() -> bool:
        found.extend(lines())
        return "build ends" in about(found, build["id"])

    own.until(ended)
    assert about(found, build["id"]) == ["build starts", "build ends"]
    assert all(line.get("build") for line in found if line["logger"] == "launchyard")


def test_a_build_that_does_not_come_into_the_line_is_named(
    own: Running, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = own.built(name="not-in-line")
    failing(monkeypatch, DBOS, "enqueue_workflow", AWAY, 1)
    build = own.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    own.until(lambda: "a build is not in line yet" in about(lines(), build["id"]))


def test_a_build_that_is_given_up_at_a_start_is_named(lines: Lines, tmp_path: Path) -> None:
    images = GatedEngine(index={"six": "1.16.0"})
    with running(tmp_path, images) as service:
        build = service.rebuilt(service.built(name="given-up"), fresh=True)
    with closing(sqlite3.connect(tmp_path / "state" / "service" / "records.db", isolation_level=None)) as records:
        records.execute("UPDATE builds SET state = 'running', finished_at = NULL WHERE id = ?", [build["id"]])
    lines()
    with running(tmp_path, images):
        assert about(lines(), build["id"]) == ["gives up a build whose workflow is over"]


def test_a_build_that_is_taken_over_is_named(own: Running, lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    build = own.built(name="taken-over")["id"]
    monkeypatch.setattr(
        DBOS, "list_workflows", lambda **asked: [SimpleNamespace(workflow_id=build, executor_id="somebody else")]
    )
    monkeypatch.setattr(DBOS, "_recover_pending_workflows", lambda executors: None)
    own.embedded.queue._take_over()
    monkeypatch.undo()
    assert "takes a build over from a worker that is gone" in about(lines(), build)


def test_what_the_queue_itself_says_of_a_build_is_json_and_names_it(
    own: Running, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = own.built(name="of-the-queue")
    failing(monkeypatch, SystemDatabase, "update_workflow_outcome", ValueError("a slip"), 1)
    build = own.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    found: list[dict[str, Any]] = []

    def told() -> bool:
        found.extend(line for line in lines() if line["logger"] == "dbos")
        return bool(found)

    own.until(told)
    assert about(found, build["id"])
