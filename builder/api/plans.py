"""Previews."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from builder import documents
from builder.api.asking import FETCHING, TheService, apart
from builder.api.environments import environment_of

router = APIRouter(tags=["plans"])


@router.post("/plans", response_model=documents.Preview, summary="What would be built, and why")
async def preview(wanted: documents.Wanted, service: TheService) -> Response:
    """Builds nothing. What a ref points at is remembered for 10 seconds."""
    new = environment_of(wanted)
    found = service.known_preview(new)
    return JSONResponse(dict(await apart(FETCHING, service.preview, new) if found is None else found))
