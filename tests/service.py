"""The build service over an engine in memory, as a client of its HTTP sees it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from builder.api import create_app
from builder.embedded import Embedded, embedded
from builder.engine import BuildRequest, Report
from builder.fake_engine import FakeEngine
from builder.fake_runner import FakeRunner
from builder.serve import listen, server_of
from builder.settings import Settings
from tests.conftest import commit, write_repository

PATIENCE = 20.0
"""Seconds after which something that should have happened has not."""


AWAY = OperationalError("SELECT", {}, Exception("the database is away"))


def failing(patch: pytest.MonkeyPatch, kind: object, name: str, error: Exception, times: int) -> None:
    """Let a function of a class or a module fail for the first times that it is called."""
    function: Callable[..., Any] = getattr(kind, name)
    left = [times]

    def call(*rest: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise error
        return function(*rest, **named)

    patch.setattr(kind, name, call)


@dataclass
class GatedEngine(FakeEngine):
    """An engine in memory whose builds wait while `gate` is closed."""

    gate: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once a build waits."""
    broken: OSError | None = None
    """What the machine under it says to a build."""

    def __post_init__(self) -> None:
        self.gate.set()

    def build(self, request: BuildRequest, report: Report) -> str:
        if self.broken:
            raise self.broken
        if not self.gate.is_set():
            self.waiting.set()
            assert self.gate.wait(PATIENCE)
        return super().build(request, report)


@dataclass
class Running:
    """A service, its client, and the repository and index that its builds are made of."""

    directory: Path
    engine: GatedEngine
    embedded: Embedded
    http: TestClient
    repository: Path

    def get(self, path: str, **rest: Any) -> Any:
        """The document at a path below /api/v1."""
        response = self.http.get(f"/api/v1{path}", **rest)
        assert response.status_code == 200, response.text
        return response.json()

    def post(self, path: str, document: object = None, status: int = 201) -> Any:
        response = self.http.post(f"/api/v1{path}", json=document) if document else self.http.post(f"/api/v1{path}")
        assert response.status_code == status, response.text
        return response.json()

    def create(self, **wanted: Any) -> Any:
        """A new environment of the repository."""
        return self.post("/environments", {"repository": str(self.repository), **wanted})

    def built(self, **wanted: Any) -> Any:
        """A new environment whose first build has succeeded."""
        environment = self.create(**wanted)
        build = self.ended(environment["build"]["id"])
        assert build["state"] == "succeeded", build
        return self.get(f"/environments/{environment['id']}")

    def rebuilt(self, environment: Mapping[str, Any], **asked: Any) -> Any:
        """A build that was asked for, once it has ended."""
        return self.ended(self.post(f"/environments/{environment['id']}/builds", asked)["id"])

    def under_way(self, environment: Mapping[str, Any]) -> Any:
        """A build that was asked for, once it waits for the gate, which is closed."""
        self.engine.gate.clear()
        self.engine.waiting.clear()
        build = self.post(f"/environments/{environment['id']}/builds", {"fresh": True})
        assert self.engine.waiting.wait(PATIENCE)
        return build

    def ended(self, build_id: str) -> Any:
        """A build, once its stream has ended."""
        self.events(build_id)
        return self.get(f"/builds/{build_id}")

    def events(self, build_id: str, after: int | None = None) -> list[tuple[int, str, str]]:
        """(id, event, data) of a build's stream, to its end."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        text = self.http.get(f"/api/v1/builds/{build_id}/events", headers=headers).text
        blocks = [block for block in text.split("\n\n") if block and not block.startswith(":")]
        fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
        return [(int(f["id"]), f["event"], f["data"]) for f in fields]

    def journal(self, build_id: str) -> bytes:
        """What is written of a build so far."""
        return b"".join(path.read_bytes() for path in self.directory.glob(f"**/builds/{build_id}.events"))

    def push(self, requirements: str) -> str:
        """Commit other requirements; the commit's id."""
        (self.repository / "requirements.txt").write_text(requirements)
        return commit(self.repository)

    def until(self, what: Callable[[], bool]) -> None:
        """Wait for something that no stream tells of."""
        deadline = time.monotonic() + PATIENCE
        pause = threading.Event()
        while not what():
            assert time.monotonic() < deadline
            pause.wait(0.02)


@contextmanager
def running(directory: Path, engine: GatedEngine | None = None) -> Iterator[Running]:
    """A service over a directory; over the same one again, it is the same service started anew."""
    engine = engine or GatedEngine(index={"six": "1.16.0", "numpy": "2.2.2"})
    repository = directory / "repository"
    if not repository.exists():
        write_repository(repository, {"requirements.txt": "six\n"})
    settings = replace(
        Settings(),
        cache_dir=str(directory / "cache"),
        state_dir=str(directory / "state"),
        allow_local=True,
        allowed_hosts=("git.example",),  # no test asks the network
    )
    with (
        embedded(settings, engine, FakeRunner(engine)) as made,
        TestClient(create_app(made), base_url="http://localhost") as http,
    ):
        yield Running(directory, engine, made, http, repository)


def address_of(made: Running) -> AbstractContextManager[str]:
    """The address of a service, for what asks over a socket."""
    return listening(create_app(made.embedded))


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """The address of an application, for what asks over a socket."""
    with listen("127.0.0.1", 0) as bound:
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE)


@contextmanager
def opened(address: str, sent: bytes = b"") -> Iterator[socket.socket]:
    """A connection to an address, over which something was sent."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as made:
        made.sendall(sent)
        yield made


def outlast(address: str) -> None:
    """Wait until a connection that was opened just now, and asks nothing, has been let go."""
    with opened(address) as idle:
        assert idle.recv(1) == b""
