"""The service's own image: small, of nobody in particular, and a whole service once it has an engine's socket."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.buildkit import BuildKit
from builder.client import Client
from builder.documents import Choices, NewEnvironment
from tests.conftest import PREFIX, write_repository
from tests.containers import BOUND, docker
from tests.deploy.conftest import PASSWORD
from tests.images.test_images import search

pytestmark = pytest.mark.engine

MAX_SIZE = 450_000_000
"""Bytes of the image: a Debian, its Docker client and buildx, git with Perl, Python, and the service."""

END_TIME = 10
"""Seconds in which the service ends, as `docker stop` has it."""


@dataclass
class Deployed:
    """A container of the image over a volume of its own, as docs/deploy.md starts it."""

    image: str
    socket: str
    configuration: Path
    name: str = f"{PREFIX}-service"
    client: Client = field(init=False)

    def start(self) -> None:
        began = time.time()
        docker(
            "run", "--detach", f"--name={self.name}", "--publish=127.0.0.1::8700",
            f"--volume={self.name}:/var/lib/launchyard", f"--volume={self.configuration}:/etc/launchyard:ro",
            f"--volume={self.socket}:/var/run/docker.sock", f"--group-add={os.stat(self.socket).st_gid}",
            "--read-only", "--tmpfs=/tmp", "--tmpfs=/var/cache/launchyard:uid=1000", "--cap-drop=ALL",
            "--security-opt=no-new-privileges:true", self.image,
        )  # fmt: skip
        with closing(self.events(began, "health_status", "die")) as events:
            assert next(events, "nothing") == "health_status: healthy", self.logs()
        self.client = Client(self.address)

    @property
    def address(self) -> str:
        return f"http://{docker('port', self.name, '8700/tcp').splitlines()[0]}"

    def events(self, began: float, *kinds: str) -> Generator[str, None, None]:
        """What happens to the container, from a time on and for at most BOUND seconds."""
        command = ["docker", "events", f"--since={began:.9f}", f"--until={began + BOUND:.9f}", "--format={{.Action}}"]
        command += [f"--filter=container={self.name}", *(f"--filter=event={kind}" for kind in kinds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as events:
            assert events.stdout
            try:
                yield from (line.strip() for line in events.stdout)
            finally:
                events.kill()

    def stop(self) -> tuple[float, int]:
        """End it by SIGTERM, and by SIGKILL after END_TIME: seconds that it took, and its exit code."""
        began = time.monotonic()
        docker("stop", f"--time={END_TIME}", self.name)
        took = time.monotonic() - began
        code = int(docker("inspect", "--format={{.State.ExitCode}}", self.name))
        self.remove()
        return took, code

    def remove(self) -> None:
        if hasattr(self, "client"):
            self.client.close()
        docker("rm", "--force", "--volumes", self.name)

    def logs(self) -> str:
        done = subprocess.run(["docker", "logs", self.name], capture_output=True, text=True)
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def deployed(image: str, socket: str, configuration: Path, engine: BuildKit) -> Iterator[Deployed]:
    made = Deployed(image, socket, configuration)
    try:
        made.start()
        yield made
    finally:
        made.remove()
        docker("volume", "rm", "--force", made.name)


def test_the_image_is_small_and_keeps_nothing_that_its_build_was_given(image: str, tmp_path: Path) -> None:
    assert int(docker("image", "inspect", "--format={{.Size}}", image)) < MAX_SIZE
    docker("save", f"--output={tmp_path / 'image.tar'}", image)
    assert list(search(tmp_path / "image.tar", (PASSWORD.encode(),))) == []


def test_the_image_has_what_the_service_needs_and_no_more(image: str) -> None:
    listed = "import importlib.metadata as m; print(*sorted(d.name for d in m.distributions()))"
    names = docker("run", "--rm", "--entrypoint=python", image, "-c", listed).split()
    assert "launchyard" in names and not {"pytest", "playwright", "uv", "hatchling", "pip", "Django"} & {*names}


def test_it_runs_as_a_user_without_privileges_that_reaches_the_engine(deployed: Deployed) -> None:
    assert docker("exec", deployed.name, "id", "-u").strip() == "1000"
    assert docker("exec", deployed.name, "cat", "/proc/1/comm").strip() == "tini"
    version = "{{.Server.Version}}"
    assert docker("exec", deployed.name, "docker", "version", "--format", version) == docker(
        "version", "--format", version
    )


def test_a_published_port_is_asked_by_address_and_by_no_strange_name(deployed: Deployed) -> None:
    assert status(f"{deployed.address}/readyz") == 200
    assert status(f"{deployed.address}/readyz", host="evil.example") == 403


def test_what_it_has_built_is_remembered_by_the_next_container(deployed: Deployed, tides: str) -> None:
    environment = deployed.client.create(NewEnvironment(repository=tides, options=Choices(frontend="none")))
    list(deployed.client.events(environment.build.id))
    build = deployed.client.build(environment.build.id)
    assert build.state == "succeeded", build.explanation
    image = deployed.client.image(environment.id)

    deployed.stop()
    deployed.start()

    assert deployed.client.image(environment.id) == image
    assert deployed.client.build(build.id) == build
    assert "six" in {package.name for package in deployed.client.packages(environment.id, image.version).packages}


def test_sigterm_ends_it_in_time_and_the_build_under_way_goes_on_with_the_next_container(
    deployed: Deployed, host: tuple[str, Path]
) -> None:
    address, root = host
    files = {"requirements.txt": "six\n", "postBuild": f"#!/bin/sh\n# {time.time_ns()}\necho asleep\nexec sleep 300\n"}
    repository = write_repository(root / "sleeps", files)
    environment = deployed.client.create(
        NewEnvironment(repository=f"{address}/{repository.name}", options=Choices(frontend="none"))
    )
    build = environment.build.id
    seen = asleep(deployed.client, build, 0)

    took, code = deployed.stop()
    assert (took < END_TIME, code) == (True, 130), (took, code)
    deployed.start()

    assert deployed.client.build(build).state == "running"
    asleep(deployed.client, build, seen)
    deployed.client.cancel(build)
    assert list(deployed.client.events(build))[-1].type == "end"
    assert deployed.client.build(build).state == "cancelled"


def asleep(client: Client, build: str, after: int) -> int:
    """Wait until a build says that it sleeps, once more behind an event; the id of the event that says so."""
    with closing(client.events(build, after)) as events:
        return next(event.id for event in events if "asleep" in event.content.get("text", ""))


def status(address: str, host: str = "") -> int:
    command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "10", address]
    done = subprocess.run([*command, *(("--header", f"Host: {host}") if host else ())], capture_output=True, text=True)
    return int(done.stdout)
