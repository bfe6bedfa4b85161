"""A Runner in threads of this process, for engines in memory. The contract test holds it to the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from builder.perform import Emit, Order, perform
from builder.records import Outcome
from builder.service import Builder, Engine


class FakeRunner:
    """Runs builds against an engine. One that is stopped is left behind, and says nothing more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, order: Order, emit: Emit, stop: asyncio.Event) -> Outcome:
        def emit_until_stopped(type: str, content: Mapping[str, Any]) -> None:
            if stop.is_set():
                raise _Stopped
            emit(type, content)

        builder = Builder(order.settings, self._engine, allow_local=order.allow_local)
        work = asyncio.create_task(asyncio.to_thread(perform, builder, order, emit_until_stopped))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            work.add_done_callback(lambda task: task.exception())
            return Outcome()
        stopping.cancel()
        return await work


class _Stopped(Exception):
    """The build that a thread works on was stopped."""
