"""For whoever operates it: is it alive, can it work, how does it do."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from builder import documents
from builder.embedded import Embedded

router = APIRouter(tags=["operations"])

EXAMPLE_METRICS = """\
# HELP launchyard_builds_under_way Builds that have not ended.
# TYPE launchyard_builds_under_way gauge
launchyard_builds_under_way{state="queued"} 3.0
launchyard_builds_under_way{state="running"} 2.0
"""


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=documents.Health, summary="Whether the process answers")
async def healthz() -> documents.Health:  # no request that waits for a database keeps it waiting
    return documents.Health(status="ok")


@router.head("/readyz", include_in_schema=False)  # some monitors ask so
@router.get("/readyz", response_model=documents.Health, summary="Whether its databases answer")
def readyz(request: Request) -> documents.Health:
    """An engine that is away does not count: reads go on, and builds say so."""
    running: Embedded = request.app.state.running
    running.store.answers()
    running.queue.answers()
    return documents.Health(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": EXAMPLE_METRICS}}}},
    summary="For Prometheus",
)
def metrics(request: Request) -> Response:
    running: Embedded = request.app.state.running
    return Response(running.metrics.text(), media_type="text/plain; version=0.0.4")
