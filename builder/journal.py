"""The journal of a build: what happened, in order, in one file that outlives every process.

Each line is an event in JSON, and an event's id is the place in the file where its line ends. So ids
only grow, a reader goes on exactly behind the last one it saw, and a line that a process did not live
to finish was never seen by anybody.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.settings import Limits

MAX_TEXT = 16_000
"""Characters of one event's text."""

LEFT_OUT = "… the rest of the log is left out\n"

MAX_READ = 256_000
"""Bytes that are read at once."""


class JournalTaken(Exception):
    """Somebody else has written into a journal: the build is no longer the writer's."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a build: "plan", "step", "log", "state", "explanation" or "end"."""

    id: int
    type: str
    content: Mapping[str, Any]


class Journal:
    """Journals in a directory, one for each build; with each the log as text, made of the journal."""

    def __init__(self, directory: Path, limits: Limits | None = None) -> None:
        """`limits.build_log` bounds, in bytes, the log of each build that is written."""
        self._directory = directory
        self._max_log = (limits or Limits()).build_log

    def log(self, build_id: str) -> Path:
        """Where the log is, as text."""
        return self._directory / f"{build_id}.log"

    def open(self, build_id: str) -> Writer:
        """Go on with a build's journal, or begin it."""
        self._directory.mkdir(parents=True, exist_ok=True)
        return Writer(self._path(build_id), self.log(build_id), self._max_log)

    def after(self, build_id: str, id: int) -> tuple[Event, ...]:
        """The events behind one, as many as are read at once; all that there are after the id 0, bit by bit."""
        try:
            with self._path(build_id).open("rb") as file:
                return tuple(_events(file, id))
        except FileNotFoundError:
            return ()

    def size(self, build_id: str) -> int:
        """Bytes of the journal, 0 for none: a cheap way to see that nothing came."""
        try:
            return self._path(build_id).stat().st_size
        except FileNotFoundError:
            return 0

    def every(self, build_id: str) -> Iterator[Event]:
        """All events that there are now."""
        id = 0
        while found := self.after(build_id, id):
            yield from found
            id = found[-1].id

    def forget(self, build_id: str) -> None:
        for path in (self._path(build_id), self.log(build_id)):
            path.unlink(missing_ok=True)

    def _path(self, build_id: str) -> Path:
        return self._directory / f"{build_id}.events"


class Writer:
    """Appends to one journal. There is one writer at a time: the build's own workflow.

    One that was taken for dead and comes back finds that the journal has grown without it: JournalTaken.
    """

    def __init__(self, path: Path, log: Path, max_log: int) -> None:
        self._file = path.open("ab", buffering=0)
        _drop_torn_line(path)
        self._size = path.stat().st_size
        # Written over in place by the same: who reads it meanwhile misses nothing.
        log.touch()
        self._log = log.open("rb+")
        self._max_log = max_log
        self._logged = 0
        self._ended = False
        for event in Journal(path.parent).every(path.stem):
            self._keep(event.type, event.content)
        self._log.truncate()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._log.close()

    @property
    def ended(self) -> bool:
        """Whether the build's end is written already."""
        return self._ended

    def append(self, type: str, content: Mapping[str, Any]) -> None:
        """Write an event, or several of a long text; a log ends where its bound is reached."""
        if type != "log":
            self._write(type, content)
            return
        for text in _pieces(self._bounded(str(content["text"]))):
            self._write(type, {**content, "text": text})

    def _write(self, type: str, content: Mapping[str, Any]) -> None:
        line = (json.dumps({"type": type, **content}, separators=(",", ":")) + "\n").encode()
        if os.fstat(self._file.fileno()).st_size != self._size:
            raise JournalTaken
        written = self._file.write(line)
        self._size += written
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._keep(type, content)
        self._log.flush()

    def _bounded(self, text: str) -> str:
        left = self._max_log - self._logged
        if left < 0:
            return ""
        encoded = text.encode()
        return text if len(encoded) <= left else encoded[:left].decode(errors="ignore") + LEFT_OUT

    def _keep(self, type: str, content: Mapping[str, Any]) -> None:
        self._ended |= type == "end"
        if type == "log":
            self._logged += self._log.write(str(content["text"]).encode())


def _pieces(text: str) -> Iterator[str]:
    """A text in parts of MAX_TEXT at the most, of whole lines where a line is no longer than that."""
    while text:
        end = len(text) if len(text) <= MAX_TEXT else text.rfind("\n", 0, MAX_TEXT) + 1 or MAX_TEXT
        yield text[:end]
        text = text[end:]


def _events(file: Any, id: int) -> Iterator[Event]:
    file.seek(max(id - 1, 0))
    if id > 0 and file.read(1) != b"\n":
        file.readline()  # no id of ours: go on with the next whole line
    end = file.tell() + MAX_READ
    while file.tell() < end:
        line = file.readline()
        if not line.endswith(b"\n"):
            return
        content = json.loads(line)
        yield Event(file.tell(), content.pop("type"), content)


def _drop_torn_line(path: Path) -> None:
    """Cut a journal behind its last whole line, however long what follows is: an event may be of any length."""
    with path.open("rb+") as file:
        size = start = file.seek(0, os.SEEK_END)
        whole = 0
        while start > 0 and not whole:
            end, start = start, max(0, start - MAX_READ)
            file.seek(start)
            whole = file.read(end - start).rfind(b"\n") + 1
        if start + whole < size:
            file.truncate(start + whole)
