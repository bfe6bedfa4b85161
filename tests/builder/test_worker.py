"""A build's own process, when it or its machine misbehaves."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc

from builder.worker import _follow


def test_a_process_that_says_very_much_on_standard_error_takes_no_memory() -> None:
    said = "import sys; sys.stderr.write('again\\n' * 5_000_000 + 'the last words\\n'); sys.exit(3)"

    async def follow() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", said, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        outcome = await _follow(process, lambda type, content: None)
        assert outcome.explanation
        return str(outcome.explanation["seen"])

    tracemalloc.start()
    seen = asyncio.run(follow())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "exit code 3" in seen and "the last words" in seen
    assert peak < 5_000_000
