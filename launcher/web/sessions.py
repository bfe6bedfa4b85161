"""A session on its way, and what it uses and prints."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from starlette.responses import Response

from builder.api.asking import ASKING, within
from launcher.places import Places
from launcher.records import OPEN
from launcher.web.page import Shown, TheLaunchers, go, render, unless

router = APIRouter(prefix="/launchers/{name}/sessions/{session_id}")


@router.get("")
def session(
    request: Request, name: str, session_id: str, launchers: TheLaunchers, open: bool = False, shown: Shown = ""
) -> Response:
    """With `open`, its frontend is opened as soon as it answers."""
    found = launchers.session(session_id)
    places: Places = request.app.state.places
    address = places.opening(request.url.scheme, request.headers.get("host", ""), found)
    if "hx-request" in request.headers and open and found.state in OPEN:
        return Response(status_code=204, headers={"HX-Trigger": json.dumps({"opening": {"address": address}})})
    launcher = launchers.launcher(found.launcher_id)
    page = render(
        "session.html.j2", launcher=launcher, session=found, address=address, open=open,
        resources=launchers.resources().get(launcher.resources),
    )  # fmt: skip
    return unless(shown, page)


@router.get("/usage")
@within(ASKING)
def usage(name: str, session_id: str, launchers: TheLaunchers) -> Response:
    return render("parts/usage.html.j2", usage=launchers.usage(session_id))


@router.get("/log")
@within(ASKING)
def log(name: str, session_id: str, launchers: TheLaunchers) -> Response:
    return render("parts/session_log.html.j2", lines=launchers.log(session_id))


@router.post("/stop")
def stop(name: str, session_id: str, launchers: TheLaunchers) -> Response:
    launchers.stop(session_id)
    return go(f"/launchers/{name}/sessions/{session_id}")


@router.post("/pause")
def pause(name: str, session_id: str, launchers: TheLaunchers) -> Response:
    launchers.pause(session_id)
    return go(f"/launchers/{name}/sessions/{session_id}")


@router.post("/resume")
def resume(name: str, session_id: str, launchers: TheLaunchers) -> Response:
    launchers.resume(session_id)
    return go(f"/launchers/{name}/sessions/{session_id}?open=1")
