"""The service as a whole: previews, its guard, its operator's view, and the OpenAPI document."""

from __future__ import annotations

import re
import resource
import sqlite3
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from builder.api import LOOPBACK, create_app
from builder.embedded import embedded
from builder.failures.asked import SettingsInvalid
from builder.failures.served import AddressUnusable, HostForeign, StateUnusable
from builder.fake_engine import FakeEngine
from builder.fake_runner import FakeRunner
from builder.previews import Previews
from builder.serve import listen, open_many
from builder.service import Builder, BuildError, Planned
from builder.settings import Settings
from builder.store import Store
from tests.service import PATIENCE, Running, failing

pytestmark = pytest.mark.service


def test_a_preview_shows_the_plan_and_its_dockerfile(service: Running) -> None:
    preview = service.post("/plans", {"repository": str(service.repository)}, 200)
    assert (preview["strategy"], preview["python"]) == ("pip", {"value": "3.10", "origin": "default"})
    assert preview["dockerfile"].startswith("#") or "FROM" in preview["dockerfile"]
    assert len(preview["key"]) == 64 and len(preview["repository"]["commit"]) == 40


def test_a_preview_of_a_repository_without_an_environment_says_what_to_do(service: Running) -> None:
    answer = service.http.post("/api/v1/plans", json={"repository": str(service.repository), "subdir": "nowhere"})
    assert (answer.status_code, answer.json()["code"]) == (422, "directory-absent")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"])
def test_a_request_under_another_name_is_turned_away(service: Running, host: str) -> None:
    assert service.http.get("/api/v1/environments", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["127.0.0.1:8700", "localhost", "[::1]:8700"])
def test_a_request_under_a_name_of_loopback_is_answered(service: Running, host: str) -> None:
    assert service.http.get("/healthz", headers={"Host": host}).json() == {"status": "ok"}


@pytest.mark.parametrize("everywhere", ["0.0.0.0", "::"])
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("10.0.0.1:8700", 200),
        ("[fd00::1]:8700", 200),
        ("builds.lab.example", 200),
        ("localhost:8700", 200),
        ("evil.example", 403),
        ("10.0.0.1.evil.example", 403),
        ("", 403),
    ],
)
def test_on_every_address_a_name_is_answered_where_the_settings_have_it(
    service: Running, everywhere: str, host: str, status: int
) -> None:
    app = create_app(service.embedded, LOOPBACK | {everywhere, "builds.lab.example"})
    assert TestClient(app).get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[::"},
        {"Origin": "http://a]b"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_another_sites_page_changes_nothing(service: Running, headers: dict[str, str]) -> None:
    body = {"repository": str(service.repository), "name": "by-another-site"}
    answer = service.http.post("/api/v1/environments", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "host-foreign")
    assert service.get("/environments?search=by-another-site")["items"] == []


def test_a_page_of_its_own_may_change_things(service: Running) -> None:
    headers = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    body = {"repository": str(service.repository)}
    assert service.http.post("/api/v1/plans", json=body, headers=headers).status_code == 200


def test_a_request_that_is_too_large_is_refused(service: Running) -> None:
    answer = service.http.post("/api/v1/plans", content=b" " * 1_000_001, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (413, "Content-Length: 1,000,000 at most")


def test_a_request_that_does_not_say_how_large_it_is_is_asked_to(service: Running) -> None:
    answer = service.http.post("/api/v1/plans", content=iter([b"{}"]), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["detail"]) == (411, "Content-Length: needed")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_defect_of_the_services_own_is_said_to_be_and_tells_no_secret(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, Previews, "of", ValueError("secret"), 1)
    http = TestClient(create_app(service.embedded), base_url="http://localhost", raise_server_exceptions=False)
    answer = http.post("/api/v1/plans", json={"repository": str(service.repository), "ref": "never-asked-for"})
    said = {"code": "unexpected", "type": "urn:launchyard:problem:unexpected", "blame": "launchyard", "status": 500}
    assert said.items() <= answer.json().items() and answer.status_code == 500
    assert "ValueError" in answer.text and "secret" not in answer.text


def test_previews_that_wait_for_git_keep_no_read_waiting(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = threading.Event()

    def slow(previews: Previews, request: object) -> dict[str, str]:
        assert fetched.wait(PATIENCE)
        return {}

    monkeypatch.setattr(Previews, "of", slow)
    body = {"repository": str(service.repository), "ref": "never-seen"}
    with ThreadPoolExecutor(21) as pool:
        waiting = [pool.submit(service.http.post, "/api/v1/plans", json=body) for _ in range(20)]
        try:
            assert pool.submit(service.get, "/builds").result(PATIENCE / 2)["items"] is not None
            assert not any(preview.done() for preview in waiting)
        finally:
            fetched.set()
    assert all(preview.result().status_code == 200 for preview in waiting)


def test_previews_that_are_remembered_wait_for_no_git_host(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"repository": str(service.repository)}
    first = service.post("/plans", known, 200)
    answers = threading.Event()

    def hang(builder: Builder, request: object) -> Planned:
        assert answers.wait(PATIENCE)
        raise BuildError(HostForeign("gone"))

    monkeypatch.setattr(Builder, "plan", hang)
    with ThreadPoolExecutor(9) as pool:
        others = ({**known, "ref": f"branch-{n}"} for n in range(8))
        waiting = [pool.submit(service.http.post, "/api/v1/plans", json=other) for other in others]
        try:
            assert pool.submit(service.post, "/plans", known, 200).result(PATIENCE / 2) == first
            assert not any(preview.done() for preview in waiting)
        finally:
            answers.set()
    assert all(preview.result().status_code == 403 for preview in waiting)


def test_a_service_is_alive_while_every_answer_waits_for_its_database(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(Store, "answers", lambda store: answers.wait(PATIENCE))
    with ThreadPoolExecutor(9) as pool:
        waiting = [pool.submit(service.http.get, "/readyz") for _ in range(8)]
        try:
            alive = pool.submit(service.http.get, "/healthz").result(PATIENCE / 2)
            assert alive.json() == {"status": "ok"} and not any(ready.done() for ready in waiting)
        finally:
            answers.set()
    assert all(ready.result().status_code == 200 for ready in waiting)


def test_the_service_takes_as_many_readers_as_the_machine_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
        open_many()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_queueing_a_build_waits_for_no_one_who_looks_for_work(service: Running) -> None:
    environment = service.built(name="looked-for")
    with closing(sqlite3.connect(service.directory / "state" / "service" / "queue.db")) as looking:
        looking.execute("BEGIN")
        assert looking.execute("SELECT count(*) FROM workflow_status").fetchone()
        assert service.rebuilt(environment)["state"] == "succeeded"


def test_an_operator_sees_the_queue_and_the_times(service: Running) -> None:
    service.built(name="metrics")
    text = service.http.get("/metrics").text
    assert 'launchyard_builds_under_way{state="queued"} 0.0' in text
    assert 'launchyard_build_seconds_count{outcome="succeeded",strategy="pip"}' in text
    assert "launchyard_disk_free_bytes" in text
    assert service.http.get("/readyz").json() == {"status": "ok"}
    assert service.http.head("/readyz").status_code == service.http.head("/healthz").status_code == 200


def test_an_operator_sees_how_long_builds_wait_by_how_they_end_and_what_was_cancelled_before_it_ran(
    service: Running,
) -> None:
    environments = [service.built(name=f"waits-{n}") for n in range(3)]
    before = waits(service)
    service.engine.gate.clear()
    builds = [service.post(f"/environments/{e['id']}/builds", {"fresh": True}) for e in environments]
    service.until(lambda: service.embedded.store.counts() == {"running": 2, "queued": 1})
    (last,) = [build["id"] for build in builds if service.get(f"/builds/{build['id']}")["state"] == "queued"]
    service.post(f"/builds/{last}/cancel", status=200)
    service.engine.gate.set()
    assert {service.ended(build["id"])["state"] for build in builds} == {"succeeded", "cancelled"}
    service.until(lambda: waits(service) == before + Counter({("pip", "succeeded"): 2, ("none", "cancelled"): 1}))
    assert (
        'launchyard_build_seconds_count{outcome="cancelled",strategy="none"}' not in service.http.get("/metrics").text
    )


def waits(service: Running) -> Counter[tuple[str, str]]:
    """How many builds have waited, by (strategy, outcome)."""
    line = r'launchyard_build_wait_seconds_count\{outcome="(\w+)",strategy="(\w+)"\} (\d+)'
    found = re.findall(line, service.http.get("/metrics").text)
    return Counter({(strategy, outcome): int(count) for outcome, strategy, count in found})


def test_every_operation_of_the_openapi_document_has_words_and_examples(service: Running) -> None:
    document = service.http.get("/api/openapi.json").json()
    assert document["components"]["schemas"]["Problem"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"] and operation["tags"], (method, path)
            assert "default" in operation["responses"], (method, path)
            for parameter in operation.get("parameters", ()):
                assert "example" in parameter or "examples" in parameter["schema"] | parameter, (path, parameter)
            for status, answer in operation["responses"].items():
                for kind, content in answer.get("content", {}).items():
                    schema = content.get("schema", {})
                    assert "$ref" in schema or "example" in content, (path, status, kind)
    shown = ("Environment", "Build", "Version", "NewEnvironment", "AskedBuild", "Problem", "Package", "Choices")
    for name in shown:
        schema = document["components"]["schemas"][name]
        assert "examples" in schema or any("examples" in p for p in schema["properties"].values()), name


def test_the_openapi_document_tells_of_the_headers_of_answers(service: Running) -> None:
    document = service.http.get("/api/openapi.json").json()
    tagged = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = {parameter["name"].lower() for parameter in operation.get("parameters", ())}
            if (names & {"if-none-match", "if-match"} and method != "delete") or path.endswith("/pin"):
                assert operation["responses"]["200"]["headers"]["ETag"]["example"], (method, path)
                tagged.append(path)
    assert len(tagged) > 15
    made = document["paths"]["/api/v1/environments"]["post"]["responses"]["201"]["headers"]
    assert {"ETag", "Location"} <= made.keys()
    rebuilt = document["paths"]["/api/v1/environments/{environment_id}/builds"]["post"]["responses"]
    assert "Location" in rebuilt["200"]["headers"] and "Location" in rebuilt["201"]["headers"]


def test_a_service_that_cannot_listen_remember_or_keep_says_which_setting_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    elsewhere = Settings(state_dir=str(tmp_path / "file" / "state"))
    engine = FakeEngine()
    attempts: tuple[tuple[AbstractContextManager[object], type], ...] = (
        (listen("192.0.2.1", 0), AddressUnusable),
        (embedded(elsewhere, engine, FakeRunner(engine)), StateUnusable),
    )
    with pytest.raises(BuildError) as raised:
        Store("mysql://ada@host/name")
    assert isinstance(raised.value.failure, SettingsInvalid)
    for attempt, failure in attempts:
        with pytest.raises(BuildError) as raised, attempt:
            pass
        assert isinstance(raised.value.failure, failure)
