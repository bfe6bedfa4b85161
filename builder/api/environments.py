"""Environments."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from builder import documents
from builder.api.asking import (
    CHANGED,
    ETAG,
    RESOLVING,
    TAGGED,
    Cursor,
    Id,
    IfMatch,
    IfNoneMatch,
    Limit,
    TheService,
    answer,
    answer_environment,
    apart,
    location,
    reads,
    reads_much,
    revisions_of,
)
from builder.records import Choices, Environment, EnvironmentState
from builder.service import NewEnvironment

router = APIRouter(prefix="/environments", tags=["environments"])

Search = Annotated[
    str,
    Query(
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Part of a name or a repository.",
        examples=["tides"],
    ),
]
State = Annotated[EnvironmentState | None, Query(description="Only those in this state.", examples=["ready"])]


def environment_of(wanted: documents.Wanted) -> NewEnvironment:
    """What the service is asked for by a request's body."""
    name, owner = (wanted.name, wanted.owner) if isinstance(wanted, documents.NewEnvironment) else (None, None)
    return NewEnvironment(wanted.repository, name, wanted.ref, wanted.subdir, choices_of(wanted.options), owner)


def choices_of(given: documents.Choices) -> Choices:
    return Choices(given.strategy, given.python, given.frontend, tuple(given.groups), tuple(given.extras), given.as_of)


@router.post(
    "",
    status_code=201,
    response_model=documents.Created,
    responses={201: {"headers": {**ETAG, **location("environments", documents.EXAMPLE_ID)}}},
    summary="Create an environment, and build it",
)
async def create(new: documents.NewEnvironment, service: TheService, response: Response) -> Any:
    environment, build = await apart(RESOLVING, service.create, environment_of(new), new.asked_by)
    response.headers["Location"] = f"/api/v1/environments/{environment.id}"
    response.headers["ETag"] = _tag(environment)
    shown = documents.Environment.model_validate(environment).model_dump()
    return documents.Created(**shown, build=documents.Build.model_validate(build))


@router.get("", response_model=documents.Environments, responses=TAGGED, summary="List, the newest first")
@reads_much
def list_(
    service: TheService,
    search: Search = "",
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.environments(search=search, state=state, after=cursor, limit=limit)
    return answer(documents.Environments.model_validate(page), if_none_match)


@router.get("/{environment_id}", response_model=documents.Environment, responses=TAGGED, summary="Read")
@reads
def read(environment_id: Id, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    return answer_environment(service.environment(environment_id), if_none_match)


@router.patch("/{environment_id}", response_model=documents.Environment, responses=CHANGED, summary="Change")
async def change(
    environment_id: Id, wanted: documents.EnvironmentChange, service: TheService, if_match: IfMatch = None
) -> Response:
    """Members that are left out stay as they are, those of `options` as well. Nothing is built by it."""
    changes: dict[str, Any] = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    if "options" in changes:
        whole = asdict(choices_of(wanted.options))
        changes["options"] = {name: whole[name] for name in wanted.options.model_fields_set}
    changed = await apart(RESOLVING, service.change, environment_id, changes, revisions_of(if_match))
    return answer_environment(changed)


@router.delete("/{environment_id}", status_code=204, summary="Delete, with its builds and versions")
def delete(environment_id: Id, service: TheService, if_match: IfMatch = None) -> None:
    """What it builds at this moment is ended. Images stay in the engine; `launchyard prune` removes them."""
    service.delete(environment_id, revisions_of(if_match))


@router.get(
    "/{environment_id}/image",
    response_model=documents.CurrentImage,
    responses=TAGGED,
    summary="The image that a launcher should use now",
)
@reads
def image(environment_id: Id, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    """404 with the code `no-version-yet` where there is none yet."""
    environment, version = service.image(environment_id)
    document = documents.CurrentImage(
        environment_id=environment.id,
        version=version.number,
        reference=version.reference,
        digest=version.digest,
        image_id=version.image_id,
    )
    return answer(document, if_none_match)


def _tag(environment: Environment) -> str:
    return f'"{environment.revision}"'
