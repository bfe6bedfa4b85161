"""A service in a process that tests may kill, with the real engine behind it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builder.buildkit import BuildKit
from builder.client import Client
from builder.documents import Choices, NewEnvironment
from tests.conftest import MakeRepository

if TYPE_CHECKING:
    from builder.documents import Created

PREFIX = "launchyard-test"
PATIENCE = 240.0


@dataclass
class Process:
    """`launchyard serve` over a directory; killed and started as a test likes, at the address that it has once got."""

    directory: Path
    role: str = "all"
    environ: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None
    client: Client = field(init=False)
    _clients: list[Client] = field(default_factory=list)
    _port: str = "0"

    def start(self) -> None:
        environ = {
            **os.environ,
            "LAUNCHYARD_ALLOW_LOCAL": "true",
            "LAUNCHYARD_IMAGE_PREFIX": PREFIX,
            "XDG_CACHE_HOME": str(self.directory / "cache"),
            **self.environ,
        }
        command = [sys.executable, "-m", "launcher.cli", "serve", "--port", self._port, "--role", self.role]
        with (self.directory / "errors").open("a") as errors:
            self.process = subprocess.Popen(
                [*command, "--state", str(self.directory / "state")],
                env=environ, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        assert self.process.stdout
        address = self.process.stdout.readline().strip()
        self._port = address.rpartition(":")[2] or "0"
        self.client = Client(address)
        self._clients.append(self.client)

    def close(self) -> None:
        """End the service, if it still runs, and what was asked of it."""
        if self.process and self.process.poll() is None:
            self.end()
        for client in self._clients:
            client.close()

    def kill(self) -> None:
        """SIGKILL, and nothing else."""
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> None:
        assert self.process and self.process.stdout
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stdout.close()

    def remains(self) -> list[str]:
        """What there still is of its builds: the commands of processes, and files."""
        commands = []
        for process in self.workers():
            with suppress(OSError):
                commands.append(Path(f"/proc/{process}/cmdline").read_text().replace("\0", " "))
        return commands + [str(path) for path in self.leftovers()]

    def workers(self) -> list[int]:
        """Processes of builds: of this service, or left behind by it."""
        return [p for p in _processes(f"TMPDIR={self.directory / 'state' / 'service' / 'scratch'}/")]

    def leftovers(self) -> list[Path]:
        """What builds left in their temporary directories."""
        return list((self.directory / "state" / "service" / "scratch").glob("*/*"))

    def create(self, repository: Path) -> Created:
        return self.client.create(NewEnvironment(repository=str(repository), options=Choices(frontend="none")))


def _processes(wanted: str) -> Iterator[int]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(variable.startswith(wanted.encode()) for variable in environ):
            yield int(process.name)


def until(what: Callable[[], bool], seconds: float = PATIENCE / 2, seen: Callable[[], object] = lambda: "") -> float:
    """Wait for something that nothing tells of; how many seconds it took. What is `seen` says why it did not happen."""
    began = time.monotonic()
    pause = threading.Event()
    while not what():
        assert time.monotonic() - began < seconds, seen()
        pause.wait(0.05)
    return time.monotonic() - began


def vanish(remains: Callable[[], list[str]]) -> None:
    """Wait until nothing remains."""
    until(lambda: not remains(), seen=remains)


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path, engine: BuildKit) -> Iterator[Start]:
    """A function that starts a service with these variables."""
    made: list[Process] = []

    def start(**environ: str) -> Process:
        process = Process(tmp_path, environ=environ)
        made.append(process)
        process.start()
        return process

    yield start
    for process in made:
        process.close()


@pytest.fixture
def served(start: Start) -> Process:
    return start()


@pytest.fixture
def slow(make_repository: MakeRepository) -> Callable[[str], Path]:
    """A function from a shell script to a repository whose build runs it at its end, and was never built before."""

    def make(script: str) -> Path:
        files: Mapping[str, str] = {
            "requirements.txt": "six\n",
            "postBuild": f"#!/bin/sh\n# {time.time_ns()}\n{script}\n",
        }
        repository = make_repository(files, f"repository-{time.time_ns()}")
        (repository / "postBuild").chmod(0o755)
        return repository

    return make
