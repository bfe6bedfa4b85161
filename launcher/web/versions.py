"""Versions of what a launcher launches: what is in each, what changed between two, and going back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from builder.failures.served import RecordAbsent
from builder.formats import formats_of
from builder.quantities import duration_in_words, size_in_words
from builder.records import WHOLE, Build, Environment
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
    builds = {version.number: builder.build(version.build_id) for version in page.items}
    seconds = {number: seconds_of(build) for number, build in builds.items()}
    sizes = {version.number: version.size for version in page.items}
    return render(
        "versions.html.j2", launcher=launcher, environment=environment, versions=page.items, next=page.next,
        reasons={number: build.outcome for number, build in builds.items()}, seconds=seconds,
        charts=(_chart("Image size", sizes, size_in_words), _chart("Build time", seconds, duration_in_words)),
    )  # fmt: skip


def seconds_of(build: Build) -> float:
    """How long a build ran; 0 for one that did not."""
    return (build.finished_at - build.started_at).total_seconds() if build.started_at and build.finished_at else 0.0


def _chart(words: str, values: Mapping[int, float], shown: Callable[[Any], str]) -> dict[str, Any]:
    """Columns by version, the oldest first, in thousandths of the tallest."""
    tallest = max(values.values(), default=0) or 1
    columns = [
        {"number": number, "height": max(10, round(1_000 * value / tallest)), "shown": shown(value)}
        for number, value in sorted(values.items())
    ]
    least, most = (shown(pick(values.values(), default=0)) for pick in (min, max))
    return {"words": words, "columns": columns, "least": least, "most": most}


@router.get("/versions/{number}")
def version(name: str, number: Number, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    launcher, environment = _of(name, launchers, builder)
    found = builder.version(environment.id, number, *WHOLE)
    return render(
        "version.html.j2", launcher=launcher, environment=environment, version=found, formats=formats_of(found)
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
