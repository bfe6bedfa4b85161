"""A Runtime in memory, for tests. The contract test holds it to the real ones."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace

from builder.failures.asked import ImageAbsent
from builder.failures.served import PortTaken, SessionExists
from builder.service import BuildError, Engine
from launcher.records import Instance, SessionRequest, Usage


@dataclass(slots=True)
class FakeRuntime:
    """Sessions that do nothing until `finish` ends one."""

    engine: Engine
    """Where its images are."""
    ready: bool = True
    """Whether what runs in a session answers."""
    requests: list[SessionRequest] = field(default_factory=list)
    work: set[str] = field(default_factory=set)
    """Names whose work directory is there."""
    disks: dict[str, int] = field(default_factory=dict)
    """Bytes that sessions have written, by name."""
    _sessions: dict[str, Instance] = field(default_factory=dict)
    _lines: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    """Notified when a session starts, ends or is removed, and when its files are counted."""

    def start(self, request: SessionRequest) -> Instance:
        if request.name in self._sessions:
            raise BuildError(SessionExists(request.name))
        if self.engine.inspect(request.image) is None:
            raise BuildError(ImageAbsent(request.image))
        port = request.port or 40_000 + len(self.requests)
        if any(f":{port}/" in session.url for session in self._sessions.values()):
            raise BuildError(PortTaken(port))
        frontend = "none" if request.command else request.frontend
        url = f"http://127.0.0.1:{port}{request.base_path}"
        with self.changed:
            self.requests.append(request)
            self.work.add(request.name)
            session = Instance(
                request.name, request.image, frontend, "running", time.time(), url, request.token, owner=request.owner,
                command=request.command,
            )  # fmt: skip
            self._sessions[request.name] = session
            self.changed.notify_all()
        return session

    def get(self, name: str) -> Instance | None:
        return self._sessions.get(name)

    def list(self) -> tuple[Instance, ...]:
        return tuple(reversed(self._sessions.values()))

    def wait(self, name: str, seconds: float) -> Instance | None:
        with self.changed:
            self.changed.wait_for(lambda: name not in self._sessions or self._sessions[name].state == "ended", seconds)
            return self._sessions.get(name)

    def logs(self, name: str, lines: int) -> tuple[str, ...]:
        return self._lines.get(name, ())[-lines:]

    def usage(self, name: str) -> Usage | None:
        session = self._sessions.get(name)
        if session is None or session.state == "ended":
            return None
        resources = next(request.resources for request in reversed(self.requests) if request.name == name)
        return Usage(0.0, 1_000_000, resources.memory, 1)

    def disk(self, name: str) -> int | None:
        with self.changed:
            self._counts[name] = self._counts.get(name, 0) + 1
            self.changed.notify_all()
            session = self._sessions.get(name)
            return self.disks.get(name, 0) if session and session.state == "running" else None

    def stop(self, name: str, *, delete_work: bool = False) -> None:
        with self.changed:
            session = self._sessions.pop(name, None)
            self._lines.pop(name, None)
            keeps = next((r.keeps_work for r in reversed(self.requests) if r.name == name), False)
            if delete_work or (session and not keeps):
                self.work.discard(name)
            self.changed.notify_all()

    def answers(self, url: str) -> bool:
        """The probe of sessions that are only made up."""
        return self.ready and any(s.url == url and s.state == "running" for s in self._sessions.values())

    def counted(self, name: str, times: int = 1) -> bool:
        """Whether the files of a session are counted so many times more, within seconds."""
        with self.changed:
            wanted = self._counts.get(name, 0) + times
            return self.changed.wait_for(lambda: self._counts.get(name, 0) >= wanted, 10)

    def finish(self, name: str, exit_code: int, *lines: str, exhausted: bool = False) -> None:
        """Let what runs in a session end by itself, or for want of memory, with its last words."""
        with self.changed:
            ended = replace(self._sessions[name], state="ended", exit_code=exit_code, exhausted=exhausted)
            self._sessions[name] = ended
            self._lines[name] = lines
            self.changed.notify_all()
