"""Failures as application/problem+json: RFC 9457, with the members of an explanation."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from builder.database import AWAY, database_failure
from builder.documents import Problem, problem_of
from builder.failures import Explanation, explain, served
from builder.service import BuildError

STATUS = {
    served.RecordAbsent: 404,
    served.NoVersionYet: 404,
    served.KindAbsent: 404,
    served.NameTaken: 409,
    served.VersionPinned: 409,
    served.RevisionStale: 412,
    served.RequestInvalid: 422,
    served.HostForeign: 403,
    served.SessionGuarded: 403,
    served.SessionClosed: 409,
    served.SessionsFull: 429,
    served.DatabaseRefused: 503,
}
"""Where who is to blame is not enough to choose a status by."""

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem: what was seen, and what to do.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}

log = logging.getLogger("launchyard")


class Unexpected(NamedTuple):
    """A defect of the service's own, met by a request: no words are meant for it, and the log has the rest."""

    error: str


def problem(failure: object, status: int | None = None) -> JSONResponse:
    """A failure as an answer."""
    return _answer(explain(failure, to_command=False), status or status_of(failure))


def status_of(failure: object) -> int:
    return STATUS.get(type(failure), explain(failure).blame.status)


def _answer(explanation: Explanation, status: int) -> JSONResponse:
    document = {
        "type": f"urn:launchyard:problem:{explanation.code}",
        "status": status,
        "detail": explanation.seen,
        **explanation.to_json(),
    }
    return JSONResponse(document, status, media_type="application/problem+json")


def answer_problems(app: FastAPI) -> None:
    """Let everything that goes wrong in an application come out as a problem."""

    async def build_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BuildError)
        return problem(error.failure)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem(served.RequestInvalid(tuple(map(_place, error.errors()[:20]))))

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        made = problem(served.RequestInvalid(((request.url.path[:200], error.detail),)), error.status_code)
        made.headers.update(error.headers or {})
        if error.status_code == 405:
            made.headers["Allow"] = ", ".join(sorted(_methods(request)))
        return made

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("request failed", exc_info=error, extra={"path": request.url.path})
        return problem(Unexpected(type(error).__name__))

    async def database_away(request: Request, error: Exception) -> JSONResponse:
        return problem(database_failure(error))

    for kind in AWAY:
        app.add_exception_handler(kind, database_away)
    app.add_exception_handler(BuildError, build_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
    _publish_problem(app)


def _place(error: Mapping[str, Any]) -> tuple[str, str]:
    """(where in a request, what is wrong there)."""
    match error["type"], error["loc"]:
        case "json_invalid", ("body", int(at)):
            why = (error.get("ctx") or {}).get("error", "")
            return "body", f"no JSON from character {at} on" + (f": {why}" if why else "")
        case (("model_attributes_type" | "dict_type"), ("body",)):
            return "body", "a JSON object is needed, sent with the header Content-Type: application/json"
    return ".".join(map(str, error["loc"])), problem_of(error)


def _methods(request: Request) -> set[str]:
    """What a path may be asked by; the framework names the methods of one of its routes only."""
    path = request.url.path
    return {
        method.upper()
        for template, operations in request.app.openapi()["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        for method in operations
    }


def _publish_problem(app: FastAPI) -> None:
    """Put the problem's schema into the OpenAPI document, where PROBLEMS points at it."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = schema
        return document

    app.openapi = openapi  # type: ignore[method-assign]
