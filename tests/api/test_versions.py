"""Versions over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.service import Running

pytestmark = pytest.mark.service


def two_versions(service: Running, name: str) -> Any:
    environment = service.built(name=name)
    service.push("six\nnumpy\n")
    assert service.rebuilt(environment)["version"] == 2
    service.push("six\n")
    return service.get(f"/environments/{environment['id']}")


def test_a_change_of_the_repository_makes_version_2_and_it_is_the_current_one(service: Running) -> None:
    environment = two_versions(service, "second")
    assert environment["current_version"] == 2
    listed = service.get(f"/environments/{environment['id']}/versions")
    assert [version["number"] for version in listed["items"]] == [2, 1]
    assert listed["items"][0]["reference"] != listed["items"][1]["reference"]
    page = service.get(f"/environments/{environment['id']}/versions?limit=1")
    rest = service.get(f"/environments/{environment['id']}/versions?limit=1&cursor={page['next']}")
    assert ([v["number"] for v in rest["items"]], rest["next"]) == ([1], None)


def test_what_is_installed_is_known_although_the_image_is_gone(service: Running) -> None:
    environment = two_versions(service, "packages")
    reference = service.get(f"/environments/{environment['id']}/versions/2")["reference"]
    image = service.engine.inspect(reference)
    assert image
    service.engine.remove(image.tags)
    packages = service.get(f"/environments/{environment['id']}/versions/2/packages")["packages"]
    assert [(package["name"], package["version"]) for package in packages] == [("numpy", "2.2.2"), ("six", "1.16.0")]


def test_a_lock_is_read_as_pip_takes_it_although_the_image_is_gone(service: Running) -> None:
    environment = service.built(name="lock-pip")
    version = service.get(f"/environments/{environment['id']}/versions/1")
    image = service.engine.inspect(version["reference"])
    assert image
    service.engine.remove(image.tags)
    path = f"/api/v1/environments/{environment['id']}/versions/1/lock?format=requirements"
    answer = service.http.get(path)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="lock-pip-v1-requirements.txt"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    head, *lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert head == "six==1.16.0 \\" and lines[0].startswith("    --hash=sha256:")
    again = service.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")


def test_a_lock_is_given_as_it_is_kept_where_no_format_is_asked_for(service: Running) -> None:
    environment = service.built(name="lock-kept")
    lock = service.get(f"/environments/{environment['id']}/versions/1/lock")
    assert [(package["name"], package["version"]) for package in lock["pylock"]] == [("six", "1.16.0")]


def test_a_lock_of_condas_is_an_explicit_list(service: Running) -> None:
    (service.repository / "environment.yml").write_text("channels: [conda-forge]\ndependencies: [six]\n")
    service.engine.index = {**service.engine.index, "python": "3.10.13"}
    service.push("six\n")
    environment = service.built(name="lock-conda")
    (service.repository / "environment.yml").unlink()
    service.push("six\n")
    path = f"/api/v1/environments/{environment['id']}/versions/1/lock"
    answer = service.http.get(f"{path}?format=conda")
    assert answer.headers["content-disposition"] == 'attachment; filename="lock-conda-v1-explicit.txt"'
    marked = answer.text.splitlines().index("@EXPLICIT")
    (six,) = [line for line in answer.text.splitlines()[marked:] if "/six-" in line]
    assert six.startswith("https://conda.anaconda.org/conda-forge/noarch/six-1.16.0-0.conda#sha256:")
    absent = service.http.get(f"{path}?format=requirements")
    assert (absent.status_code, absent.json()["code"]) == (404, "kind-absent")
    assert "conda" in absent.json()["fix"][0]


def test_a_bill_of_materials_lists_what_is_installed(service: Running) -> None:
    environment = service.built(name="bill")
    answer = service.http.get(f"/api/v1/environments/{environment['id']}/versions/1/lock?format=cyclonedx")
    assert answer.headers["content-type"] == "application/vnd.cyclonedx+json"
    assert answer.headers["content-disposition"] == 'attachment; filename="bill-v1.cdx.json"'
    assert [component["purl"] for component in answer.json()["components"]] == ["pkg:pypi/six@1.16.0"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("versions/1/lock?format=conda", 404, "kind-absent"),
        ("versions/1/lock?format=tarball", 422, "request-invalid"),
        ("versions/9/lock", 404, "record-absent"),
        ("versions/9/provenance", 404, "record-absent"),
    ],
)
def test_a_lock_that_there_is_not_is_a_problem(service: Running, path: str, status: int, code: str) -> None:
    environment = service.built(name=f"without-{abs(hash(path))}")
    answer = service.http.get(f"/api/v1/environments/{environment['id']}/{path}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("lock", [[], {"pylock": [{"name": "six\n"}]}, {"conda": 1}])
def test_a_lock_that_foreign_code_has_spoilt_fails_the_build(service: Running, lock: object) -> None:
    service.push(f"six\n# {json.dumps(lock)}\n")
    service.engine.documents = {"lock.json": lock}
    build = service.ended(service.create()["build"]["id"])
    service.engine.documents = {}
    service.push("six\n")
    assert (build["state"], build["explanation"]["code"]) == ("failed", "record-invalid")


def test_provenance_says_what_a_version_was_made_of_and_by_which_build(service: Running) -> None:
    service.push("six\n# made anew, for its provenance\n")
    environment = service.built(name="provenance", ref="main")
    service.push("six\n")
    found = service.get(f"/environments/{environment['id']}/versions/1/provenance")
    build = service.get(f"/environments/{environment['id']}/builds")["items"][0]
    version = service.get(f"/environments/{environment['id']}/versions/1")
    assert (found["commit"], found["key"]) == (version["commit"], version["key"])
    assert (found["strategy"], found["python"], found["platform"]) == ("pip", "3.10", "linux/amd64")
    assert found["repository"] == str(service.repository) and not found["reused"]
    assert found["build"] | {"finished_at": ""} == {
        "id": build["id"], "reason": "created", "asked_by": "", "ref": "main",
        "started_at": build["started_at"], "finished_at": "",
    }  # fmt: skip
    bases = {base["name"].partition(":")[0].rpartition("/")[2]: base for base in found["bases"]}
    assert bases.keys() == {"parent-tools", "parent-jupyterlab", "python"}
    assert bases["parent-tools"]["image_id"].startswith("sha256:")
    assert found["tools"].keys() == {"uv", "pip", "poetry", "rattler"} and found["tools"]["poetry"] == "1.8.3"
    assert found["launchyard"]


def test_dockerfile_of_a_version_is_the_one_that_was_previewed(service: Running) -> None:
    environment = service.built(name="dockerfile")
    answer = service.http.get(f"/api/v1/environments/{environment['id']}/versions/1/dockerfile")
    assert answer.headers["content-disposition"] == 'attachment; filename="dockerfile-v1-Dockerfile"'
    plan = service.post("/plans", {"repository": str(service.repository)}, 200)
    assert answer.text == plan["dockerfile"]


def test_provenance_of_an_image_that_was_there_says_that_another_build_made_it(service: Running) -> None:
    service.built(name="first-of-two")
    environment = service.built(name="second-of-two")
    found = service.get(f"/environments/{environment['id']}/versions/1/provenance")
    assert found["reused"] is True
    (base,) = found["bases"]
    assert "parent-jupyterlab" in base["name"] and base["image_id"] is None


def test_a_difference_names_what_came_and_went(service: Running) -> None:
    environment = two_versions(service, "diff")
    path = f"/environments/{environment['id']}/versions/diff"
    there = service.get(f"{path}?from=1&to=2")
    assert ([package["name"] for package in there["added"]], there["removed"]) == (["numpy"], [])
    back = service.get(f"{path}?from=2&to=1")
    assert ([package["name"] for package in back["removed"]], back["added"]) == (["numpy"], [])
    assert service.http.get(f"/api/v1{path}?from=1&to=9").status_code == 404


def test_after_a_roll_back_a_launcher_gets_the_older_image_until_the_next_build(service: Running) -> None:
    environment = two_versions(service, "roll-back")
    first = service.get(f"/environments/{environment['id']}/versions/1")
    rolled = service.post(f"/environments/{environment['id']}/versions/1/use", status=200)
    assert rolled["current_version"] == 1
    assert service.get(f"/environments/{environment['id']}/image")["reference"] == first["reference"]
    service.push("numpy\n")
    assert service.rebuilt(environment)["version"] == 3
    service.push("six\n")
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 3


def test_a_pinned_version_stays_the_current_one_until_it_is_unpinned(service: Running) -> None:
    environment = service.built(name="pin")
    path = f"/api/v1/environments/{environment['id']}/pin"
    assert service.http.put(f"{path}/1").json()["pinned"] is True
    service.push("numpy\n")
    assert service.rebuilt(environment)["version"] == 2
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 1
    assert service.http.delete(path).json()["pinned"] is False
    assert service.rebuilt(environment)["version"] == 2
    service.push("six\n")
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 2


def test_after_a_roll_back_a_rebuild_that_finds_nothing_new_brings_back_what_the_ref_gives(service: Running) -> None:
    service.push("six\nnumpy\n# rolled back\n")
    environment = service.built(name="roll-forward")
    service.push("six\n# rolled back\n")
    assert service.rebuilt(environment)["version"] == 2
    service.post(f"/environments/{environment['id']}/versions/1/use", status=200)
    again = service.rebuilt(environment)
    service.push("six\n")
    assert (again["version"], again["new_version"]) == (2, False)
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 2


def test_another_version_than_the_pinned_one_is_not_used_until_it_is_pinned_in_its_place(service: Running) -> None:
    environment = two_versions(service, "use-while-pinned")
    own = f"/api/v1/environments/{environment['id']}"
    service.http.put(f"{own}/pin/2")
    refused = service.http.post(f"{own}/versions/1/use")
    assert (refused.status_code, refused.json()["code"]) == (409, "version-pinned")
    assert "launchyard remote pin use-while-pinned 1" in refused.json()["fix"][0]
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 2
    pinned = service.http.put(f"{own}/pin/1").json()
    assert (pinned["current_version"], pinned["pinned"]) == (1, True)


def test_a_version_that_is_in_use_already_keeps_the_tag(service: Running) -> None:
    environment = service.built(name="in-use")
    own = f"/api/v1/environments/{environment['id']}"
    seen = service.http.get(own).headers["etag"]
    assert service.http.post(f"{own}/versions/1/use").headers["etag"] == seen
    assert service.http.delete(f"{own}/pin").headers["etag"] == seen
    pinned = service.http.put(f"{own}/pin/1").headers["etag"]
    assert service.http.put(f"{own}/pin/1").headers["etag"] == pinned != seen


@pytest.mark.parametrize(("method", "path"), [("POST", "versions/1/use"), ("PUT", "pin/1"), ("DELETE", "pin")])
def test_a_version_is_chosen_on_top_of_what_was_seen_only(service: Running, method: str, path: str) -> None:
    environment = two_versions(service, f"chosen-{method}")
    own = f"/api/v1/environments/{environment['id']}"
    if method == "DELETE":
        service.http.put(f"{own}/pin/1")
    seen = service.http.get(own).headers["etag"]
    first = service.http.request(method, f"{own}/{path}", headers={"If-Match": seen})
    assert first.status_code == 200
    assert first.headers["etag"] == service.http.get(own).headers["etag"] != seen
    second = service.http.request(method, f"{own}/{path}", headers={"If-Match": seen})
    assert (second.status_code, second.json()["code"]) == (412, "revision-stale")


def test_a_version_that_there_is_not_cannot_be_used(service: Running) -> None:
    environment = service.built(name="absent")
    assert service.http.post(f"/api/v1/environments/{environment['id']}/versions/7/use").status_code == 404
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 1
