"""Versions: what was built, what is in it, and which one is in use."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from builder import documents
from builder.api.asking import (
    CHANGED,
    ETAG,
    NOT_MODIFIED,
    TAGGED,
    Id,
    IfMatch,
    IfNoneMatch,
    Limit,
    Number,
    TheService,
    answer,
    answer_environment,
    answer_file,
    reads,
    reads_much,
    revisions_of,
)
from builder.formats import Format
from builder.records import Package

router = APIRouter(prefix="/environments/{environment_id}", tags=["versions"])

NumberCursor = Annotated[
    str | None, Query(pattern=r"^[0-9]{1,9}$", description="The `next` of the list before.", examples=["3"])
]


AsFormat = Annotated[
    Format,
    Query(
        description="`json`: as it is kept. `requirements`: for `pip install --require-hashes`. `conda`: an explicit "
        "list, for conda and rattler. `cyclonedx`: a bill of materials, CycloneDX 1.6.",
        examples=["requirements"],
    ),
]
LOCK: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A file; its name is in `Content-Disposition`.",
        "content": {
            "application/json": {"schema": {"type": "object"}, "example": documents.EXAMPLE_LOCK},
            "text/plain": {"schema": {"type": "string"}, "example": documents.EXAMPLE_REQUIREMENTS},
            "application/vnd.cyclonedx+json": {
                "schema": {"type": "object"},
                "example": {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": []},
            },
        },
        "headers": ETAG,
    },
    **NOT_MODIFIED,
}


@router.get("/versions", response_model=documents.Versions, responses=TAGGED, summary="List, the newest first")
@reads
def list_(
    environment_id: Id,
    service: TheService,
    cursor: NumberCursor = None,
    limit: Limit = 50,
    if_none_match: IfNoneMatch = None,
) -> Response:
    page = service.versions(environment_id, after=cursor, limit=limit)
    return answer(documents.Versions.model_validate(page), if_none_match)


@router.get("/versions/diff", response_model=documents.Difference, responses=TAGGED, summary="What changed between two")
@reads
def diff(
    environment_id: Id,
    service: TheService,
    before: Annotated[int, Query(alias="from", ge=1, le=2**31 - 1, examples=[1])],
    after: Annotated[int, Query(alias="to", ge=1, le=2**31 - 1, examples=[2])],
    if_none_match: IfNoneMatch = None,
) -> Response:
    found = service.diff(environment_id, before, after)
    document = documents.Difference(
        added=[_package(package) for package in found.added],
        removed=[_package(package) for package in found.removed],
        changed=[documents.PackageChange(before=_package(old), after=_package(new)) for old, new in found.changed],
    )
    return answer(document, if_none_match)


@router.get("/versions/{number}", response_model=documents.Version, responses=TAGGED, summary="Read")
@reads
def read(environment_id: Id, number: Number, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    return answer(documents.Version.model_validate(service.version(environment_id, number)), if_none_match)


@router.get(
    "/versions/{number}/packages",
    response_model=documents.Packages,
    responses=TAGGED,
    summary="What is actually installed",
)
@reads
def packages(environment_id: Id, number: Number, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    inventory = service.version(environment_id, number, "inventory").inventory
    return answer(documents.Packages.model_validate(inventory), if_none_match)


@router.get(
    "/versions/{number}/lock", response_class=Response, responses=LOCK, summary="Its lock, for other tools as well"
)
@reads_much
def lock(
    environment_id: Id,
    number: Number,
    service: TheService,
    format: AsFormat = "json",
    if_none_match: IfNoneMatch = None,
) -> Response:
    """404 with the code `kind-absent` where the version has no package of the kind that a format is for."""
    return answer_file(service.lock(environment_id, number, format), if_none_match)


@router.get(
    "/versions/{number}/dockerfile",
    response_class=Response,
    responses={
        200: {
            "description": "A file; its name is in `Content-Disposition`.",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": "FROM debian:bookworm-slim\n"}},
            "headers": ETAG,
        },
        **NOT_MODIFIED,
    },
    summary="The Dockerfile that it was built by",
)
@reads
def dockerfile(environment_id: Id, number: Number, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    """404 for a version of before Dockerfiles were kept."""
    return answer_file(service.dockerfile(environment_id, number), if_none_match)


@router.get(
    "/versions/{number}/provenance",
    response_model=documents.Provenance,
    responses=TAGGED,
    summary="What it was made of, with what, and by which build",
)
@reads
def provenance(environment_id: Id, number: Number, service: TheService, if_none_match: IfNoneMatch = None) -> Response:
    """As it was then."""
    found = service.version(environment_id, number, "provenance").provenance
    return answer(documents.Provenance.model_validate(found), if_none_match)


@router.post(
    "/versions/{number}/use",
    response_model=documents.Environment,
    responses=CHANGED,
    summary="Roll back, or forward",
)
def use(environment_id: Id, number: Number, service: TheService, if_match: IfMatch = None) -> Response:
    """This version is the current one until a build succeeds: then it is the one that the build came to, although it
    may be one that there was. To keep it whatever is built, pin it. 409 with the code `version-pinned` where another
    is pinned."""
    return answer_environment(service.roll_back(environment_id, number, revisions_of(if_match)))


@router.put("/pin/{number}", response_model=documents.Environment, responses=CHANGED, summary="Pin")
def pin(environment_id: Id, number: Number, service: TheService, if_match: IfMatch = None) -> Response:
    """This version is the current one, whatever is built."""
    return answer_environment(service.pin(environment_id, number, revisions_of(if_match)))


@router.delete("/pin", response_model=documents.Environment, responses=CHANGED, summary="Unpin")
def unpin(environment_id: Id, service: TheService, if_match: IfMatch = None) -> Response:
    """What the next build comes to is the current one again."""
    return answer_environment(service.unpin(environment_id, revisions_of(if_match)))


def _package(package: Package) -> documents.Package:
    return documents.Package.model_validate(package)
