"""Whatever is killed, a build ends once, and its log is whole."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from builder.buildkit import BuildKit
from builder.client import Event, ServiceProblem
from builder.documents import NewEnvironment
from builder.identity import LABEL
from builder.terminal import STOPPED
from tests.containers import of_builds
from tests.faults.conftest import Process, Start, until, vanish

pytestmark = pytest.mark.engine

COUNTED = "for n in $(seq 40); do echo counted $n; sleep 0.1; done"


class Silent:
    """A server that takes connections and never says a word."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._taken: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.asked = threading.Event()
        """Set once somebody has connected."""
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        with suppress(OSError):
            while True:
                self._taken.append(self._listening.accept()[0])
                self.asked.set()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        for end in (self._listening, *self._taken):
            end.close()


def seen_until(served: Process, build_id: str, reached: Callable[[Event], bool]) -> list[Event]:
    """The events of a build up to the first of a kind."""
    seen = []
    for event in served.client.events(build_id):
        seen.append(event)
        if reached(event):
            return seen
    raise AssertionError("the build ended before")


STAGES: dict[str, Callable[[Event], bool]] = {
    "started": lambda event: event.type == "state",
    "planned": lambda event: event.type == "plan",
    "building": lambda event: event.type == "step" and "lock" in event.content["name"],
    "printing": lambda event: event.type == "log" and "counted 5\n" in event.content["text"],
    "exporting": lambda event: event.type == "step" and event.content["name"].startswith("exporting to image"),
}


@pytest.mark.parametrize("stage", STAGES)
def test_after_the_service_is_killed_in_a_build_it_ends_once_with_its_log_whole(
    served: Process, slow: Callable[[str], Path], stage: str
) -> None:
    created = served.create(slow(COUNTED))
    seen = seen_until(served, created.build.id, STAGES[stage])
    served.kill()
    served.start()
    after = list(served.client.events(created.build.id, after=seen[-1].id))
    build = served.client.build(created.build.id)
    assert (build.state, build.version) == ("succeeded", 1), build.explanation
    every = list(served.client.events(created.build.id))
    assert every == seen + after
    assert all(one.id < other.id for one, other in pairwise(every))
    assert [event.type for event in every].count("end") == 1
    log = served.client.log(created.build.id)
    assert log == "".join(event.content["text"] for event in every if event.type == "log")
    assert all(f"counted {n}\n" in log for n in range(1, 41))
    assert len(list(served.client.environments())) == 1
    vanish(served.remains)


def test_a_service_that_is_ended_in_a_build_goes_on_with_it_when_it_starts_again(
    served: Process, slow: Callable[[str], Path]
) -> None:
    created = served.create(slow(COUNTED))
    seen_until(served, created.build.id, STAGES["printing"])
    served.end()
    until(lambda: not served.workers())
    served.start()
    list(served.client.events(created.build.id))
    assert served.client.build(created.build.id).state == "succeeded"


def test_a_build_whose_own_process_is_killed_says_so_and_leaves_nothing(
    served: Process, slow: Callable[[str], Path]
) -> None:
    before = of_builds()
    created = served.create(slow("echo waiting; sleep 600"))
    seen_until(served, created.build.id, lambda event: event.type == "log" and "waiting" in event.content["text"])
    for process in served.workers():
        if b"builder.perform" in Path(f"/proc/{process}/cmdline").read_bytes():
            os.kill(process, signal.SIGKILL)
    list(served.client.events(created.build.id))
    build = served.client.build(created.build.id)
    assert build.state == "failed" and build.explanation
    assert build.explanation.code == "builder-lost" and "signal 9" in build.explanation.seen
    vanish(served.remains)
    left = of_builds() - before
    until(lambda: not left & of_builds())


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.close()


def test_a_build_is_cancelled_within_three_seconds_while_a_git_host_does_not_answer(
    start: Start, silent: Silent
) -> None:
    host = f"http://{silent.address}"
    served = start(LAUNCHYARD_ALLOWED_HOSTS=host)
    created = served.client.create(NewEnvironment(repository=f"{host}/ada/tides"))
    assert silent.asked.wait(30)
    _cancelled(served, created.build.id)


def test_a_service_that_ends_while_a_stream_is_open_logs_no_error_and_nothing_but_json(
    start: Start, silent: Silent
) -> None:
    host = f"http://{silent.address}"
    served = start(LAUNCHYARD_ALLOWED_HOSTS=host)
    created = served.client.create(NewEnvironment(repository=f"{host}/ada/tides"))
    events = served.client.events(created.build.id)
    assert next(events).type == "state"
    served.end()
    events.close()
    assert served.process and served.process.returncode == STOPPED
    lines = [json.loads(line) for line in (served.directory / "errors").read_text().splitlines()]
    assert [line["message"] for line in lines if line["level"] in ("warning", "error")] == []
    assert lines[-1]["message"] == "the service has ended"


def test_a_build_is_cancelled_within_three_seconds_while_a_registry_does_not_answer(
    start: Start, engine: BuildKit, silent: Silent, slow: Callable[[str], Path]
) -> None:
    served = start(LAUNCHYARD_IMAGE_PREFIX=f"{silent.address}/team")
    created = served.create(slow("echo ready"))
    assert silent.asked.wait(120)
    _cancelled(served, created.build.id)
    for label in (LABEL + "key", LABEL + "parent"):
        names = [tag for image in engine.images(label) for tag in image.tags]
        engine.remove([name for name in names if name.startswith(f"{silent.address}/")])


def _cancelled(served: Process, build_id: str) -> None:
    served.client.cancel(build_id)
    assert until(lambda: served.client.build(build_id).state == "cancelled") < 3
    vanish(served.remains)


def test_a_build_that_is_cancelled_ends_within_three_seconds_and_leaves_nothing(
    served: Process, slow: Callable[[str], Path]
) -> None:
    created = served.create(slow("echo waiting; sleep 600"))
    seen_until(served, created.build.id, lambda event: event.type == "log" and "waiting" in event.content["text"])
    _cancelled(served, created.build.id)
    with pytest.raises(ServiceProblem) as raised:
        served.client.image(created.id)
    assert raised.value.explanation.code == "no-version-yet"


def test_a_second_service_over_the_same_directory_is_refused(served: Process) -> None:
    other = Process(served.directory)
    other.start()
    assert other.process and other.process.wait(30) == 2
    assert other.process.stdout
    other.process.stdout.close()
    other.close()
    assert "Another service works on this state directory" in (served.directory / "errors").read_text()
