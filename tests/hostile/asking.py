"""How the tests of hostile input ask: through the command, in words and in JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.command import Launchyard

ROOT = Path(__file__).parent.parent.parent

EXIT_CODES = {"usage": 2, "repository": 65, "outside": 75}
"""By blame. Launchyard's own, 70, is no answer to any input."""


@dataclass(frozen=True)
class Answer:
    """A refusal as it reaches a person, and as it reaches a program."""

    shown: str
    """All that was printed, both times."""
    code: str
    words: str
    """Title, what was seen and what to do, a line each."""
    exit_code: int


def refused(launchyard: Launchyard, *arguments: object) -> Answer:
    """Ask twice for what must come to an explanation, the same in words and in JSON."""
    told, as_json = launchyard(*arguments), launchyard("plan", "--json", *arguments[1:])
    for result in (told, as_json):
        assert isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.stdout + result.stderr
    assert told.stdout == ""
    error = json.loads(as_json.stdout)["error"]
    assert told.exit_code == as_json.exit_code == EXIT_CODES[error["blame"]], error
    assert error["title"] and error["seen"] and all(error["fix"]) and error["fix"]
    words = "\n".join([error["title"], error["seen"], *error["fix"]])
    return Answer(told.stderr + as_json.stdout + as_json.stderr, error["code"], words, told.exit_code)


def command(
    *arguments: object, variables: Mapping[str, str] | None = None, directory: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own, in a directory, with a bound."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **(variables or {})}
    return subprocess.run(
        [sys.executable, "-m", "launcher.cli", *map(str, arguments)],
        cwd=directory, env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
