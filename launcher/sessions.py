"""Sessions: start one, wait until it answers, end it. What runs them is a Runtime."""

from __future__ import annotations

import http.client
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol
from urllib.parse import urlsplit

from builder.failures.served import SessionAbsent, SessionEnded, SessionExists
from builder.service import BuildError
from launcher.records import PORT, Instance, Session, SessionRequest, Usage

PROBE_TIME = 5.0
"""Seconds that one request to a session may take."""

PROBE_PAUSE = 0.1
"""Seconds between two requests."""

SHOWN = 25
"""Last lines of a session that a failure shows."""

READ = 200
"""Of what a session printed, that are read for why it ended, and kept."""

START_RUNS = "launchyard: start of the repository runs"
START_IS_OVER = "launchyard: start of the repository has given way"
"""What a session's own start script, templates/files/session/start, says around the repository's."""

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
"""Names of sessions: what every runtime takes as part of a name of its own."""

BASE_PATH = re.compile(r"/?([A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*)?/?")


DISK_TIME = 20
"""Seconds in which the files of a session are counted, or are not."""


class Runtime(Protocol):
    """Runs sessions. Each method raises BuildError, with EngineUnavailable when nothing answers."""

    def start(self, request: SessionRequest) -> Instance:
        """Start a session and return at once; it may not answer yet.

        Raises SessionExists, PortTaken, ImageAbsent; leaves nothing behind then.
        """
        ...

    def get(self, name: str) -> Instance | None:
        """The session of a name, also one that has ended; None for none."""
        ...

    def list(self) -> tuple[Instance, ...]:
        """All sessions, the newest first."""
        ...

    def wait(self, name: str, seconds: float) -> Instance | None:
        """The session, as soon as it has ended, or as it is after so many seconds; None when there is none."""
        ...

    def logs(self, name: str, lines: int) -> tuple[str, ...]:
        """The last lines that a session printed; none where there is no session."""
        ...

    def usage(self, name: str) -> Usage | None:
        """What a session uses at this moment; None where none runs."""
        ...

    def disk(self, name: str) -> int | None:
        """Bytes of a session's work and home directories, as it can read them; None where that is not to be told.

        May take `DISK_TIME`.
        """
        ...

    def stop(self, name: str, *, delete_work: bool = False) -> None:
        """End a session and remove it; nothing happens where there is none.

        Its work directory goes with it, unless it keeps that and `delete_work` is false.
        """
        ...


Probe = Callable[[str], bool]
"""Whether something answers at an address."""


def open_session(request: SessionRequest, runtime: Runtime, seconds: float, probe: Probe | None = None) -> Instance:
    """Start a session and wait until it answers, `seconds` at most.

    One that ends or does not answer is removed again, as it is when the waiting is interrupted.
    Raises BuildError(SessionEnded) with its last lines, and what `Runtime.start` raises.
    """
    old = runtime.get(request.name)
    if old and old.state == "running":
        raise BuildError(SessionExists(request.name))
    if old:
        runtime.stop(request.name)
    session = runtime.start(with_places(request))
    try:
        return _ready(session, runtime, time.monotonic() + seconds, seconds, probe or answers)
    except BaseException:
        runtime.stop(request.name)
        raise


def end_session(name: str, runtime: Runtime, *, delete_work: bool = False) -> None:
    """End a session. Raises BuildError(SessionAbsent), naming those there are."""
    if runtime.get(name) is None and not delete_work:
        raise BuildError(SessionAbsent(name, tuple(session.name for session in runtime.list())))
    runtime.stop(name, delete_work=delete_work)


def ended(session: Instance, runtime: Runtime) -> SessionEnded:
    """The failure of a session that has ended by itself."""
    return failed(f"ended with exit code {session.exit_code}", session, runtime.logs(session.name, READ))


def failed(reason: str, session: Instance, lines: tuple[str, ...]) -> SessionEnded:
    """Why a session that printed these lines is of no use: its command failed, or the repository's start before it."""
    in_start = START_RUNS in lines and START_IS_OVER not in lines
    return SessionEnded(reason, lines[-SHOWN:], () if in_start else session.command, in_start)


def without_token(lines: tuple[str, ...], session: Session) -> tuple[str, ...]:
    """What a session printed, without what opens it: its start script says the whole address."""
    return tuple(line.replace(session.token, "…") for line in lines)


def new_token() -> str:
    """A token that nobody guesses: 32 characters that an address can hold."""
    return secrets.token_urlsafe(24)


def new_name(words: str) -> str:
    """A name for a session that was given none, after what it is of: "lab-tides-3f9a21"."""
    stem = re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:30].strip("-") or "session"
    return f"{stem}-{secrets.token_hex(3)}"


def base_path_of(text: str) -> str | None:
    """A base path with a slash at both ends, None for what cannot be one."""
    if not BASE_PATH.fullmatch(text):
        return None
    return f"/{text.strip('/')}/" if text.strip("/") else "/"


def with_places(request: SessionRequest) -> SessionRequest:
    """A request whose command has the session's own place for {port}, {ip} and {base_path}."""
    places = {"{port}": str(PORT), "{ip}": "0.0.0.0", "{base_path}": request.base_path}
    return replace(request, command=tuple(_filled(argument, places) for argument in request.command))


def answers(url: str) -> bool:
    """Whether an HTTP server answers at an address with anything but an error of its own."""
    parts = urlsplit(url)
    assert parts.hostname
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=PROBE_TIME)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _ready(session: Instance, runtime: Runtime, deadline: float, seconds: float, probe: Probe) -> Instance:
    while True:
        if session.url and probe(session.url):
            return session
        now = runtime.wait(session.name, PROBE_PAUSE)
        if now is None:
            raise BuildError(SessionEnded("was removed before it answered", ()))
        if now.state == "ended":
            raise BuildError(ended(now, runtime))
        session = session if session.url else replace(session, url=now.url)
        if time.monotonic() > deadline:
            said = f"did not answer within {seconds:.0f} s"
            raise BuildError(failed(said, session, runtime.logs(session.name, READ)))


def _filled(argument: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        argument = argument.replace(place, value)
    return argument
