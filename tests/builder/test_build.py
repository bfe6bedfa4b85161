"""What is built already is not built again, wherever it is; and what the engine got wrong is asked of it once more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from builder import identity
from builder.address import Address
from builder.build import Wish, build, plan
from builder.engine import BuildFailed, BuildRequest, Log, Report, Step
from builder.fake_engine import FakeEngine
from builder.settings import Settings
from detectors.failures import BuildError
from detectors.plan import Options
from tests.conftest import MakeRepository, build_image


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(
        Settings(),
        image_prefix="registry.example/team",
        cache_dir=str(tmp_path / "cache"),
        state_dir=str(tmp_path / "state"),
    )


def engines() -> tuple[FakeEngine, FakeEngine]:
    """Two that share a registry."""
    one = FakeEngine(index={"six": "1.16.0"}, registries={"registry.example"})
    return one, FakeEngine(index=one.index, registries=one.registries, pushed=one.pushed)


def test_an_image_that_another_engine_has_pushed_is_pulled_and_not_built(
    make_repository: MakeRepository, settings: Settings
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    one, other = engines()
    first = build_image(repository, one, settings, wish=Wish(push=True))
    again = build_image(repository, other, settings, wish=Wish(push=True))
    assert other.requests == []
    assert again.reused and (again.reference, again.image_id, again.digest) == (
        first.reference,
        first.image_id,
        first.digest,
    )


def test_an_image_of_another_owner_in_the_registry_is_not_taken(
    make_repository: MakeRepository, settings: Settings
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    one, other = engines()
    build_image(repository, one, replace(settings, owner="ada"), wish=Wish(push=True))
    built = build_image(repository, other, replace(settings, owner="bob"), wish=Wish(push=True))
    assert not built.reused and other.requests


@dataclass(slots=True)
class Unsteady(FakeEngine):
    """An engine that fails to start a step, the first times."""

    times: int = 1
    said: str = "runc run failed: unable to start container process: read init-p: connection reset by peer"

    def build(self, request: BuildRequest, report: Report) -> str:
        if self.times and identity.LABEL + "key" in request.labels:
            self.times -= 1
            self.requests.append(request)
            raise BuildFailed("[environment 2/2] RUN x", "exit code: 1", (self.said,))
        return FakeEngine.build(self, request, report)


def test_a_step_that_the_engine_could_not_start_is_tried_once_more(
    make_repository: MakeRepository, settings: Settings
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    assert build_image(repository, Unsteady(index={"six": "1.16.0"}), settings).reference
    with pytest.raises(BuildError) as raised:
        build_image(repository, Unsteady(index={"six": "1.16.0"}, times=2), settings)
    assert type(raised.value.failure).__name__ == "StepNotStarted"


def test_a_step_that_fails_by_itself_is_tried_once(make_repository: MakeRepository, settings: Settings) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    engine = Unsteady(index={"six": "1.16.0"}, said="no such option")
    with pytest.raises(BuildError):
        build_image(repository, engine, settings)
    assert len([request for request in engine.requests if identity.LABEL + "key" in request.labels]) == 1


def test_steps_that_made_layers_of_the_image_are_told_with_the_size_of_each(
    make_repository: MakeRepository, settings: Settings
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    engine = FakeEngine(index={"six": "1.16.0"})
    planned = plan(Address(str(repository), repository), None, Options(), "none", settings)
    said: list[Step | Log] = []
    built = build(planned, Wish(), engine, settings, said.append)
    sizes = {step.name: step.size for step in built.steps if step.size is not None}
    assert len(sizes) > 3
    assert list(sizes.values()) == list(engine.layers(built.image_id)[-len(sizes) :])
    assert sizes == {event.name: event.size for event in said if isinstance(event, Step) and event.size is not None}
