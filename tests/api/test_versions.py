"""Versions over HTTP."""

from __future__ import annotations

from typing import Any

from tests.service import Running


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


def test_a_version_that_there_is_not_cannot_be_used(service: Running) -> None:
    environment = service.built(name="absent")
    assert service.http.post(f"/api/v1/environments/{environment['id']}/versions/7/use").status_code == 404
    assert service.get(f"/environments/{environment['id']}")["current_version"] == 1
