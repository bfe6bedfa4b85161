"""Operator: what waits, what works, what fails, what is used, and how much room is left."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from builder.api.asking import ASKING, within
from builder.records import Ended
from launcher.records import LIVE
from launcher.web.home import name_of, with_launchers
from launcher.web.page import Shown, TheBuilder, TheLaunchers, render, unless

router = APIRouter(prefix="/operator")

DAYS = 14
"""How far back failures are shown."""

SHOWN = 50
"""Builds and sessions that are shown of each."""


@router.get("")
def operator(launchers: TheLaunchers, builder: TheBuilder, shown: Shown = "") -> Response:
    builds = builder.under_way()
    live = launchers.sessions(states=LIVE, limit=SHOWN)
    workers = builder.workers()
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    page = render(
        "operator.html.j2",
        builds=[(build, name_of(build.environment_id, launchers, builder)) for build in builds[:SHOWN]],
        counts=Counter(build.state for build in builds),
        workers=workers,
        at_once=sum(worker.at_once for worker in workers),
        sessions=with_launchers(live.items, launchers),
        more=bool(live.next),
        days=DAYS,
        **_failures(builder.ended(datetime.combine(days[0], datetime.min.time(), UTC)), days),
    )
    return unless(shown, page)


@router.get("/space")
@within(ASKING)
def space(launchers: TheLaunchers) -> Response:
    """Apart from the rest, since it takes its time."""
    return render("parts/space.html.j2", space=launchers.space())


def _failures(ended: tuple[Ended, ...], days: list[date]) -> dict[str, Any]:
    """Columns for every day, in thousandths of the tallest, and kinds of failure, the most frequent first."""
    by_day = {day: Counter[str]() for day in days}
    kinds = Counter[str]()
    for found in ended:
        if found.day in by_day:
            by_day[found.day][found.state] += found.count
        if found.state == "failed":
            kinds[found.code] += found.count
    tallest = max((counts["failed"] + counts["succeeded"] for counts in by_day.values()), default=0) or 1
    columns = [
        {
            "day": day,
            "failed": counts["failed"],
            "succeeded": counts["succeeded"],
            "low": round(1_000 * counts["failed"] / tallest),
            "high": round(1_000 * counts["succeeded"] / tallest),
        }
        for day, counts in by_day.items()
    ]
    return {"columns": columns, "kinds": [(code.replace("-", " "), count) for code, count in kinds.most_common()]}
