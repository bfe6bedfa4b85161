"""What goes wrong around a build: git hosts, an index and an engine as they fail, for real and when a test says so."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests import forge
from tests.conftest import git
from tests.images.serving import authority, serving

ENGINE = "/var/run/docker.sock"
"""Where the docker command finds its engine when DOCKER_HOST does not say."""


@contextmanager
def git_host(about: Mapping[str, Any], root: Path) -> Iterator[str]:
    """The address of a host that answers every request with a status and a page, or serves the repositories in `root`.

    {"status": 401}, {"status": 200, "page": "<html>"}, or {"git": ["main", "v1.0"]}: the refs that they have.
    """
    if "git" not in about:
        page = about.get("page", "").encode()
        with serving("127.0.0.1", lambda request: (about["status"], "text/html", page)) as server:
            yield f"http://{server.address}"
        return
    for repository in root.glob("*/.git"):
        for ref in about["git"]:
            git(repository.parent, "branch", "--force", ref) if ref != "main" else None
    with forge.serving(forge.Backend, root) as address:
        yield address


@contextmanager
def untrusted(gateway: str, scratch: Path) -> Iterator[str]:
    """host:port of a server with a certificate of an authority that nobody knows."""
    directory = scratch / "authority"
    directory.mkdir()
    _, tls = authority(directory, gateway)
    with serving(gateway, lambda request: (404, "text/plain", b""), tls) as server:
        yield server.address


@contextmanager
def engine_gone(when: str, scratch: Path) -> Iterator[str]:
    """The engine, for the docker command, through a socket of the test's own that closes: "before" anything
    is asked, or once `when` is in what the engine says. Gives the socket's path."""
    path = str(scratch / "engine.sock")
    with ExitStack() as open_:
        if when != "before":
            open_.enter_context(proxied(path, when.encode()))
        open_.enter_context(patch.dict(os.environ, DOCKER_HOST=f"unix://{path}"))
        yield path


@contextmanager
def proxied(path: str, mark: bytes) -> Iterator[None]:
    """The engine, through a socket at a path, until `mark` is in what it says or the block ends."""
    engine = os.environ.get("DOCKER_HOST", f"unix://{ENGINE}").removeprefix("unix://")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    ends: list[socket.socket] = [listening]

    def close() -> None:
        Path(path).unlink(missing_ok=True)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def copy(source: socket.socket, target: socket.socket, watched: bool) -> None:
        tail = b""
        with suppress(OSError):
            while part := source.recv(65_536):
                tail = tail[-len(mark) :] + part
                if watched and mark in tail:
                    close()
                    return
                target.sendall(part)
            target.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                behind = socket.socket(socket.AF_UNIX)
                behind.connect(engine)
                ends.extend((client, behind))
                for pair in ((client, behind, False), (behind, client, True)):
                    threading.Thread(target=copy, args=pair, daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        close()
        thread.join(10)
        for end in ends:
            end.close()
