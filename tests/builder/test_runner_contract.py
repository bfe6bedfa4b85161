"""What every Runner does: the same tests for the one in threads and for the one in processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from builder.fake_engine import FakeEngine
from builder.fake_runner import FakeRunner
from builder.perform import Order, outcome_from_json, outcome_to_json
from builder.records import Outcome
from builder.service import Request, Settings, Wish, load
from builder.worker import ProcessRunner, Runner
from tests.conftest import PREFIX, MakeRepository


@dataclass
class World:
    """A runner, and what it tells of the builds that it runs."""

    runner: Runner
    settings: Settings
    events: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    stop_at: str = ""

    def run(self, repository: Path) -> Outcome:
        """What comes of a repository's build; it is stopped at the first event of the type `stop_at`."""

        async def run() -> Outcome:
            stop = asyncio.Event()

            def emit(type: str, content: Mapping[str, Any]) -> None:
                self.events.append((type, content))
                if type == self.stop_at:
                    loop.call_soon_threadsafe(stop.set)

            loop = asyncio.get_running_loop()
            request = Request(str(repository), frontend="none")
            return await asyncio.wait_for(self.runner.run(Order(request, Wish(), self.settings, True), emit, stop), 300)

        return asyncio.run(run())


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "fake":
        settings = replace(Settings(), cache_dir=str(tmp_path / "cache"), state_dir=str(tmp_path / "state"))
        return World(FakeRunner(FakeEngine(index={"six": "1.16.0"})), settings)
    request.getfixturevalue("engine")
    return World(ProcessRunner(), replace(load(), state_dir=str(tmp_path / "state"), image_prefix=PREFIX))


def test_a_build_comes_to_an_image_and_what_is_in_it(world: World, make_repository: MakeRepository) -> None:
    repository = make_repository({"requirements.txt": f"six\n# {os.urandom(8).hex()}\n"})
    outcome = world.run(repository)
    assert outcome.built and outcome.inventory and outcome.explanation is None
    assert "six" in [package.name for package in outcome.inventory.packages]
    types = [type for type, _ in world.events]
    assert types[0] == "plan" and "step" in types and set(types) <= {"plan", "step", "log"}
    assert world.events[0][1]["commit"] == outcome.built.commit


def test_a_build_that_fails_comes_to_an_explanation(world: World, make_repository: MakeRepository) -> None:
    outcome = world.run(make_repository({"README.md": "nothing to build\n"}))
    assert outcome.built is None and outcome.explanation
    assert outcome.explanation["code"] == "no-environment" and outcome.explanation["fix"]


def test_a_build_that_is_stopped_comes_to_nothing(world: World, make_repository: MakeRepository) -> None:
    world.stop_at = "plan"
    repository = make_repository({"requirements.txt": f"six\n# {os.urandom(8).hex()}\n"})
    assert world.run(repository) == Outcome()


def test_an_outcome_is_the_same_after_it_was_json(world: World, make_repository: MakeRepository) -> None:
    outcome = world.run(make_repository({"requirements.txt": "six\n"}))
    assert outcome_from_json(outcome_to_json(outcome)) == outcome
