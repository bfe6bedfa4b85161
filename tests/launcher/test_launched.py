"""Sessions of launchers over HTTP: from starting to stopped, whatever happens in between."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from builder.failures.asked import EngineUnavailable
from builder.service import BuildError, Service
from launcher.runtimes.fake import FakeRuntime
from launcher.sessions import START_IS_OVER, START_RUNS
from tests.launching import Launching
from tests.service import PATIENCE

pytestmark = pytest.mark.service


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


def test_session_whose_command_fails_names_it_and_one_that_fails_in_the_repositorys_start_names_that(
    service: Launching,
) -> None:
    made = service.launcher(name="commanded", frontend="command", command=["python", "app.py", "{port}"])

    def why(*lines: str) -> Any:
        session = service.launched(made)
        service.runtime.finish(service.instance(session), 3, *lines)
        return service.in_state(session["id"], "failed")["explanation"]

    of_command = why(START_RUNS, START_IS_OVER, "no such tide")
    assert of_command["title"] == "The command python ended with exit code 3"
    assert of_command["seen"].startswith("$ python app.py 8888\n") and of_command["seen"].endswith("no such tide")
    of_start = why(START_RUNS, "no such moon")
    assert of_start["title"] == "The repository's start ended with exit code 3"
    assert of_start["seen"].endswith("no such moon") and 'exec "$@"' in of_start["fix"][0]
    of_shell = why(START_RUNS, "/opt/launchyard/start: line 113: start: cannot execute: required file not found")
    assert "begin with #!/bin/bash" in of_shell["fix"][0]


def test_session_that_wants_too_much_memory_says_so(service: Launching, launcher: Any) -> None:
    session = service.launched(launcher)
    service.runtime.finish(service.instance(session), 137, "Killed", exhausted=True)
    explanation = service.in_state(session["id"], "failed")["explanation"]
    assert explanation["code"] == "session-out-of-memory"
    assert "500 MB" in explanation["seen"] and "Killed" in explanation["seen"]


def test_session_that_grows_beyond_its_disk_is_ended_and_one_that_begins_so_is_not(
    service: Launching, launcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service.launchers.keeper, "asked", 0.05)
    monkeypatch.setattr(service.launchers.keeper, "counted", 0.05)
    large = service.launcher(name="large", resources="large")
    session = service.launched(large)
    counted = service.runtime.counted(service.instance(session))
    service.runtime.disks[service.instance(session)] = 5_000_001
    failed = service.in_state(session["id"], "failed")
    assert counted and failed["explanation"]["code"] == "session-disk-full"
    assert "Its files took 5 MB; they may take 5 MB" in failed["explanation"]["seen"]
    again = service.launched(large)
    assert service.runtime.counted(service.instance(again), 3)
    assert service.get(f"/sessions/{again['id']}")["state"] == "running", "its work directory can be cleared"
    service.runtime.disks[service.instance(session)] = 5_000_002
    service.in_state(again["id"], "failed")


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
    assert service.in_state(session["id"], "failed")["explanation"]["code"] == "version-gone"


def test_launcher_without_an_image_launches_nothing(service: Launching) -> None:
    service.engine.gate.clear()
    made = service.post("/launchers", {"code": {"repository": str(service.repository), "options": {"python": "3.13"}}})
    answer = service.http.post(f"/api/v1/launchers/{made['id']}/sessions")
    service.engine.gate.set()
    assert (answer.status_code, answer.json()["code"]) == (404, "no-version-yet")


@pytest.mark.parametrize("slow", ["usage", "preview"])
def test_an_engine_or_a_git_host_that_does_not_answer_keeps_no_other_page_waiting(
    service: Launching, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    launcher = service.launcher()
    session = service.launched(launcher)
    answers, asked = threading.Event(), threading.Semaphore(0)

    def silent(*_: object) -> None:
        asked.release()
        assert answers.wait(PATIENCE)
        raise BuildError(EngineUnavailable("silent until now"))

    monkeypatch.setattr(*{"usage": (FakeRuntime, "usage"), "preview": (Service, "preview")}[slow], silent)
    page = f"/launchers/{launcher['name']}"
    path = {"usage": f"{page}/sessions/{session['id']}/usage", "preview": f"{page}/actions"}[slow]
    with ThreadPoolExecutor(4) as people:
        try:
            waiting = [people.submit(service.http.get, path) for _ in range(3)]
            assert all(asked.acquire(timeout=PATIENCE) for _ in waiting)
            assert people.submit(service.http.get, page).result(PATIENCE / 2).status_code == 200
        finally:
            answers.set()
        assert {answered.result(PATIENCE).status_code for answered in waiting} == {{"usage": 503, "preview": 200}[slow]}
