"""A log that came from anywhere, as the failed step that a build of Launchyard's own would have given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from builder.engine import BuildFailed
from builder.transcript import ESCAPES

MAX_LOG = 5_000_000
"""Bytes that are read, from the end: failures come last."""

MAX_COLUMNS = 4_000
"""Characters of a line that are read."""

_PART = 65_536

# Times as GitHub, GitLab and Azure put them before each line, and the marks of what GitHub makes of it.
_PREFIXES = re.compile(
    r"(?:\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?\s(?:\d\d[OE] ?)?)?"
    r"(?:##\[(?:error|group|command|debug|warning|section)\]|::(?:error|group|warning)[^:]*::)?"
)

# docker buildx build --progress=plain: "#12 [lock 2/2] RUN …", "#12 3.456 what it says", "#12 ERROR: …"
_VERTEX = re.compile(r"#(\d+) (?:(\[[^\]]*\d+/\d+\] .*|\[internal\] .*)|(?:\d+\.\d+ (.*))|ERROR: (.*)|.*)")

# What it repeats at the end, and all that a terminal is left with.
_REPEATED = re.compile(r"^------\n > (.+?):?\n((?:.*\n)*?)------$", re.MULTILINE)

_ENDED = re.compile(
    r"(?:returned a non-zero code|completed with exit code|exit code|exited with(?: code)?|exit status):? (\d{1,3})\b"
)


def tail(stream: BinaryIO) -> tuple[str, bool]:
    """The last MAX_LOG bytes of a stream as text, and whether there were more."""
    kept = b""
    cut = False
    while part := stream.read(_PART):
        kept += part
        if len(kept) > MAX_LOG + 50 * _PART:
            kept, cut = kept[-MAX_LOG:], True
    cut = cut or len(kept) > MAX_LOG
    kept = kept[-MAX_LOG:]
    encoding = "utf-16" if kept[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = kept.decode(encoding, errors="replace")
    return (text.partition("\n")[2] if cut else text), cut


def failed_step(text: str) -> BuildFailed:
    """The step that failed, where the log says so, with what it printed; else the whole log as one of no name."""
    lines = list(_plain(text))
    whole = "\n".join(lines)
    found = _of_progress(lines) or _of_repetition(whole)
    if found:
        return found
    ended = _ENDED.findall(whole)
    return BuildFailed("", f"exit code: {ended[-1]}" if ended else "", tuple(lines))


def _plain(text: str) -> Iterator[str]:
    """Lines without escapes, prefixes of CI, and what a carriage return has overwritten."""
    for line in ESCAPES.sub("", text).replace("\r\n", "\n").split("\n"):
        last = line.rstrip("\r").rpartition("\r")[2][:MAX_COLUMNS]
        prefix = _PREFIXES.match(last)
        yield last[prefix.end() :] if prefix else last


def _of_progress(lines: list[str]) -> BuildFailed | None:
    names: dict[str, str] = {}
    said: dict[str, list[str]] = {}
    failed: tuple[str, str] | None = None
    for line in lines:
        found = _VERTEX.fullmatch(line)
        if not found:
            continue
        number, name, words, error = found.groups()
        if name:
            names.setdefault(number, name)
        elif words is not None:
            said.setdefault(number, []).append(words)
        elif error and failed is None and "context canceled" not in error:
            failed = number, error
    if failed is None:
        return None
    return BuildFailed(_step(names.get(failed[0], "")), failed[1], tuple(said.get(failed[0], ())))


def _of_repetition(text: str) -> BuildFailed | None:
    found = list(_REPEATED.finditer(text))
    if not found:
        return None
    step, words = found[-1][1], found[-1][2]
    lines = (re.sub(r"^\d+\.\d+ ", "", line) for line in words.splitlines())
    solved = re.search(
        r"^ERROR: (?:failed to (?:build: )?(?:failed to )?solve: )?(.*)", text[found[-1].end() :], re.MULTILINE
    )
    return BuildFailed(_step(step), solved[1] if solved else "", tuple(lines))


def _step(name: str) -> str:
    """A step's name; of a Dockerfile that is not of Launchyard's own, the instruction alone."""
    return name if "/tools/bin/" in name or name.startswith("[internal]") else re.sub(r"^\[[^\]]*\] ", "", name)[:200]
