"""Transcript: what the steps of a build print, made fit to be shown and kept.

This is the one door by which a repository's own words come in from a build. Behind it there are
whole lines of plain text, of a bounded length and number, without the installation's secrets.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import unquote

LINE = 2_000
"""Characters of a line that are kept."""

HELD = 5 * LINE
"""Bytes of a line that are held until it ends: more than LINE, for what is taken out."""

OF_INDEX, OF_CONDA = "launchyard-why: ", "launchyard-conda: "
ASIDES = (OF_INDEX, OF_CONDA)
"""What lines begin with that tools print for whoever explains a failure, and that say nothing to a reader."""

LAST = 1_000
"""Last lines of a step that a failure carries."""


class Transcript:
    """What each step printed. `limit` bounds, in bytes, what `add` and `end` give in all; `hidden` is never shown.

    The last lines hold the asides too.
    """

    def __init__(self, limit: int, hidden: Iterable[str] = ()) -> None:
        self._left = limit
        self._limit = limit
        self._hidden = sorted({word for secret in hidden for word in (secret, unquote(secret))}, key=len, reverse=True)
        self._begun: dict[tuple[str, int], bytearray] = {}
        self._last: dict[str, deque[str]] = {}

    def add(self, step: str, stream: int, printed: bytes) -> str:
        """The lines that this ends; empty for none, and once the bound is reached."""
        first, *rest = printed.split(b"\n")
        begun = self._begun.setdefault((step, stream), bytearray())
        lines = []
        for part in rest:
            begun += first[: HELD - len(begun)]
            lines.append(bytes(begun))
            begun.clear()
            first = part
        begun += first[: HELD - len(begun)]
        return self._given(step, lines)

    def end(self, step: str) -> str:
        """The lines that a step has begun and not ended."""
        mine = [key for key in self._begun if key[0] == step]
        return self._given(step, [bytes(begun) for key in mine if (begun := self._begun.pop(key))])

    def last(self, step: str) -> tuple[str, ...]:
        """The last lines of a step, past the bound too."""
        return tuple(self._last.get(step, ()))

    def plain(self, text: str) -> str:
        """Text without what steers a terminal and without secrets."""
        text = printable(text)
        for word in self._hidden:
            text = text.replace(word, "***")
        return text

    def _given(self, step: str, lines: list[bytes]) -> str:
        clean = [self._line(line) for line in lines]
        self._last.setdefault(step, deque(maxlen=LAST)).extend(clean)
        given = ""
        for line in clean:
            if line.startswith(ASIDES):
                continue
            if self._left < 0:
                break
            self._left -= len(line.encode()) + 1
            given += f"{line}\n" if self._left >= 0 else f"[{self._limit:,} bytes of log: no more is shown]\n"
        return given

    def _line(self, line: bytes) -> str:
        # What a carriage return overwrites was there to be overwritten: progress bars.
        text = self.plain(line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))
        return text if len(text) <= LINE else f"{text[:LINE]}…"


ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


def printable(text: str) -> str:
    """Text without what would steer a terminal: escape sequences and control characters."""
    text = ESCAPES.sub("", text).replace("\t", "    ")
    # Most lines are nothing but printable, and asking for all of one is a hundred times as quick as for each.
    return text if text.isprintable() else "".join(c for c in text if c == "\n" or c.isprintable())
