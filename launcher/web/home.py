"""Home: launchers with their state, what runs, what was built."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from builder.failures.served import RecordAbsent
from builder.records import Environment
from builder.service import BuildError, Service
from launcher.records import LIVE, Launcher, Session
from launcher.service import Launchers
from launcher.web.page import Shown, TheBuilder, TheLaunchers, render, unless

router = APIRouter()

BUILDS = 6
"""Recent ones that are shown."""

Search = Annotated[str, Query(max_length=63)]
Cursor = Annotated[str | None, Query(max_length=36)]


@router.get("/")
def home(
    launchers: TheLaunchers, builder: TheBuilder, search: Search = "", cursor: Cursor = None, shown: Shown = ""
) -> Response:
    found = launchers.launchers(search=search, after=cursor)
    live = launchers.sessions(states=LIVE, limit=200).items
    builds = () if cursor or search else builder.builds(limit=BUILDS).items
    page = render(
        "home.html.j2",
        search=search,
        cursor=cursor,
        examples=launchers.examples(),
        rows=[(launcher, environment_of(launcher, builder)) for launcher in found.items],
        next=found.next,
        live={launcher.id: [s for s in live if s.launcher_id == launcher.id] for launcher in found.items},
        sessions=with_launchers(live[:20], launchers),
        builds=[(build, name_of(build.environment_id, launchers, builder)) for build in builds],
    )
    return unless(shown, page)


def with_launchers(sessions: Iterable[Session], launchers: Launchers) -> list[tuple[Session, Launcher]]:
    """Sessions, each with its launcher, but for those whose launcher is just being deleted."""
    found = []
    for session in sessions:
        try:
            found.append((session, launchers.launcher(session.launcher_id)))
        except BuildError as error:
            if not isinstance(error.failure, RecordAbsent):
                raise
    return found


def environment_of(launcher: Launcher, builder: Service) -> Environment | None:
    """None where a launcher is of an image, or its environment was deleted."""
    if launcher.environment_id is None:
        return None
    try:
        return builder.environment(launcher.environment_id)
    except BuildError as error:
        if isinstance(error.failure, RecordAbsent):
            return None
        raise


def name_of(environment_id: str, launchers: Launchers, builder: Service) -> str:
    """What people know an environment by: its launcher, where it has one."""
    of_it = launchers.launchers_of(environment_id)
    return of_it[0].name if of_it else builder.environment(environment_id).name
