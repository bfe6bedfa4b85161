"""Launchers over HTTP: what can be asked for, what is shown, and what never is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.failures.asked import SettingsInvalid
from builder.service import BuildError, Settings
from builder.settings import Sessions
from launcher.service import data_of
from tests.command import foreign
from tests.launching import DATA, Launching

pytestmark = pytest.mark.service


def problem(service: Launching, document: dict[str, Any], status: int) -> Any:
    """How the service refuses to create a launcher."""
    answer = service.http.post("/api/v1/launchers", json=document)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_launcher_of_code_builds_its_environment(service: Launching) -> None:
    made = service.post("/launchers", {"name": "tides", "code": {"repository": str(service.repository)}})
    assert (made["name"], made["frontend"], made["resources"]) == ("tides", "jupyterlab", "small")
    build = service.get(f"/environments/{made['environment_id']}/builds")["items"][0]
    assert service.ended(build["id"])["state"] == "succeeded"
    assert service.get(f"/launchers/{made['id']}") == made
    assert made in service.get("/launchers?search=tid")["items"]


def test_launcher_without_a_name_is_called_after_its_repository(service: Launching) -> None:
    names = [service.launcher()["name"] for _ in range(2)]
    assert all("repository" in name for name in names) and names[0] != names[1]


def test_launcher_of_an_environment_that_there_is_and_of_an_image(service: Launching) -> None:
    environment = service.built(name="shared")
    launcher = service.post("/launchers", {"name": "shares", "environment_id": environment["id"], "version": 1})
    assert launcher["version"] == 1
    image = service.get(f"/environments/{environment['id']}/image")["reference"]
    launcher = service.post("/launchers", {"name": "imaged", "image": image})
    assert (launcher["image"], launcher["environment_id"]) == (image, None)
    assert service.launched(launcher)["image"] == image


def test_dashboard_builds_an_image_without_a_frontend(service: Launching) -> None:
    made = service.launcher(name="board", frontend="streamlit", command=["app.py", "--theme.base=dark"])
    environment = service.get(f"/environments/{made['environment_id']}")
    assert environment["options"]["frontend"] == "none"


@pytest.mark.parametrize("name", ["a", "-a", "a-", "A1", "a" * 64, "a_b", "ä1", "a\n"])
def test_name_that_no_launcher_can_have(service: Launching, name: str) -> None:
    assert problem(service, {"name": name, "image": "x"}, 422)["code"] == "request-invalid"


@pytest.mark.parametrize("name", ["a1", "a" * 63, "0-0"])
def test_name_that_a_launcher_can_have(service: Launching, name: str) -> None:
    assert service.launcher(name=name)["name"] == name


def test_name_that_is_taken_leaves_no_environment_behind(service: Launching) -> None:
    service.launcher(name="taken")
    before = len(service.get("/environments?limit=200")["items"])
    answer = problem(service, {"name": "taken", "code": {"repository": str(service.repository)}}, 409)
    assert answer["title"] == "There is a launcher taken already"
    assert len(service.get("/environments?limit=200")["items"]) == before


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"frontend": "streamlit"}, "command-missing"),
        ({"frontend": "streamlit", "command": ["--server.port=1"]}, "command-missing"),
        ({"frontend": "command"}, "command-missing"),
        ({"resources": "huge"}, "resources-absent"),
        ({"data": ["charts", "moon"]}, "data-absent"),
        ({"variables": {"LAUNCHYARD_TOKEN": "x"}}, "launcher-invalid"),
        ({"secrets": {"PATH": "/tmp"}}, "launcher-invalid"),
    ],
)
def test_launcher_that_cannot_be_so_is_refused_before_anything_is_built(
    service: Launching, asked: dict[str, Any], code: str
) -> None:
    before = len(service.get("/builds?limit=200")["items"])
    assert problem(service, {"code": {"repository": str(service.repository)}, **asked}, 400)["code"] == code
    assert len(service.get("/builds?limit=200")["items"]) == before


def test_launcher_of_nothing_or_of_two_things_is_none(service: Launching) -> None:
    problem(service, {"name": "nothing"}, 422)
    problem(service, {"image": "x", "code": {"repository": "y"}}, 422)


def test_image_of_somebody_elses_or_with_another_frontend_is_refused(service: Launching) -> None:
    foreign(service.engine)
    assert problem(service, {"image": "lab/tides"}, 400)["code"] == "image-foreign"
    environment = service.built(name="for-vscodium")
    answer = problem(service, {"environment_id": environment["id"], "frontend": "vscodium"}, 400)
    assert answer["code"] == "frontend-differs"


def test_secret_is_never_shown_again(service: Launching, caplog: pytest.LogCaptureFixture) -> None:
    launcher = service.launcher(name="keeps", secrets={"API_KEY": "hunter2-hunter2"}, variables={"LEVEL": "7"})
    session = service.launched(launcher)
    assert service.runtime.requests[-1].variables == {"LEVEL": "7", "API_KEY": "hunter2-hunter2"}
    assert (launcher["secrets"], launcher["variables"]) == (["API_KEY"], {"LEVEL": "7"})
    shown = [
        service.http.get(f"/api/v1{path}").text
        for path in ("/launchers", f"/launchers/{launcher['id']}", "/sessions", f"/sessions/{session['id']}/log")
    ]
    assert "hunter2" not in "".join([*shown, caplog.text, repr(service.runtime.requests[-1])])


def test_secrets_are_added_replaced_and_taken_away(service: Launching) -> None:
    launcher = service.launcher(name="changes", secrets={"ONE": "1", "TWO": "2"})
    change = {"secrets": {"TWO": "22", "ONE": None, "THREE": "3"}, "resources": "large"}
    changed = service.http.patch(f"/api/v1/launchers/{launcher['id']}", json=change).json()
    assert (changed["secrets"], changed["resources"]) == (["THREE", "TWO"], "large")
    service.launched(launcher)
    request = service.runtime.requests[-1]
    assert request.variables == {"TWO": "22", "THREE": "3"}
    assert (request.resources.cpus, request.resources.memory) == (2, 900_000_000)


def test_data_that_is_chosen_is_mounted_and_what_the_settings_forget_is_not(
    service: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = service.launcher(name="with-data", data=["tide-gauges", "charts"])
    assert launcher["data"] == ["tide-gauges", "charts"]
    monkeypatch.delitem(DATA, "charts")
    service.launched(launcher)
    assert service.runtime.requests[-1].data == {"tide-gauges": Path("/srv/tide-gauges")}
    changed = service.http.patch(f"/api/v1/launchers/{launcher['id']}", json={"data": []}).json()
    assert changed["data"] == []


@pytest.mark.parametrize(("name", "path"), [("Tides", "/srv"), ("a/b", "/srv"), ("tides", "srv"), ("../etc", "/etc")])
def test_data_that_the_settings_cannot_have(name: str, path: str) -> None:
    settings = replace(Settings(), sessions=Sessions(data={name: path}))
    with pytest.raises(BuildError) as raised:
        data_of(settings)
    assert isinstance(raised.value.failure, SettingsInvalid)


def test_change_of_what_somebody_else_has_changed_is_refused(service: Launching) -> None:
    launcher = service.launcher(name="twice")
    address = f"/api/v1/launchers/{launcher['id']}"
    tag = service.http.get(address).headers["ETag"]
    assert service.http.patch(address, json={"idle_limit": 600}, headers={"If-Match": tag}).status_code == 200
    assert service.http.patch(address, json={"idle_limit": 60}, headers={"If-Match": tag}).status_code == 412
    assert service.get(f"/launchers/{launcher['id']}")["idle_limit"] == 600


def test_change_to_what_is_there_already_keeps_the_tag(service: Launching) -> None:
    launcher = service.launcher(name="as-it-was", secrets={"TOKEN": "a"}, variables={"A": "1"})
    address = f"/api/v1/launchers/{launcher['id']}"
    tag = service.http.get(address).headers["etag"]
    same = {"variables": {"A": "1"}, "secrets": {"TOKEN": "a", "ABSENT": None}, "command": []}
    assert service.http.patch(address, json=same).headers["etag"] == tag
    assert service.http.patch(address, json={"secrets": {"TOKEN": "b"}}).headers["etag"] != tag


def test_deleted_launcher_leaves_no_session_no_work_and_no_environment(service: Launching) -> None:
    launcher = service.launcher(name="goes")
    session = service.launched(launcher)
    name = f"{launcher['id']}-1"
    assert name in service.runtime.work
    assert service.http.delete(f"/api/v1/launchers/{launcher['id']}").status_code == 204
    assert service.http.get(f"/api/v1/launchers/{launcher['id']}").status_code == 404
    service.until(lambda: name not in service.runtime.work)
    service.until(lambda: service.http.get(f"/api/v1/sessions/{session['id']}").status_code == 404)
    assert service.runtime.get(name) is None
    assert service.http.get(f"/api/v1/environments/{launcher['environment_id']}").status_code == 404
    assert service.launcher(name="goes")["name"] == "goes"


def test_launcher_whose_environment_somebody_has_deleted_is_deleted(service: Launching) -> None:
    environment = service.built(name="without-launcher")["id"]
    made = service.post("/launchers", {"environment_id": environment, "name": "left-alone"})
    assert service.http.delete(f"/api/v1/environments/{environment}").status_code == 204
    assert service.http.delete(f"/api/v1/launchers/{made['id']}").status_code == 204
    assert service.http.get(f"/api/v1/launchers/{made['id']}").status_code == 404


def test_environment_that_another_launcher_has_stays(service: Launching) -> None:
    first = service.launcher(name="first")
    service.post("/launchers", {"name": "second", "environment_id": first["environment_id"]})
    service.http.delete(f"/api/v1/launchers/{first['id']}")
    assert service.get(f"/environments/{first['environment_id']}")["state"] == "ready"


def test_launcher_stays_at_the_version_that_it_is_pinned_to(service: Launching, tmp_path: Path) -> None:
    launcher = service.launcher(name="pinned")
    environment = {"id": launcher["environment_id"]}
    service.push("numpy\n")
    assert service.rebuilt(environment)["version"] == 2
    assert service.launched(launcher)["version"] == 2
    service.http.patch(f"/api/v1/launchers/{launcher['id']}", json={"version": 1})
    session = service.launched(launcher)
    version = service.get(f"/environments/{environment['id']}/versions/1")
    assert (session["version"], session["image"], session["commit"]) == (1, version["reference"], version["commit"])
    service.push("six\n")
