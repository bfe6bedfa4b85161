"""`launchyard serve`: a process of the service, and its HTTP."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import uvicorn
from starlette.types import ASGIApp

from builder.api import LOOPBACK, create_app
from builder.api.connections import Connection
from builder.embedded import Embedded, Role, embedded
from builder.failures.served import AddressUnusable, PortTaken
from builder.queue import build_in_hand
from builder.service import BuildError, Engine, Settings
from builder.worker import Runner

FAREWELL = 2
"""Seconds that open streams have when the service ends; their readers go on with the next one."""

LATEST = 3.0
"""Seconds that threads have to come to their end, once all else of the service has."""

OFTEN = (5_000, 20, 100)
"""How often garbage is looked for among new, younger and all objects: the last takes 10 ms, when nobody is answered."""

log = logging.getLogger("launchyard")

Compose = Callable[[Embedded, frozenset[str]], AbstractContextManager[ASGIApp]]
"""Makes the application of a service that runs and the names that it answers to, for as long as it is served."""


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens; port 0 takes a free one. Raises BuildError(PortTaken | AddressUnusable)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        raise BuildError(
            PortTaken(port) if taken else AddressUnusable(host, port, error.strerror or str(error))
        ) from None
    with listening:
        # Inherited by every connection; without it an answer in two parts waits 40 ms for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listening


def serve(
    settings: Settings,
    engine: Engine,
    runner: Runner,
    role: Role,
    host: str,
    listening: socket.socket,
    ready: Callable[[str], None],
    compose: Compose = lambda running, hosts: nullcontext(create_app(running, hosts)),
) -> None:
    """Serve until a signal ends it, as KeyboardInterrupt; `ready` gets the address once requests are answered."""
    log_as_json()
    open_many()
    hosts = LOOPBACK | {name.lower() for name in (host or "0.0.0.0", *settings.hosts)}
    with _last_words(), embedded(settings, engine, runner, role) as running, compose(running, hosts) as app:
        server = server_of(app)
        # What is there by now stays: a look through all of it for garbage would hold up every answer.
        gc.freeze()
        gc.set_threshold(*OFTEN)
        gc.enable()
        name = f"[{host}]" if ":" in host else host
        ready(f"http://{name}:{listening.getsockname()[1]}")
        server.run(sockets=[listening])


def server_of(app: ASGIApp) -> uvicorn.Server:
    """What answers an application's requests; it logs as the process does."""
    return uvicorn.Server(
        uvicorn.Config(
            app, http=Connection, log_config=None, access_log=False, timeout_graceful_shutdown=FAREWELL,
            server_header=False,
        )
    )  # fmt: skip


@contextmanager
def _last_words() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        log.info("the service has ended")
        raise


def end_at_the_latest(code: int) -> None:
    """Let this process end in time: the threads of DBOS try a database that is away without end."""
    last = threading.Timer(LATEST, os._exit, (code,))
    last.daemon = True
    last.start()


def open_many() -> None:
    """Let this process have as many readers as the machine allows: shells often give it 1,024 descriptors."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def log_as_json() -> None:
    """Let every line on standard error be a JSON object, with the build that it is about."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    handler.addFilter(_is_no_farewell)
    for name in ("", "dbos"):  # which has a handler of its own where it finds none
        logging.getLogger(name).handlers[:] = [handler]
    logging.getLogger("dbos").propagate = False
    logging.getLogger("launchyard").setLevel(logging.INFO)


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Whether it is other than the end of streams that were open when the service ended, which is nobody's fault."""
    is_cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not is_cancelled and not str(record.msg).startswith("Cancel %s running task(s)")  # uvicorn's words


class _Lines(logging.Formatter):
    _OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message", "taskName"}
    _OF_DBOS = frozenset({"applicationID", "applicationVersion", "executorID", "operationUUID"})

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            # A workflow has the id of its build.
            "build": build_in_hand.get() or getattr(record, "operationUUID", None),
            **{name: value for name, value in record.__dict__.items() if name not in self._OWN | self._OF_DBOS},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps({name: value for name, value in line.items() if value is not None}, default=str)
