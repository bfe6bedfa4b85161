"""Sessions of launchers over HTTP: from starting to stopped, whatever happens in between."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher.records import SessionRequest
from launcher.runtimes.fake import FakeRuntime
from tests.launching import Launching, launching_service
from tests.service import GatedEngine


@pytest.fixture(scope="module")
def launcher(service: Launching) -> Any:
    return service.launcher(name="tides", idle_limit=3_600)


def test_session_is_of_the_current_version_and_of_its_commit(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    version = service.get(f"/environments/{launcher['environment_id']}/versions/1")
    assert (session["version"], session["image"], session["commit"]) == (1, version["reference"], version["commit"])
    request = service.runtime.requests[-1]
    assert (request.base_path, request.token) == (session["path"], session["token"])
    assert (request.directory, request.commit) == (service.repository, version["commit"])
    assert session["path"] == f"/sessions/{session['id']}/"
    assert [s["id"] for s in service.get("/sessions?state=running&state=idle")["items"]] == [session["id"]]
    assert service.get(f"/sessions/{session['id']}/usage")["memory_limit"] == 500_000_000
    service.post(f"/sessions/{session['id']}/stop", status=200)
    service.in_state(session["id"], "stopped")


def test_stopped_session_leaves_its_work_for_the_next_one(service: Launching, launcher: Any) -> None:
    first = service.launched(launcher)
    service.post(f"/sessions/{first['id']}/stop", status=200)
    stopped = service.in_state(first["id"], "stopped")
    assert stopped["outcome"] == "stopped" and stopped["ended_at"]
    assert service.runtime.get(service.instance(first)) is None
    assert service.instance(first) in service.runtime.work
    second = service.launched(launcher)
    assert (second["work"], first["work"]) == (1, 1)
    assert second["token"] != first["token"]
    service.post(f"/sessions/{second['id']}/stop", status=200)
    service.in_state(second["id"], "stopped")


def test_two_sessions_at_once_have_a_work_directory_each(service: Launching, launcher: Any) -> None:
    both = [service.launched(launcher) for _ in range(2)]
    assert [session["work"] for session in both] == [1, 2]
    for session in both:
        service.post(f"/sessions/{session['id']}/stop", status=200)
        service.in_state(session["id"], "stopped")


def test_paused_session_goes_on_at_the_same_address_with_the_same_work(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    service.post(f"/sessions/{session['id']}/pause", status=200)
    paused = service.in_state(session["id"], "paused")
    assert service.runtime.get(service.instance(session)) is None
    assert service.instance(session) in service.runtime.work
    assert service.launched(launcher)["work"] == 2, "its work directory is its own while it is paused"
    service.post(f"/sessions/{session['id']}/resume", status=200)
    resumed = service.in_state(session["id"], "running")
    assert [resumed[name] for name in ("path", "token", "work")] == [paused[name] for name in ("path", "token", "work")]
    for each in service.get("/sessions?state=running")["items"]:
        service.post(f"/sessions/{each['id']}/stop", status=200)
        service.in_state(each["id"], "stopped")


def test_session_whose_program_ends_says_with_which_words(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    said = (f"open http://127.0.0.1:8888/?token={session['token']}", "KeyError: 'tide'")
    service.runtime.finish(service.instance(session), 3, *said)
    failed = service.in_state(session["id"], "failed")
    assert failed["explanation"]["title"] == "The session ended with exit code 3"
    shown = "open http://127.0.0.1:8888/?token=…\nKeyError: 'tide'"
    assert failed["explanation"]["seen"] == shown, "its token is not shown"
    assert service.http.get(f"/api/v1/sessions/{session['id']}/log").text == f"{shown}\n"
    assert service.runtime.get(service.instance(session)) is None


def test_session_that_wants_too_much_memory_says_so(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    service.runtime.finish(service.instance(session), 137, "Killed", exhausted=True)
    explanation = service.in_state(session["id"], "failed")["explanation"]
    assert explanation["code"] == "session-out-of-memory"
    assert "500 MB" in explanation["seen"] and "Killed" in explanation["seen"]


def test_session_whose_program_is_shut_down_has_stopped(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    service.runtime.finish(service.instance(session), 0)
    assert service.in_state(session["id"], "stopped")["outcome"] == "ended by itself"


def test_session_that_somebody_removes_says_so(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    service.runtime.stop(service.instance(session))
    assert "was removed while it ran" in service.in_state(session["id"], "failed")["outcome"]


def test_session_of_an_image_that_is_gone_says_so(service: Launching) -> None:
    launcher = service.launcher(
        name="pruned", code={"repository": str(service.repository), "options": {"python": "3.12"}}
    )
    image = service.get(f"/environments/{launcher['environment_id']}/image")
    service.engine.remove(list(service.engine.inspect(image["image_id"]).tags))  # type: ignore[union-attr]
    session = service.post(f"/launchers/{launcher['id']}/sessions")
    assert service.in_state(session["id"], "failed")["explanation"]["code"] == "image-absent"


def test_launcher_without_an_image_launches_nothing(service: Launching) -> None:
    service.engine.gate.clear()
    made = service.post("/launchers", {"code": {"repository": str(service.repository), "options": {"python": "3.13"}}})
    answer = service.http.post(f"/api/v1/launchers/{made['id']}/sessions")
    service.engine.gate.set()
    assert (answer.status_code, answer.json()["code"]) == (404, "no-version-yet")


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
