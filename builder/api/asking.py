"""What routes have in common: the service, cursors, and entity tags."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from fastapi import Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel

from builder import documents
from builder.api.stream import Streams
from builder.formats import Exported
from builder.records import Environment, Revisions
from builder.service import Service

EXAMPLE_TAG = '"7"'

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

FETCHING = ThreadPoolExecutor(4, "fetching")
"""For what may wait for git."""

RESOLVING = ThreadPoolExecutor(2, "resolving")
"""For what writes, and may wait for a host's address before that."""

READING = ThreadPoolExecutor(2, "reading")
"""For what only reads records. More threads would only wait for each other: a read takes the interpreter, not the
disk."""

ASKING = ThreadPoolExecutor(8, "asking")
"""For what waits for the engine, which takes two seconds to say what a session uses."""


async def apart(
    threads: ThreadPoolExecutor, ask: Callable[Arguments, Answer], *rest: Arguments.args, **named: Arguments.kwargs
) -> Answer:
    """What a question that takes its time comes to; whoever asks another does not wait with it."""
    return await asyncio.get_running_loop().run_in_executor(threads, partial(ask, *rest, **named))


def within(
    threads: ThreadPoolExecutor, *, unless_at_hand: bool = False
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Awaitable[Answer]]]:
    """For a route that takes its time: FastAPI's own threads are few, and the way to them takes more turns of the
    loop.

    One that asks for little is answered at once where the records are at hand: the way to a thread and back takes as
    long as that, and waits for the interpreter twice.
    """

    def answered_there(route: Callable[Arguments, Answer]) -> Callable[Arguments, Awaitable[Answer]]:
        @wraps(route)
        async def answered(*given: Arguments.args, **named: Arguments.kwargs) -> Answer:
            if unless_at_hand and cast(Service, named["service"]).is_at_hand:
                return route(*given, **named)
            return await apart(threads, route, *given, **named)

        return answered

    return answered_there


reads = within(READING, unless_at_hand=True)
"""For a route that reads a record, or a page of them."""

reads_much = within(READING)
"""For a route that looks through many records, or makes a file of one."""


async def _service(request: Request) -> Service:
    service: Service = request.app.state.running.service
    return service


async def _streams(request: Request) -> Streams:
    streams: Streams = request.app.state.streams
    return streams


TheService = Annotated[Service, Depends(_service)]
TheStreams = Annotated[Streams, Depends(_streams)]
Id = Annotated[str, Path(pattern=documents.ID, examples=[documents.EXAMPLE_ID])]
Number = Annotated[int, Path(ge=1, le=2**31 - 1, examples=[1])]
Limit = Annotated[int, Query(ge=1, le=200, description="How many at the most.", examples=[50])]
Cursor = Annotated[
    str | None,
    Query(pattern=documents.ID, description="The `next` of the list before.", examples=[documents.EXAMPLE_ID]),
]
IfNoneMatch = Annotated[
    str | None, Header(description="An `ETag`: answers 304 where it still holds.", examples=[EXAMPLE_TAG])
]
IfMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` that was seen, or several, or `*`: answers 412 where none holds any longer.",
        examples=[EXAMPLE_TAG],
    ),
]


def header(name: str, description: str, example: str) -> dict[str, Any]:
    """A header of an answer, as OpenAPI describes it."""
    return {name: {"description": description, "schema": {"type": "string"}, "example": example}}


def location(kind: str, id: str) -> dict[str, Any]:
    return header("Location", "Where it is.", f"/api/v1/{kind}/{id}")


ETAG = header("ETag", "Changes with what is answered.", EXAMPLE_TAG)

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "It is as it was.", "headers": ETAG}}
"""For routes that know `If-None-Match`."""

TAGGED: dict[int | str, dict[str, Any]] = {200: {"headers": ETAG}, **NOT_MODIFIED}
"""For those of them that answer with a document."""

CHANGED: dict[int | str, dict[str, Any]] = {200: {"headers": ETAG}}
"""For routes that know `If-Match`, and answer with the environment."""


def answer(document: BaseModel, if_none_match: str | None, tag: str | None = None) -> Response:
    """A document with its entity tag; 304 without it where the asker has it already."""
    body = document.model_dump_json().encode()
    return _tagged(body, "application/json", if_none_match, tag or _digest(body))


def answer_file(file: Exported, if_none_match: str | None) -> Response:
    """A file to keep, with its entity tag; 304 without it where the asker has it already."""
    body = file.text.encode()
    response = _tagged(body, file.media_type, if_none_match, _digest(body))
    response.headers["Content-Disposition"] = f'attachment; filename="{file.name}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def has(if_none_match: str | None, etag: str) -> bool:
    """Whether the asker has what is asked for already."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in re.findall(r'"[^"]*"', if_none_match)


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:20]


def _tagged(body: bytes, media_type: str, if_none_match: str | None, tag: str) -> Response:
    etag = f'"{tag}"'
    if has(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(body, media_type=media_type, headers={"ETag": etag})


def answer_environment(environment: Environment, if_none_match: str | None = None) -> Response:
    """An environment; its revision is its entity tag, for `If-Match`."""
    return answer(documents.Environment.model_validate(environment), if_none_match, str(environment.revision))


def revisions_of(if_match: str | None) -> Revisions:
    """The revisions that `If-Match` names; a weak tag names none (RFC 9110, 13.1.1)."""
    if if_match is None or if_match.strip() == "*":
        return None
    return frozenset(map(int, re.findall(r'(?:^|,)\s*"(\d{1,9})"', if_match)))
