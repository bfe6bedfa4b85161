"""What is turned away before any route sees it.

A service without passwords on the loopback interface is still in reach of every page in the browser of
the same machine: by a name that resolves to it, and by forms. So it answers to its own names only, and
lets no other site's page change anything. One that listens on every address answers to addresses as well,
which nobody can make resolve to something else; to a name only where the settings have it.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from builder.api.problems import problem
from builder.failures.served import HostForeign, RequestInvalid

EVERYWHERE = frozenset({"0.0.0.0", "::"})
"""What stands for every address of a machine where one is listened on."""

MAX_BODY = 1_000_000
"""Bytes of a request."""


class Guard:
    """Checks host, origin and size of a request."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not is_ours(host, self._hosts):
            await problem(HostForeign(f"Host: {host[:200]}"))(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS") and from_elsewhere(headers, host):
            await problem(HostForeign(f"Origin: {headers.get('origin', 'unknown')[:200]}"))(scope, receive, send)
        elif "transfer-encoding" in headers:
            await problem(RequestInvalid((("Content-Length", "needed"),)), 411)(scope, receive, send)
        elif int(headers.get("content-length") or 0) > MAX_BODY:
            await problem(RequestInvalid((("Content-Length", f"{MAX_BODY:,} at most"),)), 413)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def is_ours(host: str, hosts: frozenset[str]) -> bool:
    """Whether a Host header is one of the names that the service answers to."""
    name = _parts(f"//{host}").hostname
    return "*" in hosts or name in hosts or bool(hosts & EVERYWHERE and name and _is_address(name))


def from_elsewhere(headers: Headers, host: str) -> bool:
    """Whether a request comes from another site's page."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    origin = headers.get("origin")
    return origin is not None and _parts(origin).netloc.lower() != host.lower()


def _parts(address: str) -> SplitResult:
    """All empty where it is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
