"""How the service runs a build: in a process of its own, whose program is builder/perform.py.

A process, because everything in a build can then be ended: git, a lock that is waited for, the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from builder.failures import explain
from builder.failures.served import BuilderLost
from builder.perform import Emit, Order, outcome_from_json
from builder.records import Outcome
from builder.scratch import clear, clear_killed, new_scratch

GRACE = 15.0
"""Seconds that a build which was stopped has for tidying up, before it is killed."""

PROMPT = 2.0
"""Seconds after which it counts as stopped, though it still tidies up."""

KEPT_ERRORS = 20_000
"""Bytes that are kept of what it says on standard error."""

MAX_LINE = 64_000_000
"""Bytes of one event: an image's packages come in one."""


class Runner(Protocol):
    """Runs one build."""

    async def run(self, order: Order, emit: Emit, stop: asyncio.Event) -> Outcome:
        """What came of a build, which emits "plan", "step" and "log" on its way; nothing once `stop` is set."""
        ...


NICE = 10
"""How far a build's process stands back, by setpriority(2), from who asks the service something and waits."""


class ProcessRunner:
    """Runs each build in a process of its own, on Docker and BuildKit."""

    async def run(self, order: Order, emit: Emit, stop: asyncio.Event) -> Outcome:
        scratch = new_scratch(order.settings.state_dir, order.worker)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "builder.perform", limit=MAX_LINE, start_new_session=True,
                env={**os.environ, "TMPDIR": str(scratch)},
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError:
            scratch.rmdir()
            raise
        assert process.stdin and process.stderr
        _stand_back(process.pid)
        process.stdin.write(pickle.dumps(order))
        asking = True

        def emit_while_asked(type: str, content: Mapping[str, Any]) -> None:
            # What is stopped is read on, so that it can end; its journal may be closed by then.
            if asking and not stop.is_set():
                emit(type, content)

        following = asyncio.create_task(_follow(process, emit_while_asked))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return following.result() if following.done() else Outcome()
        finally:
            asking = False
            stopping.cancel()
            await _end(process, following, scratch)


def _stand_back(process_id: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.setpriority(os.PRIO_PROCESS, process_id, NICE)
    # Where Linux shares the processor between sessions, that counts within one alone: see sched(7), autogroup.
    with contextlib.suppress(OSError):
        Path(f"/proc/{process_id}/autogroup").write_text(str(NICE))


async def _follow(process: asyncio.subprocess.Process, emit: Emit) -> Outcome:
    assert process.stdout and process.stderr
    errors = asyncio.create_task(_end_of(process.stderr))
    async for line in process.stdout:
        event = json.loads(line)
        if event["type"] == "outcome":
            return outcome_from_json(event["content"])
        emit(event["type"], event["content"])
    said = (await errors).decode(errors="replace").strip().splitlines()
    code = await process.wait()
    detail = f"Its process was ended by signal {-code}" if code < 0 else f"Its process ended with exit code {code}"
    return Outcome(explanation=explain(BuilderLost("\n".join((detail, *said[-5:])))).to_json())


async def _end_of(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while part := await stream.read(KEPT_ERRORS):
        kept = (kept + part)[-KEPT_ERRORS:]
    return kept


async def _end(process: asyncio.subprocess.Process, following: asyncio.Task[Outcome], scratch: Path) -> None:
    assert process.stdin
    process.stdin.close()
    tidied = asyncio.create_task(_tidied(process, following, scratch))
    _tidying.add(tidied)
    tidied.add_done_callback(_tidying.discard)
    await asyncio.wait({tidied}, timeout=PROMPT)


_tidying: set[asyncio.Task[None]] = set()
"""Held, for the event loop holds its tasks weakly."""


async def _tidied(process: asyncio.subprocess.Process, following: asyncio.Task[Outcome], scratch: Path) -> None:
    try:
        await asyncio.wait_for(process.wait(), GRACE)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    following.cancel()
    await asyncio.to_thread(clear_killed if process.returncode else clear, scratch)
