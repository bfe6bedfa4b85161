"""Pages at the server, in what no browser is needed for."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from builder.failures.served import DatabaseAway, RecordAbsent
from builder.service import BuildError, Service
from launcher.web.builds import _until_it_is_gone
from launcher.web.page import _coded
from tests.launching import Launching
from tests.service import AWAY

pytestmark = pytest.mark.service

POLL = {"HX-Request": "true"}


def text_of(service: Launching, path: str) -> str:
    answer = service.http.get(path)
    assert answer.status_code == 200, answer.text
    return " ".join(re.sub(r"<[^>]+>", " ", answer.text).split())


@pytest.fixture(scope="module")
def launcher(service: Launching) -> Any:
    """With two versions, of which the second is the current one, and six is what the repository asks for again."""
    made = service.launcher(name="two-versions")
    service.push("numpy\nsix\n")
    assert service.rebuilt({"id": made["environment_id"]})["version"] == 2
    service.push("six\n")
    return made


def test_home_and_operator_leave_out_sessions_of_a_launcher_that_is_being_deleted(
    service: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = service.launcher(name="doomed")
    service.launched(doomed)
    monkeypatch.setattr(service.launchers.keeper, "wake", lambda: None)
    service.launchers.delete(doomed["id"])
    for path in ("/", "/operator"):
        assert "doomed, JupyterLab" not in text_of(service, path)


def test_stream_of_a_build_whose_environment_is_deleted_ends() -> None:
    async def told(failure: object) -> list[str]:
        async def parts() -> AsyncIterator[str]:
            yield "event: log\n\n"
            raise BuildError(failure)

        return [part async for part in _until_it_is_gone(parts())]

    assert asyncio.run(told(RecordAbsent("build", "1"))) == ["event: log\n\n", "event: end\ndata:\n\n"]
    with pytest.raises(BuildError):
        asyncio.run(told(DatabaseAway("it is away")))


def test_stream_of_a_build_goes_on_after_the_database_was_away(
    service: Launching, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = service.built(name="away")
    build = service.under_way(environment)
    asked = []

    def away(made: Service, id: str) -> None:
        asked.append(id)
        service.engine.gate.set()
        raise AWAY

    monkeypatch.setattr(Service, "build", away)
    text = service.http.get(f"/builds/{build['id']}/stream").text
    assert asked and "event: end\ndata: succeeded" in text


def test_session_that_answers_is_opened_in_the_place_of_the_page_that_waits_for_it(
    service: Launching, launcher: Any
) -> None:
    session = service.launched(launcher)
    page = f"/launchers/two-versions/sessions/{session['id']}"
    answer = service.http.get(f"{page}?open=1", headers=POLL)
    assert answer.status_code == 204
    assert session["path"] in json.loads(answer.headers["HX-Trigger"])["opening"]["address"]
    assert "Pause" in service.http.get(f"{page}?shown={'0' * 16}", headers=POLL).text


@pytest.mark.parametrize("path", ["/", "/launchers/two-versions", "/operator"])
def test_page_that_shows_what_there_is_is_not_sent_again(service: Launching, launcher: Any, path: str) -> None:
    def asked(shown: str) -> Any:
        return service.http.get(path, params={"shown": shown}, headers=POLL)

    def shown() -> str:
        found = re.search(r'"shown": "(\w+)"', service.http.get(path).text)
        assert found
        return found[1]

    service.until(lambda: asked(shown()).status_code == 204)
    before = shown()
    session = service.launched(launcher)
    assert session["id"] in asked(before).text
    service.post(f"/sessions/{session['id']}/stop", status=200)
    service.in_state(session["id"], "stopped")


def test_what_the_preview_refuses_is_refused_on_the_form_as_well(service: Launching) -> None:
    before = len(service.get("/launchers?limit=200")["items"])
    form = {"repository": str(service.repository), "ref": "nobranch", "frontend": "jupyterlab"}
    answer = service.http.post("/launch", data=form)
    assert answer.status_code == 422
    assert "no branch, tag or commit nobranch" in answer.text
    assert len(service.get("/launchers?limit=200")["items"]) == before


@pytest.mark.parametrize("kind", ["environment", "image"])
def test_launcher_of_what_is_not_named_says_what_is_missing(service: Launching, kind: str) -> None:
    answer = service.http.post("/launch", data={"of": kind})
    assert answer.status_code == 422
    assert f"{kind}: none is named" in answer.text


def test_what_to_do_shows_what_is_to_be_typed_as_code_and_nothing_else_as_tags() -> None:
    assert _coded("Add `<b>` & go.") == "Add <code>&lt;b&gt;</code> &amp; go."


@pytest.mark.parametrize("minutes", ["abc", "-5", "1.5", "0", "99999"])
def test_idle_limit_that_is_none_is_told_in_minutes(service: Launching, launcher: Any, minutes: str) -> None:
    answer = service.http.post("/launchers/two-versions/change", data={"idle_minutes": minutes})
    assert answer.status_code == 422
    assert "stop when idle: a whole number of minutes, 1 to 43,200" in answer.text
    assert service.get(f"/launchers/{launcher['id']}")["idle_limit"] is None


def test_launcher_that_is_pinned_is_not_called_out_of_date(service: Launching, launcher: Any) -> None:
    assert "Rebuild brings the image up to date" in text_of(service, "/launchers/two-versions/actions")
    path = f"/api/v1/launchers/{launcher['id']}"
    assert service.http.patch(path, json={"version": 2}).status_code == 200
    assert "Pinned to v2. The environment in the repository is another" in text_of(
        service, "/launchers/two-versions/actions"
    )
    assert service.http.patch(path, json={"version": None}).status_code == 200


def test_rebuild_after_a_roll_back_says_which_version_is_used_again(service: Launching) -> None:
    made = service.launcher(name="rolled-back")
    environment = {"id": made["environment_id"]}
    service.push("numpy\n")
    assert service.rebuilt(environment)["version"] == 2
    service.post(f"/environments/{environment['id']}/versions/1/use", status=200)
    build = service.rebuilt(environment)
    assert (build["version"], build["outcome"]) == (2, "nothing that matters changed; v2 is used again")
    assert service.rebuilt(environment)["outcome"] == "nothing that matters changed"
    first = service.get(f"/environments/{environment['id']}/builds")["items"][-1]
    of_first = service.http.get(f"/builds/{first['id']}").text
    assert "rolled-back" in of_first
    assert "Launch rolled-back" not in of_first, "what it would start is another version"
    assert "Launch rolled-back" in service.http.get(f"/builds/{build['id']}").text
    service.push("six\n")


def test_failure_of_another_ref_is_said_to_be_of_that_one(service: Launching) -> None:
    made = service.launcher(name="other-ref")
    assert service.rebuilt({"id": made["environment_id"]}, ref="no-such-branch")["state"] == "failed"
    page = text_of(service, "/launchers/other-ref")
    assert "The build of no-such-branch that failed" in page and "Leave ref out" in page
    assert 'class="pill ready"' in service.http.get("/launchers/other-ref").text


def test_what_was_typed_into_settings_stays_where_one_of_it_is_wrong(service: Launching) -> None:
    service.launcher(name="retyped", frontend="command", command=["serve", "{port}"], secrets={"KEY": "hunter2"})
    typed = {"name": "retyped", "resources": "small", "command": "serve --port 9", "variables": "TIDE=high\nwrong"}
    answer = service.http.post("/launchers/retyped/change", data={**typed, "secrets": "OTHER=hunter3"})
    assert answer.status_code == 422
    assert 'value="serve --port 9"' in answer.text and "TIDE=high\nwrong</textarea>" in answer.text
    assert "hunter" not in answer.text
    again = service.http.get("/launchers/retyped/change")
    assert again.status_code == 200 and 'value="serve {port}"' in again.text, "that page's address is the launcher's"
