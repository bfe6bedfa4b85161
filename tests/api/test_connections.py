"""What a connection may ask of the service before it is let go."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from builder.api import connections
from builder.api.connections import MAX_HEAD
from builder.previews import Previews
from tests.service import PATIENCE, Running, address_of, listening, opened, outlast

pytestmark = pytest.mark.service

HEAD = b"%s HTTP/1.1\r\nHost: localhost\r\n"
READY = HEAD % b"GET /healthz" + b"\r\n"
PLAN = HEAD % b"POST /api/v1/plans" + b"Content-Type: application/json\r\n"


@pytest.fixture
def address(service: Running) -> Iterator[str]:
    with address_of(service) as made:
        yield made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.2)


def until_closed(client: socket.socket) -> bytes:
    """All that still comes, once the service has closed the connection."""
    received = b""
    with suppress(ConnectionResetError):  # which it may say to who still sends
        while part := client.recv(65_536):
            received += part
    return received


def until_refused(client: socket.socket, piece: bytes) -> bytes:
    """All that comes, once a piece has been sent again and again."""
    for _ in range(10_000):
        if select.select([client], [], [], 0)[0]:
            break
        with suppress(ConnectionError):
            client.sendall(piece)
    return until_closed(client)


def problem_in(answer: bytes) -> tuple[int, str, str]:
    """(status, content type, code) of the one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().splitlines()
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert headers["connection"] == "close" and len(body) == int(headers["content-length"])
    document = json.loads(body)
    assert document["status"] == int(first.split()[1])
    return document["status"], headers["content-type"], document["code"]


def refused_with(status: int) -> tuple[int, str, str]:
    return status, "application/problem+json", "request-invalid"


@pytest.mark.parametrize("begun", [b"GET /", READY[:-2] + b"X-Endless: "], ids=["address", "header"])
@pytest.mark.parametrize("before", [b"", READY], ids=["first", "after another request"])
def test_a_head_without_end_is_refused_before_it_ends(address: str, before: bytes, begun: bytes) -> None:
    with opened(address, before) as client:
        if before:
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(begun)
        assert problem_in(until_refused(client, b"x" * 10_000)) == refused_with(431)
    assert httpx2.get(f"{address}/healthz").status_code == 200


def test_headers_without_end_are_refused(address: str) -> None:
    with opened(address, READY[:-2]) as client:
        assert problem_in(until_refused(client, b"X: y\r\n" * 1_000)) == refused_with(431)


@pytest.mark.parametrize("where", ["address", "header", "headers"])
@pytest.mark.parametrize(("size", "status"), [(MAX_HEAD - 1_000, 200), (MAX_HEAD + 1, 431)])
def test_a_head_that_comes_at_once_is_answered_up_to_a_limit(address: str, where: str, size: int, status: int) -> None:
    head = {
        "address": HEAD % (b"GET /healthz?" + b"x" * size) + b"Connection: close\r\n\r\n",
        "header": READY[:-2] + b"Connection: close\r\nX: " + b"x" * size + b"\r\n\r\n",
        "headers": READY[:-2] + b"Connection: close\r\n" + b"Name: value\r\n" * (size // 9) + b"\r\n",
    }[where]
    with opened(address, head) as client:
        answer = until_closed(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert status == 200 or problem_in(answer) == refused_with(431)


def test_requests_one_behind_another_are_answered_however_much_they_are_together(address: str) -> None:
    large = READY[:-2] + b"X: " + b"x" * 60_000 + b"\r\n\r\n"
    body = b" " * 900_000 + b"[]"
    posted = PLAN + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = READY[:-2] + b"Connection: close\r\n\r\n"
    with opened(address) as client:
        sending = threading.Thread(target=client.sendall, args=(large * 5 + posted + large * 5 + last,))
        sending.start()
        answers = until_closed(client)
        sending.join(PATIENCE)
    statuses = [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200"] * 5 + [b"422"] + [b"200"] * 6


def test_a_head_without_end_behind_a_request_is_not_refused_in_its_place() -> None:
    ready = threading.Event()
    with listening(reads_once(ready)) as address, opened(address, READY + READY[:-2] + b"X-Endless: ") as client:
        assert until_refused(client, b"x" * 10_000) == b""
        ready.set()


@pytest.mark.usefixtures("impatient")
def test_a_client_that_leaves_amid_its_request_is_forgotten(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with opened(address, READY[:-2]):
        pass
    outlast(address)
    assert not caplog.records


def test_what_is_no_request_at_all_is_answered_once(address: str) -> None:
    with opened(address, b"\0" * 200_000) as client:
        assert until_closed(client).count(b"HTTP/1.1 ") == 1


def test_what_follows_a_body_without_end_is_let_go(address: str) -> None:
    with opened(address, PLAN + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Endless: ") as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 411 ")
        assert until_refused(client, b"x" * 10_000) == b""


@pytest.mark.parametrize(
    "begun",
    [b"G", READY[:-2], PLAN + b"Content-Length: 10\r\n\r\n", PLAN + b"Content-Length: 10\r\n\r\n{"],
    ids=["first letter", "head", "no body", "half a body"],
)
@pytest.mark.usefixtures("impatient")
def test_a_request_that_never_ends_is_refused_in_time(
    address: str, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(address, begun) as client:
        assert problem_in(until_closed(client)) == refused_with(408)
    assert not caplog.records


@pytest.mark.usefixtures("impatient")
def test_a_head_that_comes_letter_by_letter_is_refused_in_time(address: str) -> None:
    with opened(address, READY[:-2]) as client:
        for _ in range(MAX_HEAD // 2):
            if select.select([client], [], [], 0.02)[0]:
                break
            client.sendall(b"x")
        assert problem_in(until_closed(client)) == refused_with(408)


@pytest.mark.parametrize("sent", [b"", b"\r\n", READY + b"\r\n"], ids=["nothing", "empty line", "after an answer"])
@pytest.mark.usefixtures("impatient")
def test_a_connection_that_asks_nothing_is_closed_without_a_word(address: str, sent: bytes) -> None:
    with opened(address, sent) as client:
        assert until_closed(client).count(b"HTTP/1.1 ") == (1 if READY in sent else 0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Previews take until it is set."""
    event = threading.Event()

    def slow(previews: Previews, request: object) -> dict[str, Any]:
        assert event.wait(PATIENCE)
        return {}

    monkeypatch.setattr(Previews, "of", slow)
    return event


@pytest.mark.usefixtures("impatient")
def test_an_answer_takes_as_long_as_it_takes(address: str, made: threading.Event) -> None:
    body = b'{"repository": "https://git.example/slow"}'
    with opened(address, PLAN + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as client:
        outlast(address)
        made.set()
        assert until_closed(client).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("impatient")
def test_half_a_request_behind_a_slow_one_is_waited_for_when_its_turn_comes(
    address: str, made: threading.Event
) -> None:
    body = b'{"repository": "https://git.example/slow"}'
    posted = PLAN + b"Content-Length: %d\r\n\r\n" % len(body)
    with opened(address, posted + body + posted + body[:5]) as client:
        outlast(address)
        made.set()
        assert [answer[:3] for answer in until_closed(client).split(b"HTTP/1.1 ")[1:]] == [b"200", b"408"]


def test_a_body_that_comes_slowly_is_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE", 0.5)
    with opened(address, PLAN + b"Connection: close\r\nContent-Length: 32\r\n\r\n") as client:
        for _ in range(32):
            assert not select.select([client], [], [], 0.05)[0]
            client.sendall(b" ")
        assert until_closed(client).startswith(b"HTTP/1.1 422 ")


@pytest.mark.usefixtures("impatient")
def test_a_body_is_not_waited_for_before_it_is_asked_for() -> None:
    ready = threading.Event()
    asked = PLAN + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n"
    with listening(reads_once(ready)) as address, opened(address, asked) as client:
        outlast(address)
        ready.set()
        assert client.recv(65_536).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"body")
        assert client.recv(65_536).endswith(b"4")


@pytest.mark.usefixtures("impatient")
def test_a_body_is_not_waited_for_while_no_room_is_left_for_it() -> None:
    ready = threading.Event()
    asked = PLAN + b"Content-Length: 300000\r\n\r\n" + b"x" * 200_000
    with listening(reads_once(ready)) as address, opened(address, asked) as client:
        outlast(address)
        ready.set()
        client.sendall(b"x" * 100_000)
        assert client.recv(65_536).endswith(b"300000")


def reads_once(ready: threading.Event) -> ASGIApp:
    """An application that reads a body once it is ready to, and answers its length in bytes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await asyncio.to_thread(ready.wait, PATIENCE)
        await Response(str(len(await Request(scope, receive).body())))(scope, receive, send)

    return app


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_began_before_the_body_ended_goes_on() -> None:
    ready = threading.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        await asyncio.to_thread(ready.wait, PATIENCE)
        yield b"last"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await StreamingResponse(parts())(scope, receive, send)

    asked = PLAN + b"Connection: close\r\nContent-Length: 4\r\n\r\n"
    with listening(app) as address, opened(address, asked) as client:
        outlast(address)
        ready.set()
        assert until_closed(client).endswith(b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n")


@pytest.mark.usefixtures("impatient")
def test_an_event_stream_stays_open(address: str, service: Running) -> None:
    environment = service.built(name="streams")
    service.engine.gate.clear()
    build = service.post(f"/environments/{environment['id']}/builds", {"fresh": True})
    with opened(address, HEAD % b"GET /api/v1/builds/%s/events" % build["id"].encode() + b"\r\n") as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 ")
        outlast(address)
        service.engine.gate.set()
        assert b"succeeded" in until_closed(client)
