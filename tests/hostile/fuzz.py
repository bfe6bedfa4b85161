"""`python -m tests.hostile.fuzz SECONDS`: look for input that no parser was thought to get.

Each parser is given its turn in a process of its own, so that what hangs it, or eats all memory, ends
the turn and not the search. What is found is kept in cases/PARSER/, where a test reads it again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

CASES = Path(__file__).parent / "cases"

MEMORY = 1_000_000_000
"""Bytes of address space of a turn."""

STUCK = 30
"""Seconds beyond its turn after which a process hangs."""

FOUND = 1
"""The exit code of a turn that found something."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("seconds", type=float)
    options.add_argument("--turn", type=float, default=15.0, help="seconds of one parser's turn")
    options.add_argument("--only", help="one parser, here and now")
    options.add_argument("--current", type=Path, help="where the document that is being read is written")
    asked = options.parse_args()
    if asked.only:
        return turn(asked.only, asked.seconds, asked.current)
    return search(asked.seconds, asked.turn)


def search(seconds: float, of_turn: float) -> int:
    """Give each parser its turns until the time is over; returns 1 when anything was found."""
    from tests.hostile.parsers import PARSERS

    until, found = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        for name in random.sample(sorted(PARSERS), len(PARSERS)):
            left = min(of_turn, until - time.monotonic())
            if left <= 0:
                break
            found += _run_turn(name, left)
    print(f"{found} found in {seconds:.0f} s")
    return FOUND if found else 0


def turn(name: str, seconds: float, current: Path) -> int:
    """Try one parser for a while, in this process; returns 1 when the document in `current` is a finding."""
    from hypothesis import HealthCheck, given, seed, settings

    from tests.hostile.parsers import PARSERS, documents, outcome

    warnings.simplefilter("ignore")  # hypothesis would rather print no long documents; the case has it
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    parser, until, tried = PARSERS[name], time.monotonic() + seconds, 0

    def holds(content: bytes) -> None:
        nonlocal tried
        tried += 1
        current.write_bytes(content)
        outcome(parser, content)

    quiet = settings(
        max_examples=300, database=None, deadline=None, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    while time.monotonic() < until:
        try:
            size = random.choice((200, 2_000, 20_000))
            seed(random.getrandbits(64))(quiet(given(documents(parser, size))(holds)))()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            print(f"{name}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
            return FOUND
    print(f"{name}: {tried} documents")
    return 0


def _run_turn(name: str, seconds: float) -> int:
    with tempfile.TemporaryDirectory() as directory:
        current = Path(directory, "current")
        command = [sys.executable, "-m", "tests.hostile.fuzz", str(seconds), "--only", name, "--current", str(current)]
        try:
            code = subprocess.run(command, timeout=seconds + STUCK, env={**os.environ}).returncode
        except subprocess.TimeoutExpired:
            print(f"{name}: hangs", file=sys.stderr)
            code = FOUND
        if code == 0 or not current.exists():
            return int(code != 0)
        content = current.read_bytes()
        case = CASES / name / hashlib.sha256(content).hexdigest()[:12]
        case.parent.mkdir(parents=True, exist_ok=True)
        case.write_bytes(content)
        print(f"{name}: kept as {case}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
