"""Servers of a test's own, which containers and builds reach at the gateway of their network."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

Answer = tuple[int, str, bytes]
"""Status, content type, content."""


@dataclass
class Request:
    """What a server was asked."""

    method: str
    path: str
    headers: Message


@dataclass
class Server:
    """A running server, and every request it has had."""

    address: str
    """host:port"""
    requests: list[Request] = field(default_factory=list)


@contextmanager
def serving(host: str, answer: Callable[[Request], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Answer on a free port of an address for as long as the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, self.headers)
            server.requests.append(request)
            status, kind, content = answer(request)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_HEAD = do_POST = respond  # noqa: N815 - the names that http.server looks for

        def log_message(self, *arguments: object) -> None:
            return None

    with ThreadingHTTPServer((host, 0), Handler) as listening:
        if tls:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        server = Server(f"{host}:{listening.server_port}")
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()


def guarded(answer: Callable[[Request], Answer], user: str, password: str) -> Callable[[Request], Answer]:
    """The same, for those who know the password alone."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    refused = (401, "text/plain", b"who are you?")
    return lambda request: answer(request) if request.headers.get("Authorization") == wanted else refused


def package_index(packages: Mapping[str, bytes], *, metadata: bool = False) -> Callable[[Request], Answer]:
    """A simple index (PEP 503) of wheels by file name, with their metadata apart (PEP 658) where that is asked for."""

    def answer(request: Request) -> Answer:
        name = request.path.rstrip("/").rpartition("/")[2]
        if metadata and (whose := name.removesuffix(".metadata")) in packages and whose != name:
            return 200, "application/octet-stream", metadata_of(packages[whose])
        if name in packages:
            return 200, "application/octet-stream", packages[name]
        wheels = [wheel for wheel in packages if wheel.partition("-")[0] == name]
        if not wheels:
            return 404, "text/plain", b"no such package"
        known = ' data-core-metadata="true"' if metadata else ""
        links = (f'<a href="{w}#sha256={hashlib.sha256(packages[w]).hexdigest()}"{known}>{w}</a>' for w in wheels)
        return 200, "text/html", f"<!DOCTYPE html><html><body>{' '.join(links)}</body></html>".encode()

    return answer


def metadata_of(wheel: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))


def wheel(name: str, version: str = "1.0", requires: Iterable[str] = (), requires_python: str = "") -> bytes:
    """A wheel of one module that holds VERSION."""
    about = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    needs += f"Requires-Python: {requires_python}\n" if requires_python else ""
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{about}/RECORD"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return packed.getvalue()


def authority(directory: Path, host: str) -> tuple[Path, ssl.SSLContext]:
    """A certificate authority of the test's own: its certificate, and what a server at an IP address needs."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(directory, "req", "-x509", *key, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    _openssl(
        directory, "req", "-x509", *key, "-subj", "/CN=index", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-addext", f"subjectAltName=IP:{host}", "-addext", "basicConstraints=critical,CA:FALSE",
        "-keyout", "index.key", "-out", "index.pem",
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "index.pem", directory / "index.key")
    return directory / "ca.pem", context


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True, timeout=60)


@contextmanager
def git_daemon(host: str, directory: Path) -> Iterator[str]:
    """Serve the repositories below a directory; the address that they are below."""
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    git = shutil.which("git") or "git"
    command = [git, "daemon", "--export-all", "--reuseaddr", f"--base-path={directory}", f"--listen={host}"]
    with subprocess.Popen([*command, f"--port={port}", str(directory)], stderr=subprocess.DEVNULL) as daemon:
        try:
            _wait_for(host, port)
            yield f"git://{host}:{port}"
        finally:
            daemon.terminate()


def _wait_for(host: str, port: int) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens on {host}:{port}"
            time.sleep(0.02)
