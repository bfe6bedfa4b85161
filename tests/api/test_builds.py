"""The Rebuild button, and what comes of it."""

from __future__ import annotations

import errno
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from dbos import DBOS

from tests.service import Running

pytestmark = pytest.mark.service


def test_a_first_build_makes_version_1_and_the_environment_is_ready(service: Running) -> None:
    environment = service.create(name="first")
    assert environment["state"] == "building" and environment["current_version"] is None
    build = service.ended(environment["build"]["id"])
    assert (build["state"], build["reason"], build["version"]) == ("succeeded", "created", 1)
    assert build["started_at"] and build["finished_at"] and build["commit"] and build["steps"]
    now = service.get(f"/environments/{environment['id']}")
    assert (now["state"], now["current_version"]) == ("ready", 1)
    image = service.get(f"/environments/{environment['id']}/image")
    assert service.engine.inspect(image["reference"])


def test_a_rebuild_when_nothing_changed_makes_no_version(service: Running) -> None:
    environment = service.built(name="nothing-new")
    build = service.rebuilt(environment)
    assert (build["state"], build["outcome"], build["version"]) == ("succeeded", "nothing that matters changed", 1)
    assert [b["new_version"] for b in service.get(f"/environments/{environment['id']}/builds")["items"]] == [
        False,
        True,
    ]
    assert len(service.get(f"/environments/{environment['id']}/versions")["items"]) == 1


def test_a_fresh_rebuild_when_the_index_has_nothing_new_makes_no_version(service: Running) -> None:
    environment = service.built(name="fresh")
    build = service.rebuilt(environment, fresh=True)
    assert (build["outcome"], build["version"]) == ("asked for afresh: nothing new", 1)


def test_a_rebuild_while_one_is_under_way_is_that_one(service: Running) -> None:
    environment = service.built(name="under-way")
    service.engine.gate.clear()
    first = service.post(f"/environments/{environment['id']}/builds", {"fresh": True}, 201)
    second = service.post(f"/environments/{environment['id']}/builds", {"fresh": True}, 200)
    other = service.post(f"/environments/{environment['id']}/builds", {"fresh": False}, 201)
    service.engine.gate.set()
    assert first["id"] == second["id"] != other["id"]
    assert service.ended(first["id"])["state"] == service.ended(other["id"])["state"] == "succeeded"


def test_a_commit_that_is_pushed_while_a_build_runs_is_built_where_it_was_asked_for(service: Running) -> None:
    environment = service.built(name="pushed-meanwhile")
    path = f"/environments/{environment['id']}/builds"
    service.engine.gate.clear()
    service.engine.waiting.clear()
    first = service.post(path, {"fresh": True, "asked_by": "ada"})
    assert service.engine.waiting.wait(10)
    pushed = service.push("six\nnumpy\n# pushed meanwhile\n")
    assert service.post(path, {"fresh": True, "asked_by": "bob"}, 200)["id"] == first["id"]
    service.engine.gate.set()
    service.until(lambda: len(service.get(path)["items"]) == 3)
    follows = service.ended(service.get(path)["items"][0]["id"])
    service.push("six\n")
    assert (follows["commit"], follows["asked_by"], follows["version"]) == (pushed, "bob", 2)
    assert service.ended(first["id"])["commit"] != pushed


def test_a_change_while_a_build_waits_is_for_the_next_one(service: Running) -> None:
    before = [service.built(name=f"before-the-changed-{n}") for n in range(2)]
    service.engine.gate.clear()
    for environment in before:
        service.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    changed = service.create(name="changed-while-it-waits", ref="main")
    path = f"/environments/{changed['id']}"
    wanted = {"ref": None, "options": {"python": "3.12"}}
    assert service.http.patch(f"/api/v1{path}", json=wanted).status_code == 200
    follows = service.post(f"{path}/builds", {"asked_by": "ada"}, 201)
    service.engine.gate.set()
    made = [service.ended(id)["version"] for id in (changed["build"]["id"], follows["id"])]
    assert service.get(path)["current_version"] == made[1] != made[0]
    first, second = (service.get(f"{path}/versions/{number}/provenance") for number in made)
    assert (first["python"], first["build"]["ref"]) == ("3.10", "main")
    assert (second["python"], second["build"]["ref"]) == ("3.12", None)


def test_a_build_that_was_asked_for_again_while_nothing_was_pushed_is_the_only_one(service: Running) -> None:
    environment = service.built(name="nothing-pushed")
    path = f"/environments/{environment['id']}/builds"
    service.engine.gate.clear()
    service.engine.waiting.clear()
    build = service.post(path, {"fresh": True})
    assert service.engine.waiting.wait(10)
    assert service.post(path, {"fresh": True}, 200)["id"] == build["id"]
    service.engine.gate.set()
    service.until(lambda: [w.status for w in DBOS.list_workflows(workflow_ids=[build["id"]])] == ["SUCCESS"])
    assert len(service.get(path)["items"]) == 2


def test_a_build_that_waits_for_another_of_the_same_says_so(service: Running) -> None:
    service.push("six\n# of the same\n")
    service.engine.gate.clear()
    service.engine.waiting.clear()
    first = service.create(name="the-same-first")["build"]
    assert service.engine.waiting.wait(10)
    second = service.create(name="the-same-second")["build"]
    service.until(lambda: b"waiting for a build of the same" in service.journal(second["id"]))
    service.engine.gate.set()
    service.push("six\n")
    assert [service.ended(build["id"])["state"] for build in (first, second)] == ["succeeded", "succeeded"]
    assert service.ended(second["id"])["outcome"] == "built just now by a request for the same"


def test_fifty_requests_at_once_to_rebuild_one_environment_make_one_build(service: Running) -> None:
    environment = service.built(name="fifty")
    service.engine.gate.clear()
    path = f"/api/v1/environments/{environment['id']}/builds"
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: service.http.post(path, json={"fresh": True}), range(50)))
    service.engine.gate.set()
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [201]
    (build_id,) = {answer.json()["id"] for answer in answers}
    assert service.ended(build_id)["state"] == "succeeded"
    assert len(service.get(f"/environments/{environment['id']}/builds")["items"]) == 2


def test_a_build_that_fails_says_why_and_the_current_version_stays(service: Running) -> None:
    environment = service.built(name="fails")
    service.push("no-such-package\n")
    build = service.rebuilt(environment)
    service.push("six\n")
    assert build["state"] == "failed" and build["version"] is None
    assert build["explanation"]["blame"] == "repository" and "no-such-package" in build["explanation"]["title"]
    now = service.get(f"/environments/{environment['id']}")
    assert (now["state"], now["current_version"]) == ("failed", 1)
    types = [event for _, event, _ in service.events(build["id"])]
    assert types[-2:] == ["explanation", "end"]
    assert service.rebuilt(environment)["state"] == "succeeded"
    assert service.get(f"/environments/{environment['id']}")["state"] == "ready"


def test_a_build_that_failed_says_how_long_what_ran_of_it_took(service: Running) -> None:
    service.push("no-such-package\n")
    build = service.ended(service.create(name="failed-steps")["build"]["id"])
    service.push("six\n")
    assert build["state"] == "failed"
    assert [step["name"] for step in build["steps"]] == ["[lock 2/2] RUN lock"]
    assert all(step["seconds"] >= 0 for step in build["steps"])


def test_a_build_for_which_the_disk_is_full_says_so_and_a_later_rebuild_succeeds(service: Running) -> None:
    environment = service.built(name="disk-full")
    service.engine.broken = OSError(errno.ENOSPC, "No space left on device")
    build = service.rebuilt(environment, fresh=True)
    service.engine.broken = None
    assert build["state"] == "failed" and build["explanation"]["code"] == "disk-full"
    assert service.rebuilt(environment, fresh=True)["state"] == "succeeded"


def test_a_rebuild_of_another_ref_builds_that_one_this_once(service: Running) -> None:
    environment = service.built(name="another-ref")
    before = service.get(f"/environments/{environment['id']}/builds")["items"][0]["commit"]
    service.push("numpy\n")
    build = service.rebuilt(environment, ref=before)
    service.push("six\n")
    assert build["commit"] == before and build["version"] == 1


def test_a_rebuild_of_another_ref_that_fails_says_why_and_the_environment_stays_ready(service: Running) -> None:
    environment = service.built(name="another-ref-fails")
    build = service.rebuilt(environment, ref="no-such-branch")
    assert (build["state"], build["explanation"]["code"]) == ("failed", "ref-absent")
    assert build["asked"] == {"ref": "no-such-branch", "as_of": None, "fresh": False}
    assert service.get(f"/environments/{environment['id']}")["state"] == "ready"


def test_a_rebuild_of_the_environments_own_ref_by_its_name_is_one_of_the_environment(service: Running) -> None:
    environment = service.built(name="own-ref-by-name", ref="main")
    service.engine.gate.clear()
    build = service.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    again = service.post(f"/environments/{environment['id']}/builds", {"fresh": True, "ref": "main"}, status=200)
    service.engine.gate.set()
    assert again["id"] == build["id"] and service.ended(build["id"])["state"] == "succeeded"


def test_a_build_that_runs_is_cancelled_and_the_current_version_stays(service: Running) -> None:
    environment = service.built(name="cancel-running")
    build = service.under_way(environment)
    service.post(f"/builds/{build['id']}/cancel", status=200)
    ended = service.ended(build["id"])
    assert (ended["state"], ended["explanation"]) == ("cancelled", None)
    now = service.get(f"/environments/{environment['id']}")
    assert (now["state"], now["current_version"]) == ("ready", 1)


def test_a_build_that_waits_its_turn_is_cancelled_at_once_and_never_runs(service: Running) -> None:
    environments = [service.built(name=f"queue-{n}") for n in range(3)]
    service.engine.gate.clear()
    builds = [service.post(f"/environments/{e['id']}/builds", {"fresh": True}) for e in environments]
    queued = service.post(f"/builds/{builds[2]['id']}/cancel", status=200)
    assert queued["state"] == "cancelled" and queued["started_at"] is None
    assert [event for _, event, _ in service.events(queued["id"])] == ["end"]
    service.engine.gate.set()
    assert [service.ended(build["id"])["state"] for build in builds] == ["succeeded", "succeeded", "cancelled"]


def test_cancelling_a_build_that_has_ended_changes_nothing(service: Running) -> None:
    environment = service.built(name="cancel-ended")
    build = service.get(f"/environments/{environment['id']}/builds")["items"][0]
    assert service.post(f"/builds/{build['id']}/cancel", status=200) == build


def test_a_stream_goes_on_exactly_behind_the_last_event_that_was_seen(service: Running) -> None:
    build = service.rebuilt(service.built(name="resume"), fresh=True)
    every = service.events(build["id"])
    ids = [id for id, _, _ in every]
    assert ids == sorted(set(ids)) and every[-1][1] == "end"
    assert {"state", "plan", "step", "end"} <= {event for _, event, _ in every}
    for at, id in enumerate(ids):
        assert service.events(build["id"], after=id) == every[at + 1 :]


def test_a_log_is_what_its_events_say_and_is_read_in_ranges(service: Running) -> None:
    service.push("no-such-package\n")
    environment = service.create(name="log")
    build = service.ended(environment["build"]["id"])
    service.push("six\n")
    said = "".join(json.loads(data)["text"] for _, event, data in service.events(build["id"]) if event == "log")
    path = f"/api/v1/builds/{build['id']}/log"
    whole = service.http.get(path)
    assert whole.text == said and "no-such-package" in said
    assert whole.headers["content-type"].startswith("text/plain")
    assert whole.headers["x-content-type-options"] == "nosniff"
    part = service.http.get(path, headers={"Range": "bytes=7-11"})
    assert (part.status_code, part.text) == (206, said[7:12])
    assert part.headers["content-range"] == f"bytes 7-11/{len(said)}"
    assert service.http.get(path, headers={"Range": "bytes=-5"}).text == said[-5:]
    assert service.http.get(path, headers={"Range": "bytes=10-"}).text == said[10:]
    beyond = service.http.get(path, headers={"Range": f"bytes={len(said)}-"})
    assert (beyond.status_code, beyond.json()["code"]) == (416, "request-invalid")
    assert beyond.headers["content-type"] == "application/problem+json"
    assert beyond.headers["content-range"] == f"bytes */{len(said)}"
    assert service.http.get(path, headers={"Range": "lines=1-2"}).status_code == 200


def test_a_log_that_has_not_grown_is_not_sent_again(service: Running) -> None:
    service.push("no-such-package\n")
    build = service.ended(service.create(name="log-again")["build"]["id"])
    service.push("six\n")
    path = f"/api/v1/builds/{build['id']}/log"
    tag = service.http.get(path).headers["etag"]
    again = service.http.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.text, again.headers["etag"]) == (304, "", tag)
    assert service.http.get(path, headers={"If-None-Match": '"1"'}).status_code == 200


@pytest.mark.parametrize("path", ["", "/log", "/events"])
def test_a_build_that_there_is_not_is_a_problem(service: Running, path: str) -> None:
    answer = service.http.get(f"/api/v1/builds/01996f2e-7a52-7000-8cf1-3b6a0d4a1c2e{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "record-absent")
    assert answer.headers["content-type"] == "application/problem+json"
