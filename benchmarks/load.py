"""Load for the build service over plain sockets: requests that are due at fixed times, and readers of a stream.

It has to be cheaper than what it measures, so a request is bytes that were made before, and of an answer
only the status and the length are looked at.
"""

from __future__ import annotations

import asyncio
import bisect
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

PATIENCE = 20.0
"""Seconds after which a request counts as not answered."""

CONNECTIONS = 200
"""Open at once for requests; more have to wait, which counts as the service's delay."""

BACKLOG = 50
"""Readers that connect at once."""

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request, and the kind under which its time is counted."""

    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request. Seconds."""

    kind: str
    status: int
    """0 for none."""
    due: float
    """Of time.perf_counter."""
    delay: float
    """From when it was due to the end of its answer."""
    lag: float
    """From when it was due to when the load's own loop came to it."""


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def ask(kind: str, method: str, path: str, body: bytes = b"") -> Ask:
    """A request of the service on this machine."""
    head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return Ask(kind, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def send(port: int, asks: Sequence[Ask], rate: float) -> list[Answer]:
    """Send `rate` requests a second, whether or not those before are answered."""
    idle: list[Connection] = []
    room = asyncio.Semaphore(CONNECTIONS)
    under_way = []
    began = time.perf_counter()
    for number, one in enumerate(asks):
        due = began + number / rate
        await asyncio.sleep(due - time.perf_counter())
        lag = time.perf_counter() - due
        under_way.append(asyncio.create_task(_send(port, one, due, lag, idle, room)))
    answers = await asyncio.gather(*under_way)
    for _, writer in idle:
        writer.close()
    return answers


async def _send(port: int, one: Ask, due: float, lag: float, idle: list[Connection], room: asyncio.Semaphore) -> Answer:
    try:
        async with asyncio.timeout(PATIENCE), room:
            reader, writer = _still_open(idle) or await asyncio.open_connection("127.0.0.1", port)
            writer.write(one.content)
            head = await reader.readuntil(b"\r\n\r\n")
            found = LENGTH.search(head)
            await reader.readexactly(int(found[1]) if found else 0)
            idle.append((reader, writer))
            status = int(head[9:12])
    except (TimeoutError, OSError, EOFError):
        status = 0
    return Answer(one.kind, status, due, time.perf_counter() - due, lag)


def _still_open(idle: list[Connection]) -> Connection | None:
    """One that the service has not closed for being idle."""
    while idle:
        reader, writer = idle.pop()
        if not reader.at_eof():
            return reader, writer
        writer.close()
    return None


@dataclass
class Reader(asyncio.Protocol):
    """Keeps what a stream sends, and when it came; it is looked into when all is over."""

    request: bytes
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    times: list[float] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.times.append(time.time())
        self.pieces.append(data)
        self.opened.set()

    def found(self, pattern: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], float]]:
        """Every match in what was sent, and the time at which it was there as a whole, in seconds of the epoch."""
        ends = list(accumulate(map(len, self.pieces)))
        for match in pattern.finditer(b"".join(self.pieces)):
            yield match, self.times[bisect.bisect_left(ends, match.end())]


async def follow(port: int, path: str, count: int, seconds: float) -> tuple[float, list[Reader]]:
    """`count` readers of one stream; the time at which all of them read, and what they read in `seconds` from then."""
    request = ask("", "GET", path).content
    loop = asyncio.get_running_loop()
    readers: list[Reader] = []
    for start in range(0, count, BACKLOG):
        some = [Reader(request) for _ in range(min(BACKLOG, count - start))]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(
                *(loop.create_connection(lambda reader=reader: reader, "127.0.0.1", port) for reader in some)
            )
            await asyncio.gather(*(reader.opened.wait() for reader in some))
        readers += some
    complete = time.time()
    await asyncio.sleep(seconds)
    for reader in readers:
        assert reader.transport
        reader.transport.close()
    return complete, readers
