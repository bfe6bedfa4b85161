"""For whoever operates it: is it alive, can it work, how does it do."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from builder import documents
from builder.embedded import Embedded

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=documents.Health, summary="Whether the process answers")
def healthz() -> documents.Health:
    return documents.Health(status="ok")


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
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    summary="For Prometheus",
)
def metrics(request: Request) -> Response:
    running: Embedded = request.app.state.running
    return Response(running.metrics.text(), media_type="text/plain; version=0.0.4")
