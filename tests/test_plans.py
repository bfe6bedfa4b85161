"""Every fixture repository gives the plan, or the failure, that lies beside it."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import detectors
from detectors import CHAIN, detect
from detectors.plan import SCHEMA, Plan
from detectors.source import Source, walk
from tests.repositories import ROOT, Fixture, fixtures

ALL = fixtures()
PLANNED = [fixture for fixture in ALL if fixture.golden.name == "plan.json"]
PREFIXES = (*CHAIN, "several", "none", "binder", "hooks")

each = pytest.mark.parametrize("fixture", ALL, ids=lambda fixture: fixture.name)
each_planned = pytest.mark.parametrize("fixture", PLANNED, ids=lambda fixture: fixture.name)


def schema() -> dict[str, Any]:
    path = Path(detectors.__file__).with_name("plan.schema.json")
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def published(plan: Plan, frontend: str = "jupyterlab") -> dict[str, Any]:
    """The plan as the document that the builder publishes, with what only the builder knows made up."""
    document = {
        **plan.to_json(),
        "schema": SCHEMA,
        "repository": {"url": "https://git.example.org/lab/tides", "commit": "0" * 40, "subdir": ""},
        "frontend": frontend,
        "key": "0" * 64,
    }
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def _trees(source: Source, path: str) -> set[str]:
    root = source.entry(path)
    assert root is not None
    below = [_trees(source, entry.path) for entry in source.list(path) if entry.kind == "directory"]
    return {root.blob}.union(*below)


@each
def test_fixture_comes_to_its_golden_outcome(fixture: Fixture) -> None:
    name, document = fixture.outcome()
    assert name == fixture.golden.name, document
    assert document == json.loads(fixture.golden.read_text())


@each_planned
def test_fixture_is_rendered_as_its_golden_dockerfile(fixture: Fixture) -> None:
    assert fixture.dockerfile() == (fixture.directory / "Dockerfile").read_text()


@each_planned
def test_plan_fits_the_published_schema(fixture: Fixture) -> None:
    document = published(detect(fixture.source, fixture.options), fixture.frontend)
    jsonschema.Draft202012Validator(schema()).validate(document)


@each_planned
def test_plan_survives_its_json_form(fixture: Fixture) -> None:
    plan = detect(fixture.source, fixture.options)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@each_planned
def test_every_pinned_object_is_in_the_repository(fixture: Fixture) -> None:
    plan = detect(fixture.source, fixture.options)
    pinned = [*plan.files, *plan.trees, *(ref for ref in (plan.package, plan.post_build, plan.start) if ref)]
    objects = {entry.blob for entry in walk(fixture.source)} | _trees(fixture.source, "")
    assert {ref.blob for ref in pinned} <= objects


@pytest.mark.parametrize("member", ["strategy", "key", "repository", "inputs", "needs_source"])
def test_schema_demands_every_member(member: str) -> None:
    document = published(detect(PLANNED[0].source, PLANNED[0].options))
    del document[member]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema())


def test_schema_refuses_members_it_does_not_describe() -> None:
    document = published(detect(PLANNED[0].source, PLANNED[0].options))
    for holder in (document, document["inputs"], document["python"]):
        holder["surprise"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema())
        del holder["surprise"]
    jsonschema.validate(document, schema())


def test_schema_describes_every_member() -> None:
    def undescribed(node: dict[str, Any], path: str) -> list[str]:
        found = []
        for name, member in node.get("properties", {}).items():
            target = schema()["$defs"].get(member.get("$ref", "").rpartition("/")[2], {})
            if "description" not in member and "description" not in target:
                found.append(f"{path}/{name}")
            found += undescribed(member, f"{path}/{name}") + undescribed(member.get("items", {}), f"{path}/{name}")
        return found

    document = schema()
    assert undescribed(document, "") == []
    assert [name for name, node in document["$defs"].items() if undescribed(node, name)] == []
    described = set(document["properties"]) - {"schema", "repository", "frontend", "key", "needs_source"}
    assert described == {field.name for field in dataclasses.fields(Plan)}


def test_every_strategy_has_fixtures_and_every_fixture_a_known_prefix() -> None:
    prefixes = {fixture.name.partition("_")[0] for fixture in ALL}
    assert prefixes == set(PREFIXES)


def test_strategy_fixtures_are_of_that_strategy() -> None:
    for fixture in PLANNED:
        prefix = fixture.name.partition("_")[0]
        if prefix in CHAIN:
            assert detect(fixture.source, fixture.options).strategy == prefix, fixture.name


def test_verify_scripts_can_be_run() -> None:
    scripts = sorted(ROOT.glob("*/verify"))
    assert len(scripts) >= 16
    for script in scripts:
        assert script.stat().st_mode & 0o111, script
        assert script.read_text().startswith("#!/bin/sh\n"), script
        subprocess.run(["sh", "-n", script], check=True, timeout=10)
        assert (script.parent / "plan.json").exists(), script


def test_fixtures_name_no_host_but_made_up_ones() -> None:
    known = {b"download.pytorch.org", b"git-lfs.github.com"}
    for path in ROOT.rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        hosts = set(re.findall(rb"://(?:[^/\s@\"]*@)?([A-Za-z0-9.-]+)", content)) - known
        assert {host for host in hosts if not host.endswith(b"example.org")} == set(), path


RENDERED = sorted(ROOT.glob("*/Dockerfile"))


@pytest.mark.parametrize("dockerfile", RENDERED, ids=lambda path: path.parent.name)
def test_no_step_takes_what_one_of_another_owner_made_from_a_cache(dockerfile: Path) -> None:
    apart: set[str] = set()
    steps = 0
    for stage in re.split(r"^(?=FROM )", dockerfile.read_text(), flags=re.MULTILINE)[1:]:
        base, name = re.findall(r"^FROM (\S+)(?: AS (\S+))?", stage)[0]
        if base in apart or "ARG OWNER\n" in stage:
            apart.add(name)
        for step in re.findall(r"^RUN (?:.*\\\n)*.*", stage, flags=re.MULTILINE):
            if "--mount=type=cache" in step:
                steps += 1
                # The stage `lock` leaves a word of its owner, which each of these is given.
                assert name in apart or "--mount=type=bind,from=lock,source=/made/fetched" in step, step
    assert steps >= 7
