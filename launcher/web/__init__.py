"""The page that people use: rendered here, kept fresh by htmx and event streams. It asks the services, and no more.

No script or style stands in a page, none comes from another place, and every form goes to the service itself, which
turns away what another site sends.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from builder.api.problems import problem, status_of
from builder.failures.served import RecordAbsent
from builder.service import BuildError
from launcher.places import Places
from launcher.web import builds, create, home, launchers, operator, sessions, versions
from launcher.web.page import render, told

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

OWN = Path(__file__).parent / "static"


def _of_htmx(path: str) -> Path:
    """A file of the package that htmx is installed with, which is not imported for it."""
    found = find_spec("django_htmx")
    assert found and found.origin
    return Path(found.origin).parent / "static" / "django_htmx" / path


STATIC = {
    "page.css": OWN / "page.css",
    "page.js": OWN / "page.js",
    "icon.svg": OWN / "icon.svg",
    "badge.svg": OWN / "badge.svg",
    "htmx.js": _of_htmx("htmx-2.min.js"),
    "sse.js": _of_htmx("ext/hx-sse-2.min.js"),
}


def add_pages(app: FastAPI, places: Places) -> None:
    """Let an application that answers for launchers answer people as well."""
    app.state.places = places
    for routes in (home, create, launchers, builds, versions, sessions, operator):
        app.include_router(routes.router, include_in_schema=False)
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    for kind in (BuildError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _shown(app.exception_handlers[kind]))
    app.add_middleware(Pages)


def _shown(answer: Any) -> Any:
    """A handler of failures that shows a page where `answer` gives a problem, to who reads pages."""

    async def handler(request: Request, error: Exception) -> Response:
        made: Response = await answer(request, error)
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return made
        if isinstance(error, BuildError):
            return refuse(error.failure, request.headers, made.status_code)
        return refuse(RecordAbsent("page", request.url.path[:200]), request.headers, made.status_code)

    return handler


def refuse(failure: object, headers: Headers, status: int | None = None) -> Response:
    """A failure as a page for who reads pages, else as a problem."""
    if "text/html" not in headers.get("accept", ""):
        return problem(failure, status)
    answer = render("failure.html.j2", failure=told(failure), status=status or status_of(failure))
    answer.headers.update(HEADERS)
    return answer


def _static(name: str) -> Response:
    if name not in STATIC:
        return Response(status_code=404)
    return FileResponse(STATIC[name], headers={"Cache-Control": "public, max-age=3600"})


class Pages:
    """Says of everything that is answered what it may load."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sent)
