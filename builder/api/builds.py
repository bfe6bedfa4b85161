"""Builds: the Rebuild button, and following what comes of it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from builder import documents
from builder.api.asking import (
    ETAG,
    NOT_MODIFIED,
    RESOLVING,
    TAGGED,
    Cursor,
    Id,
    IfNoneMatch,
    Limit,
    TheService,
    TheStreams,
    answer,
    has,
    header,
    location,
    reads,
    within,
)
from builder.api.problems import problem
from builder.failures.served import RequestInvalid
from builder.records import Asked as AskedBuild
from builder.records import BuildState

router = APIRouter(tags=["builds"])

Range = Annotated[str | None, Header(description="One range of bytes, or the last ones.", examples=["bytes=-500"])]
LastEventId = Annotated[int | None, Header(ge=0, le=2**53, description="Go on behind this event.", examples=[49])]
State = Annotated[BuildState | None, Query(description="Only those in this state.", examples=["failed"])]

LOG: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "Collecting numpy\n"}},
        "headers": ETAG,
    },
    206: {
        "description": "The range.",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": "numpy\n"}},
        "headers": {**ETAG, **header("Content-Range", "Which bytes, and of how many.", "bytes 11-16/17")},
    },
    **NOT_MODIFIED,
}
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`plan`, `step`, `log`, `state`, `explanation`; `end` is the last. Ids only grow.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
                    "required": ["id", "event", "data"],
                },
                "example": {"id": "49", "event": "state", "data": '{"state": "running", "again": false}'},
            }
        },
    }
}


@router.post(
    "/environments/{environment_id}/builds",
    status_code=201,
    response_model=documents.Build,
    responses={
        200: {
            "model": documents.Build,
            "description": "The one under way for the same inputs. "
            "Where its ref has moved on when it ends, another follows.",
            "headers": location("builds", documents.EXAMPLE_OTHER_ID),
        },
        201: {"headers": location("builds", documents.EXAMPLE_OTHER_ID)},
    },
    summary="Rebuild",
)
@within(RESOLVING, unless_at_hand=True)
def rebuild(
    environment_id: Id, service: TheService, response: Response, asked: documents.AskedBuild | None = None
) -> Any:
    """Answers at once. Where nothing changed, the build ends in seconds and makes no version."""
    wish = AskedBuild(ref=asked.ref, as_of=asked.as_of, fresh=asked.fresh) if asked else AskedBuild()
    build, new = service.rebuild(environment_id, wish, asked.asked_by if asked else "")
    response.status_code = 201 if new else 200
    response.headers["Location"] = f"/api/v1/builds/{build.id}"
    return documents.Build.model_validate(build)


@router.get(
    "/environments/{environment_id}/builds",
    response_model=documents.Builds,
    responses=TAGGED,
    summary="List the builds of an environment, the newest first",
)
@reads
def of_environment(
    environment_id: Id,
    service: TheService,
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.builds(environment_id=environment_id, state=state, after=cursor, limit=limit)
    return answer(documents.Builds.model_validate(page), if_none_match)


@router.get("/builds", response_model=documents.Builds, responses=TAGGED, summary="List all builds, the newest first")
@reads
def list_(
    service: TheService,
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.builds(state=state, after=cursor, limit=limit)
    return answer(documents.Builds.model_validate(page), if_none_match)


@router.get("/builds/{build_id}", response_model=documents.Build, responses=TAGGED, summary="Read")
@reads
def read(build_id: Id, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    return answer(documents.Build.model_validate(service.build(build_id)), if_none_match)


@router.post("/builds/{build_id}/cancel", response_model=documents.Build, summary="Cancel")
def cancel(build_id: Id, service: TheService) -> Any:
    """One that runs ends within 3 seconds; one that has ended stays as it is."""
    return documents.Build.model_validate(service.cancel(build_id))


@router.get("/builds/{build_id}/log", response_class=Response, responses=LOG, summary="The log, as text")
def log(build_id: Id, service: TheService, range: Range = None, if_none_match: IfNoneMatch = None) -> Response:
    """All that there is now, or a range of it."""
    path = service.log(build_id)
    text = path.read_bytes() if path.exists() else b""
    # A log only grows, so its length says which one it is.
    tag = f'"{len(text)}"'
    headers = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", "ETag": tag}
    if has(if_none_match, tag):
        return Response(status_code=304, headers={"ETag": tag})
    wanted = _slice(range, len(text))
    if wanted is None:
        return Response(text, media_type="text/plain", headers=headers)
    if not text[wanted]:
        beyond = problem(RequestInvalid((("Range", f"the log has {len(text):,} bytes"),)), 416)
        beyond.headers["Content-Range"] = f"bytes */{len(text)}"
        return beyond
    place = f"bytes {wanted.start}-{wanted.stop - 1}/{len(text)}"
    return Response(text[wanted], 206, {**headers, "Content-Range": place}, media_type="text/plain")


def _slice(range: str | None, size: int) -> slice | None:
    """What a Range header asks for; None for all, also where it is not of one range of bytes (RFC 9110, 14.2)."""
    found = re.fullmatch(r"bytes=(\d{0,15})-(\d{0,15})", range or "")
    if not found or not any(found.groups()):
        return None
    first, last = found.groups()
    if not first:
        return slice(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    return slice(int(first), min(size, int(last) + 1) if last else size)


@router.get(
    "/builds/{build_id}/events", response_class=StreamingResponse, responses=EVENTS, summary="Follow, as events"
)
def events(
    build_id: Id, service: TheService, streams: TheStreams, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Server-sent events. A reader that lost its connection, or its service, goes on where it was."""
    service.check_followed(build_id)
    return StreamingResponse(
        streams.of(build_id, last_event_id or 0),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
