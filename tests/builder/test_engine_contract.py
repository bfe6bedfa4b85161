"""What every Engine does: the same tests for the one in memory and for the real one."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import pytest

from builder.buildkit import BuildKit
from builder.context import Context
from builder.engine import BuildFailed, BuildRequest, Engine, Log, Step
from builder.failures.asked import PushFailed
from builder.fake_engine import FakeEngine
from builder.settings import Limits, load
from detectors.failures import BuildError
from tests import servers

SIX = {"requirements.txt": b"six\n"}


@dataclass
class World:
    """An engine, and what a test needs around it."""

    engine: Engine
    base: str
    """An image with a shell."""
    use: Callable[[str], AbstractContextManager[None]]
    """Makes a container of an image, for as long as it lasts."""
    name: str = field(default_factory=lambda: f"lytest-cli/contract-{uuid.uuid4().hex[:12]}")
    label: str = field(default_factory=lambda: f"lytest.{uuid.uuid4().hex[:12]}")
    events: list[Step | Log] = field(default_factory=list)

    def build(self, dockerfile: str, files: Mapping[str, bytes] | None = None, **labels: str) -> str:
        context = Context(dockerfile, dict(files or {}))
        labels = {self.label: "yes", **{f"{self.label}.{name}": value for name, value in labels.items()}}
        request = BuildRequest(
            lambda stream: context.write_tar(stream, None, 0), labels=labels, limits=Limits(build_time=120)
        )
        return self.engine.build(request, self.events.append)

    def ids(self, label: str) -> list[str]:
        return [image.id for image in self.engine.images(label)]


def fake() -> World:
    engine = FakeEngine()
    base = "lytest-cli/base:latest"
    context = Context("FROM scratch\n", {})
    engine.tag(engine.build(BuildRequest(lambda stream: context.write_tar(stream, None, 0)), lambda _: None), base)

    @contextmanager
    def use(image: str) -> Iterator[None]:
        engine.in_use.add(image)
        yield
        engine.in_use.discard(image)

    return World(engine, base, use)


def real() -> World:
    @contextmanager
    def use(image: str) -> Iterator[None]:
        done = subprocess.run(
            ["docker", "create", "--entrypoint=/none", image], capture_output=True, text=True, check=True
        )
        try:
            yield
        finally:
            subprocess.run(["docker", "rm", "--force", done.stdout.strip()], capture_output=True, check=True)

    return World(BuildKit(), load().bases.debian, use)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = fake() if request.param == "fake" else real()
    yield made
    for image in made.engine.images(made.label):
        made.engine.remove(image.tags or (image.id,))


def test_no_image_is_found_under_an_unknown_name(world: World) -> None:
    assert world.engine.inspect(world.name) is None
    assert world.engine.inspect("sha256:" + "0" * 64) is None


def test_layers_are_told_with_their_sizes(world: World) -> None:
    files = {"requirements.txt": b"six\n", "more.txt": b"attrs\nidna\n"}
    world.engine.tag(world.build("FROM scratch\nCOPY requirements.txt /\n", files), world.name)
    above = world.build(f"FROM {world.name}\nUSER 1000\nCOPY more.txt /\n", files)
    assert world.engine.layers(above) == (4, 11)


def test_built_image_has_its_labels_and_no_tag(world: World) -> None:
    image = world.engine.inspect(world.build("FROM scratch\nCOPY requirements.txt /\n", SIX, key="a b"))
    assert image
    assert image.labels[f"{world.label}.key"] == "a b"
    assert image.tags == ()
    assert image.id.startswith("sha256:")
    assert image.digest is None


def test_same_context_and_labels_give_the_same_image(world: World) -> None:
    dockerfile = "FROM scratch\nCOPY requirements.txt /\n"
    first = world.build(dockerfile, SIX, key="1")
    assert world.build(dockerfile, SIX, key="1") == first
    assert world.build(dockerfile, SIX, key="2") != first
    assert world.build(dockerfile, {"requirements.txt": b"numpy\n"}, key="1") != first


def test_tag_means_the_image_it_was_last_given_to(world: World) -> None:
    old, new = (world.build("FROM scratch\nCOPY requirements.txt /\n", SIX, key=key) for key in ("old", "new"))
    for image_id in (old, new):
        world.engine.tag(image_id, f"{world.name}:1")
    found = world.engine.inspect(f"{world.name}:1")
    assert found
    assert (found.id, found.tags) == (new, (f"{world.name}:1",))


def test_name_without_a_tag_means_latest(world: World) -> None:
    world.engine.tag(world.build("FROM scratch\nCOPY requirements.txt /\n", SIX), world.name)
    found = world.engine.inspect(world.name)
    assert found
    assert found.tags == (f"{world.name}:latest",)


def test_files_of_a_directory_are_read_by_their_names_in_it(world: World) -> None:
    files = {"lock/a.json": b"{}", "lock/below/b.txt": b"b"}
    image = world.build("FROM scratch\nCOPY lock/ /opt/launchyard/environment/\n", files)
    assert world.engine.read(image, "/opt/launchyard/environment") == {"a.json": b"{}", "below/b.txt": b"b"}


def test_directory_that_an_image_has_not_is_read_as_empty(world: World) -> None:
    assert world.engine.read(world.build("FROM scratch\nCOPY requirements.txt /\n", SIX), "/opt/launchyard") == {}


def test_image_on_another_has_its_labels_and_files(world: World) -> None:
    world.engine.tag(world.build("FROM scratch\nCOPY requirements.txt /lock/\n", SIX, parent="yes"), world.name)
    above = world.build(f"FROM {world.name}\nCOPY more.txt /lock/\n", {"more.txt": b"more"}, key="1")
    image = world.engine.inspect(above)
    assert image
    assert image.labels[f"{world.label}.parent"] == "yes"
    assert world.engine.read(above, "/lock") == {**SIX, "more.txt": b"more"}


def test_failed_step_is_named_with_what_it_said_and_leaves_no_image(world: World) -> None:
    with pytest.raises(BuildFailed) as raised:
        world.build(f"FROM {world.base}\nRUN echo unmistakable; exit 3\n")
    assert "RUN echo unmistakable; exit 3" in raised.value.step
    assert "exit code: 3" in raised.value.message
    assert raised.value.lines == ("unmistakable",)
    assert world.ids(world.label) == []
    assert [event.error for event in world.events if isinstance(event, Step) and event.error]
    assert [event.text for event in world.events if isinstance(event, Log)] == ["unmistakable\n"]


def test_steps_are_reported_as_they_start_and_end(world: World) -> None:
    world.build("FROM scratch\nCOPY requirements.txt /\n", SIX)
    copied = [event for event in world.events if isinstance(event, Step) and "COPY requirements.txt" in event.name]
    done = [step for step in copied if step.started and step.completed]
    assert done
    assert all(step.started and step.completed and step.started <= step.completed for step in done)


def test_images_are_found_by_a_label_and_by_its_value(world: World) -> None:
    one = world.build("FROM scratch\nCOPY requirements.txt /\n", SIX, key="1")
    two = world.build("FROM scratch\nCOPY requirements.txt /\n", SIX, key="2")
    for number, image_id in enumerate((one, two)):
        world.engine.tag(image_id, f"{world.name}:{number}")
    assert set(world.ids(world.label)) == {one, two}
    assert world.ids(f"{world.label}.key=2") == [two]
    assert world.ids(f"{world.label}.key=3") == []


def test_image_goes_with_its_last_reference(world: World) -> None:
    image_id = world.build("FROM scratch\nCOPY requirements.txt /\n", SIX)
    for tag in ("1", "2"):
        world.engine.tag(image_id, f"{world.name}:{tag}")
    world.engine.remove([f"{world.name}:1"])
    assert world.engine.inspect(image_id)
    world.engine.remove([f"{world.name}:2"])
    assert world.engine.inspect(image_id) is None


def test_image_in_use_stays(world: World) -> None:
    image_id = world.build("FROM scratch\nCOPY requirements.txt /\n", SIX)
    world.engine.tag(image_id, f"{world.name}:1")
    with world.use(image_id):
        world.engine.remove([f"{world.name}:1"])
        assert world.engine.inspect(f"{world.name}:1")


def test_removing_what_is_not_there_changes_nothing(world: World) -> None:
    world.engine.remove([f"{world.name}:1"])
    assert world.engine.inspect(f"{world.name}:1") is None


def test_pull_of_what_no_registry_has_gives_nothing(world: World) -> None:
    assert world.engine.pull("127.0.0.1:1/launchyard-nothing:none") is None


def test_push_to_a_registry_that_does_not_answer_fails(world: World) -> None:
    reference = f"127.0.0.1:1/{world.name}:1"
    world.engine.tag(world.build("FROM scratch\nCOPY requirements.txt /\n", SIX), reference)
    with pytest.raises(BuildError) as raised:
        world.engine.push(reference)
    assert isinstance(raised.value.failure, PushFailed)


@pytest.fixture
def registry(world: World) -> Iterator[str]:
    """The address of a registry that the engine can reach."""
    if isinstance(world.engine, FakeEngine):
        world.engine.registries.add("registry.example")
        yield "registry.example"
        return
    with servers.registry() as server:
        yield server.address


def test_what_was_pushed_is_pulled_where_it_is_no_more(world: World, registry: str) -> None:
    reference = f"{registry}/{world.name}:1"
    image_id = world.build("FROM scratch\nCOPY requirements.txt /\n", SIX, key="1")
    world.engine.tag(image_id, reference)
    digest = world.engine.push(reference)
    assert digest.startswith("sha256:") and world.engine.push(reference) == digest
    world.engine.remove([reference])
    assert world.engine.inspect(reference) is None
    pulled = world.engine.pull(reference)
    assert pulled and pulled == world.engine.inspect(reference)
    assert (pulled.id, pulled.tags, pulled.digest) == (image_id, (reference,), digest)
    assert pulled.labels[f"{world.label}.key"] == "1"
    assert world.engine.read(reference, "/").keys() >= SIX.keys()


def test_image_that_was_pushed_has_the_digest_of_its_manifest(world: World, registry: str) -> None:
    reference = f"{registry}/{world.name}:1"
    world.engine.tag(world.build("FROM scratch\nCOPY requirements.txt /\n", SIX), reference)
    digest = world.engine.push(reference)
    here = world.engine.inspect(reference)
    assert here and here.digest == digest
    assert world.engine.pull(reference) == here


def test_pull_of_a_name_that_a_registry_has_not_gives_nothing(world: World, registry: str) -> None:
    assert world.engine.pull(f"{registry}/{world.name}:none") is None


def test_it_says_how_much_its_images_take(world: World) -> None:
    world.build("FROM " + world.base + "\nCOPY requirements.txt /\n", SIX)
    assert world.engine.usage()["the engine's images"] > 0
