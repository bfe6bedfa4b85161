"""A build's journal as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from builder.failures.served import RecordAbsent
from builder.service import BuildError, Service

LOOK = 0.25
"""Seconds between two looks at a journal that grows."""

SURE = 5.0
"""Seconds of quiet after which it is asked whether the build has ended elsewhere."""

ALIVE = 15.0
"""Seconds of quiet after which a comment keeps what is in between from closing the connection."""


async def stream(service: Service, build_id: str, after: int) -> AsyncIterator[str]:
    """The events behind one, until the build's end."""
    quiet = 0.0
    while True:
        found = service.events(build_id, after) if service.has_more_events(build_id, after) else ()
        for event in found:
            yield f"id: {event.id}\nevent: {event.type}\ndata: {json.dumps(event.content)}\n\n"
            after = event.id
            if event.type == "end":
                return
        if found:
            quiet = 0.0
            continue
        if quiet % SURE == 0 and await asyncio.to_thread(_is_over, service, build_id, after):
            return
        quiet += LOOK
        if quiet % ALIVE == 0:
            yield ": still here\n\n"
        await asyncio.sleep(LOOK)


def _is_over(service: Service, build_id: str, after: int) -> bool:
    try:
        return service.has_ended(build_id) and not service.has_more_events(build_id, after)
    except BuildError as error:
        if isinstance(error.failure, RecordAbsent):  # deleted with its environment
            return True
        raise
