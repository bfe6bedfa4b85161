"""A build's journal as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from builder.database import AWAY
from builder.failures.served import RecordAbsent
from builder.journal import Event
from builder.service import BuildError, Service

LOOK = 0.25
"""Seconds between two looks at a journal that grows."""

SURE = 5.0
"""Seconds of quiet after which it is asked whether the build has ended elsewhere; a reader waits as long for that."""

WRITTEN = 2.0
"""Seconds in which the end of a build, which is recorded first, is written to its journal."""

ALIVE = 15.0
"""Seconds of quiet after which a comment keeps what is in between from closing the connection."""

CHUNKS = 32
"""Pieces of journals that are kept for the next reader at the same place, of some 300 kB at the most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events as they are sent."""

    text: bytes
    last: int
    """The id of the last one."""
    is_end: bool


class Streams:
    """Journals as readers follow them: each is looked at, read and rendered once for all who are at one place."""

    def __init__(self, service: Service, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._clock = clock
        self._sizes: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._chunks: OrderedDict[tuple[str, int, int], Chunk | None] = OrderedDict()

    async def of(self, build_id: str, after: int) -> AsyncIterator[bytes]:
        """The events of a build behind one, until its end."""
        quiet = 0.0
        while True:
            if chunk := self._behind(build_id, after):
                yield chunk.text
                if chunk.is_end:
                    return
                after, quiet = chunk.last, LOOK  # what has just grown has not ended
                continue
            if quiet % SURE == 0 and await self._is_over(build_id, after):
                if not await self._says_more(build_id, after):
                    return
                continue
            quiet += LOOK
            if quiet % ALIVE == 0:
                yield b": still here\n\n"
            await asyncio.sleep(LOOK)

    def _behind(self, build_id: str, after: int) -> Chunk | None:
        size = self._size(build_id)
        if size <= after:
            return None
        place = (build_id, after, size)
        if place not in self._chunks:
            _keep(self._chunks, place, _rendered(self._service.events(build_id, after)))
        return self._chunks[place]

    def _size(self, build_id: str) -> int:
        """As it was less than a look ago, so that readers who look at different times still read the same pieces."""
        size, until = self._sizes.get(build_id, (0, 0.0))
        if until <= self._clock():
            size = self._service.journal_size(build_id)
            _keep(self._sizes, build_id, (size, self._clock() + LOOK))
        return size

    async def _is_over(self, build_id: str, after: int) -> bool:
        asked = self._asked.get(build_id)
        if asked is None or (asked.answer.done() and asked.until <= self._clock()):
            answer = asyncio.create_task(asyncio.to_thread(has_ended, self._service, build_id))
            asked = _Asked(answer, self._clock() + LOOK)
            _keep(self._asked, build_id, asked)
        # A reader that leaves takes the answer from nobody, and a database that hangs keeps none from a sign of life.
        await asyncio.wait({asked.answer}, timeout=SURE)
        return asked.answer.done() and asked.answer.result() and self._service.journal_size(build_id) <= after

    async def _says_more(self, build_id: str, after: int) -> bool:
        for _ in range(round(WRITTEN / LOOK)):
            await asyncio.sleep(LOOK)
            if self._size(build_id) > after:
                return True
        return False


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whether a build has ended, as it is being asked, and until when others may have the same answer."""

    answer: asyncio.Task[bool]
    until: float


def _keep(memory: OrderedDict[Any, Any], key: object, value: object) -> None:
    memory[key] = value
    if len(memory) > CHUNKS:
        memory.popitem(last=False)


def _rendered(events: tuple[Event, ...]) -> Chunk | None:
    if not events:
        return None
    text = "".join(f"id: {event.id}\nevent: {event.type}\ndata: {json.dumps(event.content)}\n\n" for event in events)
    return Chunk(text.encode(), events[-1].id, events[-1].type == "end")


def has_ended(service: Service, build_id: str) -> bool:
    """Whether a build has ended or is gone, as far as is known: while the database is away, it has not."""
    try:
        return service.has_ended(build_id)
    except AWAY:
        return False
    except BuildError as error:
        if isinstance(error.failure, RecordAbsent):  # deleted with its environment
            return True
        raise
