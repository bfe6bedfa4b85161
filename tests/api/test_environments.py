"""Environments over HTTP."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from tests.service import Running

pytestmark = pytest.mark.service


def test_an_environment_is_named_after_its_repository_and_a_second_one_gets_a_number(service: Running) -> None:
    first, second = service.create()["name"], service.create()["name"]
    assert first.endswith("repository") and second == f"{first}-2"


def test_a_name_that_is_taken_is_a_conflict(service: Running) -> None:
    service.create(name="taken")
    answer = service.http.post("/api/v1/environments", json={"repository": str(service.repository), "name": "taken"})
    assert (answer.status_code, answer.json()["code"]) == (409, "name-taken")


def test_an_environment_whose_first_build_cannot_be_remembered_is_not_there_and_may_be_asked_for_again(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*arguments: object) -> int:
        raise OperationalError("SELECT", {}, Exception("the database is away"))

    body = {"repository": str(service.repository), "name": "half"}
    with monkeypatch.context() as while_away:
        while_away.setattr("builder.store._next_turn", away)
        assert service.http.post("/api/v1/environments", json=body).status_code == 503
    assert service.get("/environments?search=half")["items"] == []
    assert service.built(name="half")["state"] == "ready"


def test_a_list_is_read_page_by_page_the_newest_first_without_gaps(service: Running) -> None:
    made = [service.create(name=f"page-{n}")["id"] for n in range(5)]
    seen: list[str] = []
    query = "limit=2&search=PAGE-"
    cursor = ""
    while True:
        page = service.get(f"/environments?{query}{cursor}")
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == made[::-1]


def test_a_search_takes_no_character_as_a_pattern(service: Running) -> None:
    service.create(name="plain")
    assert service.get("/environments?search=pl%25n")["items"] == []
    assert [e["name"] for e in service.get("/environments?search=plai")["items"]] == ["plain"]


def test_a_list_holds_only_those_in_a_state(service: Running) -> None:
    ready = service.built(name="state-ready")["id"]
    ids = [item["id"] for item in service.get("/environments?state=ready&limit=200")["items"]]
    assert ready in ids
    assert ready not in [item["id"] for item in service.get("/environments?state=failed&limit=200")["items"]]


def test_an_environment_that_has_not_changed_is_not_sent_again(service: Running) -> None:
    environment = service.built(name="etag")
    path = f"/api/v1/environments/{environment['id']}"
    tag = service.http.get(path).headers["etag"]
    again = service.http.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.text, again.headers["etag"]) == (304, "", tag)
    service.http.patch(path, json={"ref": "main"})
    assert service.http.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_change_on_top_of_somebody_elses_is_refused(service: Running) -> None:
    environment = service.built(name="if-match")
    path = f"/api/v1/environments/{environment['id']}"
    tag = service.http.get(path).headers["etag"]
    first = service.http.patch(path, json={"ref": "main"}, headers={"If-Match": tag})
    assert (first.status_code, first.json()["ref"]) == (200, "main")
    second = service.http.patch(path, json={"ref": "other"}, headers={"If-Match": tag})
    assert (second.status_code, second.json()["code"]) == (412, "revision-stale")
    assert service.http.delete(path, headers={"If-Match": tag}).status_code == 412
    assert service.get(f"/environments/{environment['id']}")["ref"] == "main"


@pytest.mark.parametrize("change", [{}, {"ref": "main"}, {"options": {}}, {"options": {"groups": [], "python": None}}])
def test_a_change_to_what_is_there_already_keeps_the_tag(service: Running, change: dict[str, object]) -> None:
    environment = service.create(ref="main")
    service.ended(environment["build"]["id"])
    path = f"/api/v1/environments/{environment['id']}"
    before = service.http.get(path)
    after = service.http.patch(path, json=change)
    assert (after.status_code, after.json(), after.headers["etag"]) == (200, before.json(), before.headers["etag"])
    assert service.http.patch(path, json=change, headers={"If-Match": '"1000"'}).status_code == 412


@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ("SEEN", 200), ('"1000", SEEN', 200), ('SEEN,"1000"', 200), ('"a,b" , SEEN', 200), ("*", 200),
        ("W/SEEN", 412), ('"1000", W/SEEN', 412), ('"1000"', 412), ("7", 412), ("", 412), ('"SEEN', 412),
    ],
)  # fmt: skip
def test_a_change_happens_where_one_of_the_tags_of_if_match_is_the_environments(
    service: Running, if_match: str, status: int
) -> None:
    environment = service.create()
    service.ended(environment["build"]["id"])
    path = f"/api/v1/environments/{environment['id']}"
    tags = if_match.replace("SEEN", service.http.get(path).headers["etag"])
    assert service.http.patch(path, json={"ref": "main"}, headers={"If-Match": tags}).status_code == status


def test_a_change_of_options_is_what_the_next_build_follows(service: Running) -> None:
    environment = service.built(name="options")
    answer = service.http.patch(f"/api/v1/environments/{environment['id']}", json={"options": {"python": "3.12"}})
    assert answer.json()["options"]["python"] == "3.12" and answer.json()["subdir"] == ""
    again = service.http.patch(f"/api/v1/environments/{environment['id']}", json={"options": {"extras": ["all"]}})
    assert (again.json()["options"]["python"], again.json()["options"]["extras"]) == ("3.12", ["all"])
    reset = service.http.patch(f"/api/v1/environments/{environment['id']}", json={"options": {"extras": []}})
    assert (reset.json()["options"]["python"], reset.json()["options"]["extras"]) == ("3.12", [])
    build = service.rebuilt(environment)
    assert build["version"] == 2


def test_a_deleted_environment_is_gone_with_its_builds_and_versions(service: Running) -> None:
    environment = service.built(name="deleted")
    build = service.get(f"/environments/{environment['id']}/builds")["items"][0]
    assert service.http.delete(f"/api/v1/environments/{environment['id']}").status_code == 204
    for path in (
        f"/environments/{environment['id']}",
        f"/builds/{build['id']}",
        f"/environments/{environment['id']}/versions/1",
    ):
        assert service.http.get(f"/api/v1{path}").status_code == 404
    service.create(name="deleted")


def test_a_build_of_an_environment_that_is_deleted_meanwhile_ends(service: Running) -> None:
    service.engine.gate.clear()
    service.engine.waiting.clear()
    environment = service.create(name="deleted-meanwhile", options={"python": "3.11"})
    assert service.engine.waiting.wait(10)
    assert any(service.directory.rglob(f"{environment['build']['id']}*"))
    service.http.delete(f"/api/v1/environments/{environment['id']}")
    service.until(lambda: not any(service.directory.rglob(f"{environment['build']['id']}*")))
    service.engine.gate.set()
    assert service.built(name="after-deleted")["state"] == "ready"
    assert not any(service.directory.rglob(f"{environment['build']['id']}*"))


def test_an_environment_without_an_image_says_so_plainly(service: Running) -> None:
    service.engine.gate.clear()
    environment = service.create(name="no-image")
    answer = service.http.get(f"/api/v1/environments/{environment['id']}/image")
    assert (answer.status_code, answer.json()["code"]) == (404, "no-version-yet")
    assert "building" in answer.json()["seen"]


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"repository": "https://example.org/a/b"}, "host-not-allowed"),
        ({"repository": "ext::sh -c id"}, "address-invalid"),
        ({"repository": "--upload-pack=x"}, "address-invalid"),
        ({"repository": "HERE", "ref": "a..b"}, "ref-invalid"),
        ({"repository": "HERE", "options": {"as_of": "2021-13-45"}}, "date-invalid"),
        ({"repository": "HERE", "options": {"strategy": "guess"}}, "request-invalid"),
        ({"repository": "HERE", "name": "a/b"}, "request-invalid"),
        ({"repository": "HERE", "subdir": "../other"}, "path-outside"),
        ({"repository": "HERE", "subdir": "/srv"}, "path-outside"),
        ({"repository": "HERE", "options": {"python": "3"}}, "python-unavailable"),
        ({"repository": "HERE", "options": {"python": "2.7"}}, "python-unavailable"),
        ({"repository": "HERE", "options": {"python": "3.8", "strategy": "pip"}}, "python-unavailable"),
        ({"repository": "HERE", "options": {"frontend": "vscodium"}}, "frontend-unavailable"),
        ({"repository": "HERE", "surprise": 1}, "request-invalid"),
        ({}, "request-invalid"),
    ],
)
def test_what_cannot_be_built_is_refused_and_not_remembered(
    service: Running, wanted: dict[str, object], code: str
) -> None:
    before = [item["id"] for item in service.get("/environments")["items"]]
    here = {name: str(service.repository) if value == "HERE" else value for name, value in wanted.items()}
    answer = service.http.post("/api/v1/environments", json=here)
    assert answer.json()["code"] == code and answer.status_code in (400, 422)
    assert {"type", "status", "detail", "title", "seen", "fix", "blame"} <= answer.json().keys()
    assert [item["id"] for item in service.get("/environments")["items"]] == before


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b'{"repository": "x"}', "text/plain", "Content-Type: application/json"),
        (b"[]", "application/json", "a JSON object is needed"),
        (
            b'{"repository": "x", "options": {"as_of": "soon"}}',
            "application/json",
            "as_of: expected is a date, such as",
        ),
        (b'{"repository": ', "application/json", "no JSON from character 15 on"),
    ],
)
def test_a_body_that_is_not_as_it_should_be_is_told_of_in_words(
    service: Running, content: bytes, kind: str, words: str
) -> None:
    answer = service.http.post("/api/v1/environments", content=content, headers={"Content-Type": kind})
    assert answer.status_code == 422 and words in answer.json()["seen"]
