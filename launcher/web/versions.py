"""Versions of what a launcher launches: what is in each, what changed between two, and going back."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from builder.failures.served import RecordAbsent
from builder.records import Environment
from builder.service import BuildError, Service
from launcher.records import Launcher
from launcher.service import Launchers
from launcher.web.home import environment_of
from launcher.web.page import TheBuilder, TheLaunchers, go, render

router = APIRouter(prefix="/launchers/{name}")

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
Cursor = Annotated[str | None, Query(pattern=r"^[0-9]{1,9}$")]


@router.get("/versions")
def versions(name: str, launchers: TheLaunchers, builder: TheBuilder, cursor: Cursor = None) -> Response:
    launcher, environment = _of(name, launchers, builder)
    page = builder.versions(environment.id, after=cursor, limit=30)
    reasons = {version.number: builder.build(version.build_id).outcome for version in page.items}
    return render(
        "versions.html.j2", launcher=launcher, environment=environment, versions=page.items, next=page.next,
        reasons=reasons, largest=max((version.size for version in page.items), default=1),
    )  # fmt: skip


@router.get("/versions/{number}")
def version(name: str, number: Number, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    launcher, environment = _of(name, launchers, builder)
    return render(
        "version.html.j2", launcher=launcher, environment=environment, version=builder.version(environment.id, number)
    )


@router.post("/versions/{number}/use")
def use(name: str, number: Number, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    """Roll back, or forward."""
    _, environment = _of(name, launchers, builder)
    builder.roll_back(environment.id, number)
    return go(f"/launchers/{name}/versions")


@router.get("/diff")
def diff(
    name: str,
    launchers: TheLaunchers,
    builder: TheBuilder,
    before: Annotated[int, Query(alias="from", ge=1, le=2**31 - 1)],
    after: Annotated[int, Query(alias="to", ge=1, le=2**31 - 1)],
) -> Response:
    launcher, environment = _of(name, launchers, builder)
    return render(
        "diff.html.j2", launcher=launcher, before=before, after=after,
        difference=builder.diff(environment.id, before, after),
        versions=builder.versions(environment.id, limit=100).items,
    )  # fmt: skip


def _of(name: str, launchers: Launchers, builder: Service) -> tuple[Launcher, Environment]:
    launcher = launchers.named(name)
    environment = environment_of(launcher, builder)
    if environment is None:
        raise BuildError(RecordAbsent("version", f"{name} is of an image"))
    return launcher, environment
