"""Sessions of services with settings of their own, and of one that is started anew: one service at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launcher.records import SessionRequest
from launcher.runtimes.fake import FakeRuntime
from tests.launching import launching_service
from tests.service import GatedEngine

pytestmark = pytest.mark.service


def test_sessions_are_so_many_at_once_and_no_more(tmp_path: Path) -> None:
    with launching_service(tmp_path, at_once=1) as service:
        launcher = service.launcher()
        session = service.launched(launcher)
        answer = service.http.post(f"/api/v1/launchers/{launcher['id']}/sessions")
        assert (answer.status_code, answer.json()["code"]) == (429, "sessions-full")
        service.post(f"/sessions/{session['id']}/stop", status=200)
        service.in_state(session["id"], "stopped")
        service.launched(launcher)


def test_session_that_never_answers_fails_and_is_removed(tmp_path: Path) -> None:
    with launching_service(tmp_path) as service:
        service.runtime.ready = False
        service.launchers.keeper.start_time = 0.3
        launcher = service.launcher()
        session = service.post(f"/launchers/{launcher['id']}/sessions")
        assert "did not answer within" in service.in_state(session["id"], "failed")["outcome"]
        assert service.runtime.list() == ()


def test_session_that_nobody_uses_is_idle_and_then_stopped(tmp_path: Path) -> None:
    with launching_service(tmp_path, idle_limit=4) as service:
        service.launchers.keeper.asked = 0.1
        launcher = service.launcher(frontend="command", command=["serve"])
        session = service.launched(launcher)
        service.in_state(session["id"], "idle")
        service.launchers.keeper.traffic.note(session["id"])
        service.in_state(session["id"], "running")
        assert "nobody used it" in service.in_state(session["id"], "stopped")["outcome"]
        assert service.instance(session) in service.runtime.work


def test_sessions_are_found_again_by_a_service_that_is_started_anew(tmp_path: Path) -> None:
    engine = GatedEngine(index={"six": "1.16.0"})
    runtime = FakeRuntime(engine)
    with launching_service(tmp_path, engine, runtime) as service:
        launcher = service.launcher()
        running, ended, paused = (service.launched(launcher) for _ in range(3))
        service.post(f"/sessions/{paused['id']}/pause", status=200)
        service.in_state(paused["id"], "paused")
        runtime.ready = False
        starting = service.post(f"/launchers/{launcher['id']}/sessions")
    runtime.finish(service.instance(ended), 1, "the machine went away")
    orphan = replace(runtime.requests[0], name="nobody-knows-it", port=None)
    runtime.start(orphan)
    runtime.start(SessionRequest("by-hand", orphan.image, "none"))
    runtime.ready = True
    with launching_service(tmp_path, engine, runtime) as service:
        assert service.in_state(starting["id"], "running")
        assert service.in_state(ended["id"], "failed")["explanation"]["seen"] == "the machine went away"
        service.until(lambda: runtime.get("nobody-knows-it") is None)
        assert runtime.get("by-hand"), "what a person started by hand is not the service's"
        assert service.get(f"/sessions/{running['id']}")["state"] == "running"
        assert service.get(f"/sessions/{paused['id']}")["state"] == "paused"
        assert sum(request.name == service.instance(running) for request in runtime.requests) == 1
