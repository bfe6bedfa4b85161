"""What of a request is waited for, and how much of it is held: uvicorn's connection bounds neither.

An answer takes as long as it takes, and so does a websocket once it is open.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from builder.api.problems import problem
from builder.failures.served import RequestInvalid

MAX_HEAD = 65_536
"""Bytes of a request before its body, and of what may follow a body in chunks: RFC 9112, 2.1 and 7.1.2."""

PATIENCE = 20.0
"""Seconds, and twice that at most, in which all of a head has to come, and then the next piece of a body."""


class Connection(HttpToolsProtocol):
    """A client's connection, over which requests come one after another."""

    _loose = 0
    """Bytes that came since the last part was whole: a head, or a piece of a body."""
    _parts = 0
    """How many parts came."""
    _parts_before: int | None = None
    """How many had come at the last look; None where no more of them were waited for."""
    _next_look: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._next_look = self.loop.call_later(PATIENCE, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        self._next_look.cancel()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        self._loose += len(data)
        super().data_received(data)
        if self._loose > MAX_HEAD:
            self._refuse(_head_too_long())

    def on_headers_complete(self) -> None:
        # All of it may have come at once, and with more.
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > MAX_HEAD:
            self.app = cast(Any, _head_too_long())
            self.url = b"/"  # httptools takes none of more than 65,535 bytes
        super().on_headers_complete()
        self._part()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._part()

    def _part(self) -> None:
        self._loose = 0
        self._parts += 1

    def _look(self) -> None:
        """Let go of a client that was to send something at the last look, and has not."""
        parts = self._parts if self._is_clients_turn() else None
        if parts is not None and parts == self._parts_before:
            self._refuse(_refusal("request", f"no more of it came for {PATIENCE:g} s", 408))
            return
        self._parts_before = parts
        self._next_look = self.loop.call_later(PATIENCE, self._look)

    def _is_clients_turn(self) -> bool:
        """Whether nothing goes on before more comes."""
        if self.pipeline or self.flow.read_paused:
            return False
        asked = self.cycle
        if asked is None or asked.response_complete:
            return True
        return asked.more_body and not asked.response_started and not asked.waiting_for_100_continue

    def _is_asked(self) -> bool:
        """Whether a request, or the beginning of one, has no answer yet."""
        answered = self.cycle.scope if self.cycle and self.cycle.response_complete else None
        return self.scope is not answered

    def _refuse(self, refusal: Response) -> None:
        """Close the connection; with an answer, where it is one to what was asked."""
        if self._is_asked() and self._is_clients_turn():
            headers = [*self.server_state.default_headers, *refusal.raw_headers]
            lines = b"".join(b"%s: %s\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[refusal.status_code] + lines + b"\r\n" + bytes(refusal.body))
        self.transport.close()


def _head_too_long() -> Response:
    return _refusal("head", f"{MAX_HEAD:,} bytes at most", 431)  # RFC 6585, 5


def _refusal(place: str, why: str, status: int) -> Response:
    refusal = problem(RequestInvalid(((place, why),)), status)
    refusal.headers["Connection"] = "close"
    return refusal
