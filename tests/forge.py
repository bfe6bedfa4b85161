"""A git host on this machine, and others that misbehave."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Host(http.server.BaseHTTPRequestHandler):
    """A host that has nothing; it keeps the paths that it is asked for."""

    @property
    def root(self) -> Path:
        return self.server.root  # type: ignore[attr-defined,no-any-return]

    def answer(self) -> None:
        self.send(404, {})

    def asked(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.answer()

    do_GET = do_POST = asked  # noqa: N815

    def send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Backend(Host):
    """git http-backend, as a forge runs it; the root it serves is the server's attribute."""

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        environ = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }  # fmt: skip
        said = subprocess.run(["git", "http-backend"], input=body, env=environ, capture_output=True).stdout
        head, _, content = said.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send(int(headers.pop("Status", "200").split()[0]), headers, content)


class Server(http.server.ThreadingHTTPServer):
    """A host that runs; `asked` holds the paths of its requests."""

    daemon_threads = True
    root: Path
    asked: list[str]

    @property
    def address(self) -> str:
        return f"http://{self.server_address[0]!s}:{self.server_port}"


@contextmanager
def hosting(kind: type[Host], root: Path, address: str = "127.0.0.1") -> Iterator[Server]:
    """A host of a kind while the block runs."""
    server = Server((address, 0), kind)
    server.root, server.asked = root, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def serving(kind: type[Host], root: Path, address: str = "127.0.0.1") -> Iterator[str]:
    """The address of a host of a kind while the block runs."""
    with hosting(kind, root, address) as server:
        yield server.address
