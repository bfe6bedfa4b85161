"""The service over HTTP. There is no logic here: each route asks builder.service one question."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from anyio import to_thread
from fastapi import FastAPI

from builder.api import builds, environments, operations, plans, versions
from builder.api.guard import Guard
from builder.api.problems import PROBLEMS, answer_problems
from builder.api.stream import Streams
from builder.embedded import Embedded

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names under which a service on the loopback interface is asked."""

AT_ONCE = 2
"""Requests that are answered at once in FastAPI's own threads, of routes that ask the database alone: at forty each
costs the processor twice as much."""

DESCRIPTION = """Environments of git repositories: their images, built on demand and kept right.

Lists are `{items, next}`; give `next` as `cursor` to go on. Times are UTC. What goes wrong is an
`application/problem+json` that says what was seen and what to do. An environment carries an `ETag`; with it as
`If-Match` a change happens only if nobody was faster."""


def create_app(running: Embedded, hosts: frozenset[str] = LOOPBACK) -> FastAPI:
    """The service as an ASGI application that answers to the names in `hosts`; a worker is only asked how it does."""
    app = FastAPI(
        title="Launchyard",
        version=version("launchyard"),
        description=DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,  # it would load scripts of other sites
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # metrics are /metrics, and a log is there
        responses=PROBLEMS,
        lifespan=_lifespan,
    )
    app.state.running = running
    app.state.streams = Streams(running.service)
    answer_problems(app)
    for routes in (plans, environments, builds, versions) if running.role != "worker" else ():
        app.include_router(routes.router, prefix="/api/v1")
    app.include_router(operations.router)
    app.add_middleware(Guard, hosts=hosts)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    to_thread.current_default_thread_limiter().total_tokens = AT_ONCE
    yield
