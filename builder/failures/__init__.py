"""Failures as data, in modules by where they are met; explain() gives each its words, which the package words has.

What a repository itself is wrong in stands in detectors/failures.py.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Blame(Enum):
    """Who can mend it; decides the exit code (of sysexits.h) and the HTTP status."""

    USAGE = ("usage", 2, 400)
    REPOSITORY = ("repository", 65, 422)
    OUTSIDE = ("outside", 75, 503)
    """Something unreachable or busy: worth trying again."""
    LAUNCHYARD = ("launchyard", 70, 500)

    @property
    def exit_code(self) -> int:
        return self.value[1]

    @property
    def status(self) -> int:
        return self.value[2]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A failure in words: what happened, what was seen, what to do about it, and who can."""

    code: str
    title: str
    seen: str
    fix: tuple[str, ...]
    blame: Blame

    def to_json(self) -> dict[str, Any]:
        """The `error` member of a command's JSON."""
        return {**asdict(self), "fix": list(self.fix), "blame": self.blame.value[0]}


def explain(failure: object, *, to_command: bool = True) -> Explanation:
    """The words for a failure, to a command or to who asked the service over HTTP.

    One that has none here is a defect of Launchyard's own, and said to be.
    """
    from builder.failures.words import over_http, words  # which know every failure, and are needed when there is one

    title, seen, fix, blame = words(failure) if to_command else over_http(words(failure))
    first = (re.sub(r"^Or (.)", lambda found: found[1].upper(), line) for line in fix[:1])
    advice = (*first, *fix[1:])
    return Explanation(
        _code(failure), _cut(title, 300), _cut(seen, 20_000), tuple(_cut(line, 1_000) for line in advice), blame
    )


def _cut(text: str, length: int) -> str:
    """Whatever was given, and is repeated in the words, may be of any length."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _code(failure: object) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(failure).__name__).lower()
