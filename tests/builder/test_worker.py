"""A build's own process, when it or its machine misbehaves."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builder.perform import Order
from builder.service import Request, Settings, Wish
from builder.worker import ProcessRunner, _follow, _tidying
from tests.service import PATIENCE


@contextmanager
def no_more_files() -> Iterator[None]:
    """A process that has as many files open as it may."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(os.devnull) as lowest:
        free = lowest.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def order(tmp_path: Path) -> Order:
    settings = replace(Settings(), cache_dir=str(tmp_path / "cache"), state_dir=str(tmp_path / "state"))
    return Order(Request(str(tmp_path / "repository"), frontend="none"), Wish(), settings, True)


def ignore(type: str, content: Mapping[str, Any]) -> None:
    pass


def test_a_process_that_cannot_be_started_leaves_no_directory(tmp_path: Path) -> None:
    async def run() -> None:
        with no_more_files(), pytest.raises(OSError, match="Too many open files"):
            await ProcessRunner().run(order(tmp_path), ignore, asyncio.Event())

    asyncio.run(run())
    scratch = tmp_path / "state" / "service" / "scratch" / "embedded"
    assert scratch.is_dir() and list(scratch.iterdir()) == []


TALKS_ON = """
import json, os, pathlib, sys
if "builder.perform" in sys.orig_argv:
    def say(text):
        print(json.dumps({"type": "log", "content": {"step": "env", "text": text}}), flush=True)
    say("begun")
    while os.read(0, 65_536):
        pass
    for number in range(2_000):
        say("x" * 1_000)
    pathlib.Path(os.environ["TALKED_ON"]).touch()
    os._exit(0)
"""
"""A sitecustomize by which a build's process tidies up, and prints far more than a pipe holds, once it is stopped."""


@pytest.mark.parametrize("ending", ["stopped", "cancelled"])
def test_a_process_that_talks_on_after_its_end_is_read_to_the_last_and_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(TALKS_ON)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TALKED_ON", str(tmp_path / "talked-on"))
    told: list[str] = []

    async def run() -> None:
        begun, stop = asyncio.Event(), asyncio.Event()

        def emit(type: str, content: Mapping[str, Any]) -> None:
            told.append(content["text"])
            begun.set()

        running = asyncio.create_task(ProcessRunner().run(order(tmp_path), emit, stop))
        await asyncio.wait_for(begun.wait(), PATIENCE)
        if ending == "stopped":
            stop.set()
        else:
            running.cancel()
        await asyncio.wait({running})
        await asyncio.wait_for(asyncio.gather(*_tidying), PATIENCE)

    asyncio.run(run())
    assert told == ["begun"] and (tmp_path / "talked-on").exists()


def test_a_process_that_says_very_much_on_standard_error_takes_no_memory() -> None:
    said = "import sys; sys.stderr.write('again\\n' * 5_000_000 + 'the last words\\n'); sys.exit(3)"

    async def follow() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", said, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        outcome = await _follow(process, ignore)
        assert outcome.explanation
        return str(outcome.explanation["seen"])

    tracemalloc.start()
    seen = asyncio.run(follow())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "exit code 3" in seen and "the last words" in seen
    assert peak < 5_000_000
