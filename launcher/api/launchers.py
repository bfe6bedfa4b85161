"""Launchers."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from builder.api.asking import (
    NOT_MODIFIED,
    RESOLVING,
    Cursor,
    Id,
    IfMatch,
    IfNoneMatch,
    Limit,
    answer,
    revisions_of,
    within,
)
from builder.api.environments import environment_of
from launcher import documents
from launcher.api.asking import TheLaunchers
from launcher.service import NewLauncher

router = APIRouter(prefix="/launchers", tags=["launchers"])

Search = Annotated[str, Query(max_length=63, pattern=r"^[^\x00-\x1f\x7f]*$", description="Part of a name.")]


@router.post("", status_code=201, response_model=documents.Launcher, summary="Create a launcher")
@within(RESOLVING)
def create(new: documents.NewLauncher, service: TheLaunchers, response: Response) -> Any:
    """One of code starts the first build of its environment."""
    launcher = service.create(
        NewLauncher(
            name=new.name,
            code=environment_of(new.code) if new.code else None,
            environment_id=new.environment_id,
            image=new.image,
            version=new.version,
            frontend=new.frontend,
            command=tuple(new.command),
            resources=new.resources,
            variables=new.variables,
            secrets=new.secrets,
            data=tuple(new.data),
            idle_limit=new.idle_limit,
        )
    )
    response.headers["Location"] = f"/api/v1/launchers/{launcher.id}"
    response.headers["ETag"] = f'"{launcher.revision}"'
    return documents.Launcher.model_validate(launcher)


@router.get("", response_model=documents.Launchers, responses=NOT_MODIFIED, summary="List, the newest first")
def list_(
    service: TheLaunchers,
    search: Search = "",
    cursor: Cursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.launchers(search=search, after=cursor, limit=limit)
    return answer(documents.Launchers.model_validate(page), if_none_match)


@router.get("/{launcher_id}", response_model=documents.Launcher, responses=NOT_MODIFIED, summary="Read")
def read(launcher_id: Id, service: TheLaunchers, if_none_match: IfNoneMatch = None) -> Response:
    found = service.launcher(launcher_id)
    return answer(documents.Launcher.model_validate(found), if_none_match, str(found.revision))


@router.patch("/{launcher_id}", response_model=documents.Launcher, summary="Change")
def change(
    launcher_id: Id, wanted: documents.LauncherChange, service: TheLaunchers, if_match: IfMatch = None
) -> Response:
    """Members that are left out stay as they are. The next session follows it."""
    changes: dict[str, Any] = {name: getattr(wanted, name) for name in wanted.model_fields_set - {"secrets"}}
    changes |= {name: tuple(changes[name]) for name in ("command", "data") if name in changes}
    changed = service.change(launcher_id, changes, wanted.secrets, revisions_of(if_match))
    return answer(documents.Launcher.model_validate(changed), None, str(changed.revision))


@router.delete("/{launcher_id}", status_code=204, summary="Delete, with its sessions and work directories")
def delete(launcher_id: Id, service: TheLaunchers, if_match: IfMatch = None) -> None:
    """Its environment goes with it, unless another launcher has the same."""
    service.delete(launcher_id, revisions_of(if_match))


@router.post(
    "/{launcher_id}/sessions", status_code=201, response_model=documents.OpenedSession, summary="Launch a session"
)
def launch(launcher_id: Id, service: TheLaunchers, response: Response) -> Any:
    """Answers at once; the session is `starting`. 404 with `no-version-yet` while there is no image."""
    session = service.launch(launcher_id)
    response.headers["Location"] = f"/api/v1/sessions/{session.id}"
    return documents.OpenedSession.model_validate(session)


@router.get(
    "/{launcher_id}/sessions",
    response_model=documents.Sessions,
    responses=NOT_MODIFIED,
    summary="List the sessions of a launcher, the newest first",
)
def of_launcher(
    launcher_id: Id,
    service: TheLaunchers,
    cursor: Cursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.sessions(launcher_id=launcher_id, after=cursor, limit=limit)
    return answer(documents.Sessions.model_validate(page), if_none_match)
