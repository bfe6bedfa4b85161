"""Run commands: what they say is shown, and the last of it kept for asking why one failed."""

import os
import subprocess
import sys

SAID = bytearray()
KEPT = 200_000
"""Bytes of what commands say that are kept."""


def run(*command: str, output: bool = True, hold: bytearray | None = None, **environ: str) -> int:
    """The exit code of a command. What it says is shown and kept, or held."""
    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe:
        process = subprocess.Popen(
            command, env={**os.environ, **environ}, stdout=writing if output else subprocess.DEVNULL, stderr=writing
        )
        os.close(writing)
        while part := pipe.read(65_536):
            if hold is None:
                say(part)
            else:
                hold[:] = (hold + part)[-KEPT:]
    return process.wait()


def say(part: bytes) -> None:
    sys.stderr.buffer.write(part)
    sys.stderr.buffer.flush()
    SAID[:] = (SAID + part)[-KEPT:]


def said() -> str:
    return SAID.decode(errors="replace")
