"""What every Runtime does: the same tests for the one in memory and for Docker's."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from builder.failures.asked import ImageAbsent
from builder.failures.served import PortTaken, SessionEnded, SessionExists
from builder.fake_engine import FakeEngine
from builder.service import BuildError
from builder.settings import load
from launcher.records import Instance, Resources, SessionRequest
from launcher.runtimes.docker import DockerRuntime
from launcher.runtimes.fake import FakeRuntime
from launcher.sessions import Probe, Runtime, answers, open_session, with_places
from tests.command import foreign

BOUND = 30
"""Seconds in which what a test waits for has to happen."""

SERVE = (
    "trap 'echo all done; exit 3' USR1; trap 'exit 0' TERM; mkdir -p /tmp/lab;"
    " python3 -m http.server {port} --directory /tmp & wait"
)
"""What a session does: serves /lab/, and ends by a signal with its last words."""


@dataclass
class World:
    """A runtime, an image with a shell and a Python, and how what runs in a session is made to end."""

    runtime: Runtime
    image: str
    probe: Probe
    finish: Callable[[str], None]
    """Lets a session end with code 3, its last words being "all done"."""
    has_work: Callable[[str], bool]
    name: str = field(default_factory=lambda: f"lytest-{uuid.uuid4().hex[:12]}")

    def request(
        self, *, port: int | None = None, keeps_work: bool = False, image: str = "", name: str = ""
    ) -> SessionRequest:
        wanted = SessionRequest(name or self.name, image or self.image, "none", ("sh", "-c", SERVE), "/lab/", "a-token")
        return replace(wanted, port=port, keeps_work=keeps_work)

    def open(self, request: SessionRequest | None = None) -> Instance:
        return open_session(request or self.request(), self.runtime, BOUND, self.probe)


def fake() -> World:
    engine = FakeEngine()
    foreign(engine)
    runtime = FakeRuntime(engine)
    return World(
        runtime,
        "lab/tides",
        runtime.answers,
        lambda name: runtime.finish(name, 3, "all done"),
        runtime.work.__contains__,
    )


def real() -> World:
    def docker(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["docker", *arguments], capture_output=True, timeout=BOUND)

    return World(
        DockerRuntime(),
        load().bases.python.replace("{version}", "3.10"),
        answers,
        lambda name: docker("kill", "--signal=USR1", f"launchyard-session-{name}").check_returncode(),
        lambda name: docker("volume", "inspect", f"launchyard-session-{name}").returncode == 0,
    )


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.engine)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    made = fake() if request.param == "fake" else real()
    yield made
    made.runtime.stop(made.name, delete_work=True)


def failure(world: World, request: SessionRequest) -> object:
    with pytest.raises(BuildError) as raised:
        world.open(request)
    return raised.value.failure


def test_session_answers_at_its_address(world: World) -> None:
    session = world.open()
    assert session.state == "running"
    assert session.url.endswith("/lab/")
    assert session.address == session.url
    assert session.token == "a-token"
    assert world.probe(session.url)
    assert world.runtime.get(world.name) == session
    assert session in world.runtime.list()


def test_there_is_no_session_under_an_unknown_name(world: World) -> None:
    assert world.runtime.get(world.name) is None
    assert world.runtime.wait(world.name, 0.1) is None
    assert world.runtime.logs(world.name, 5) == ()
    world.runtime.stop(world.name)


def test_stopped_session_leaves_nothing(world: World) -> None:
    session = world.open()
    world.runtime.stop(world.name)
    assert world.runtime.get(world.name) is None
    assert not world.probe(session.url)
    assert not world.has_work(world.name)


def test_work_is_kept_where_that_was_asked_for(world: World) -> None:
    world.open(world.request(keeps_work=True))
    world.runtime.stop(world.name)
    assert world.has_work(world.name)
    world.runtime.stop(world.name, delete_work=True)
    assert not world.has_work(world.name)


def test_session_that_ends_by_itself_is_waited_for(world: World) -> None:
    world.open()
    running = world.runtime.wait(world.name, 0.1)
    assert running
    assert running.state == "running"
    world.finish(world.name)
    ended = world.runtime.wait(world.name, BOUND)
    assert ended
    assert (ended.state, ended.exit_code) == ("ended", 3)
    assert world.runtime.logs(world.name, 1) == ("all done",)


def test_name_of_a_running_session_is_taken_and_that_of_an_ended_one_is_not(world: World) -> None:
    world.open()
    assert failure(world, world.request()) == SessionExists(world.name)
    with pytest.raises(BuildError):
        world.runtime.start(world.request())
    assert world.runtime.get(world.name)
    world.finish(world.name)
    world.runtime.wait(world.name, BOUND)
    assert world.open().state == "running"


def test_session_that_ends_before_it_answers_is_explained_and_removed(world: World) -> None:
    def end_it(url: str) -> bool:
        world.finish(world.name)
        world.runtime.wait(world.name, BOUND)
        return False

    world.probe = end_it
    assert failure(world, world.request()) == SessionEnded(
        "ended with exit code 3", ("all done",), with_places(world.request()).command
    )
    assert world.runtime.get(world.name) is None
    assert not world.has_work(world.name)


def test_use_of_a_running_session_is_known_and_that_of_an_ended_one_is_not(world: World) -> None:
    assert world.runtime.usage(world.name) is None
    world.open(replace(world.request(), resources=Resources(memory=500_000_000)))
    usage = world.runtime.usage(world.name)
    assert usage and usage.memory > 0 and usage.processes >= 1
    assert abs(usage.memory_limit - 500_000_000) < 5_000_000
    world.finish(world.name)
    world.runtime.wait(world.name, BOUND)
    assert world.runtime.usage(world.name) is None


def test_what_a_session_has_on_disk_is_known_while_it_runs(world: World) -> None:
    assert world.runtime.disk(world.name) is None
    world.open()
    used = world.runtime.disk(world.name)
    assert used is not None and 0 <= used < 1_000_000
    world.finish(world.name)
    world.runtime.wait(world.name, BOUND)
    assert world.runtime.disk(world.name) is None


def test_session_is_known_as_its_owners(world: World) -> None:
    world.open(replace(world.request(), owner="service-a"))
    assert [i.owner for i in world.runtime.list() if i.name == world.name] == ["service-a"]


def test_port_that_another_session_has_is_taken(world: World) -> None:
    session = world.open()
    port = int(session.url.split(":")[2].partition("/")[0])
    other = f"{world.name}-2"
    assert failure(world, world.request(port=port, name=other)) == PortTaken(port)
    assert world.runtime.get(other) is None
    assert not world.has_work(other)


def test_image_that_is_not_there_starts_nothing(world: World) -> None:
    assert failure(world, world.request(image="lytest-cli/absent:1")) == ImageAbsent("lytest-cli/absent:1")
    assert world.runtime.get(world.name) is None
    assert not world.has_work(world.name)
