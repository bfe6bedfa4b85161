"""Sessions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from builder.api.asking import ASKING, NOT_MODIFIED, Cursor, Id, IfNoneMatch, Limit, answer, within
from launcher import documents
from launcher.api.asking import TheLaunchers
from launcher.records import SessionState

router = APIRouter(prefix="/sessions", tags=["sessions"])

States = Annotated[list[SessionState], Query(max_length=8, description="Only those in one of these states.")]


@router.get("", response_model=documents.Sessions, responses=NOT_MODIFIED, summary="List, the newest first")
def list_(
    service: TheLaunchers,
    state: States = [],  # noqa: B006 - the framework's way; nothing changes it
    cursor: Cursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.sessions(states=tuple(state), after=cursor, limit=limit)
    return answer(documents.Sessions.model_validate(page), if_none_match)


@router.get("/{session_id}", response_model=documents.OpenedSession, responses=NOT_MODIFIED, summary="Read")
def read(session_id: Id, service: TheLaunchers, if_none_match: IfNoneMatch = None) -> Response:
    """With the token that opens it."""
    return answer(documents.OpenedSession.model_validate(service.session(session_id)), if_none_match)


@router.post("/{session_id}/stop", response_model=documents.Session, summary="Stop")
def stop(session_id: Id, service: TheLaunchers) -> Any:
    """Its work directory stays, for the next session of its launcher."""
    return documents.Session.model_validate(service.stop(session_id))


@router.post("/{session_id}/pause", response_model=documents.Session, summary="Pause")
def pause(session_id: Id, service: TheLaunchers) -> Any:
    """Its processes end; its work directory, address and token stay. One that does not run stays as it is."""
    return documents.Session.model_validate(service.pause(session_id))


@router.post("/{session_id}/resume", response_model=documents.Session, summary="Resume")
def resume(session_id: Id, service: TheLaunchers) -> Any:
    return documents.Session.model_validate(service.resume(session_id))


@router.get(
    "/{session_id}/log",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": "Serving at /\n"}}}},
    summary="What it printed last, as text",
)
@within(ASKING)
def log(session_id: Id, service: TheLaunchers) -> Response:
    text = "".join(f"{line}\n" for line in service.log(session_id))
    return Response(text, media_type="text/plain", headers={"X-Content-Type-Options": "nosniff"})


@router.get("/{session_id}/usage", response_model=documents.Usage | None, summary="What it uses now")
@within(ASKING)
def usage(session_id: Id, service: TheLaunchers) -> Any:
    found = service.usage(session_id)
    return found and documents.Usage.model_validate(found)
