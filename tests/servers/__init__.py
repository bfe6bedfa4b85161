"""Servers that the service works with, for real, in containers of locally made images: Postgres and a registry."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer

from builder.settings import load
from tests.containers import docker

BOUND = 60.0
"""Seconds in which a server has to answer."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server at host:port of this machine, which tests may stop, and start again at the same place."""

    container: DockerContainer
    address: str
    answers: Callable[[str], bool]

    def database(self) -> str:
        """The address of a new database, of a Postgres."""
        import psycopg

        place = f"postgresql://postgres@{self.address}"
        name = f"records_{uuid.uuid4().hex}"
        with psycopg.connect(f"{place}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{place}/{name}"

    def stop(self) -> None:
        self.container.get_wrapped_container().stop(timeout=5)

    def start(self) -> None:
        self.container.get_wrapped_container().start()
        self.wait()

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + BOUND
        pause = threading.Event()
        while not self.answers(self.address):
            assert time.monotonic() < deadline, docker("logs", self.container.get_wrapped_container().id)
            pause.wait(0.1)


@contextmanager
def postgres() -> Iterator[Server]:
    """An empty Postgres that trusts everybody."""
    with _server("postgres", 5432, _postgres_answers) as server:
        yield server


@contextmanager
def registry() -> Iterator[Server]:
    """An empty registry."""
    with _server("registry", 5000, _registry_answers) as server:
        yield server


@contextmanager
def _server(name: str, port: int, answers: Callable[[str], bool]) -> Iterator[Server]:
    image = f"launchyard-test/{name}"
    place = Path(__file__).with_name(name)
    docker("build", "--quiet", f"--build-arg=DEBIAN={load().bases.debian}", f"--tag={image}", str(place))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        container = DockerContainer(image)
        published = _free_port()
        container.ports[f"{port}/tcp"] = ("127.0.0.1", published)  # type: ignore[assignment]  # docker-py takes a pair
        with container:
            server = Server(container, f"127.0.0.1:{published}", answers)
            server.wait()
            yield server


def _free_port() -> int:
    """A port that is free now: one of the engine's choice would be another after a restart."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _postgres_answers(address: str) -> bool:
    import psycopg

    host, _, port = address.partition(":")
    try:
        psycopg.connect(host=host, port=port, user="postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _registry_answers(address: str) -> bool:
    import httpx2

    try:
        return httpx2.get(f"http://{address}/v2/", timeout=2).is_success
    except httpx2.TransportError:
        return False
