"""A build: its stages as they fill, its log as it comes, and why it failed before either."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from builder.api.asking import Id
from builder.api.stream import ALIVE, LOOK, has_ended
from builder.database import AWAY
from builder.failures.served import RecordAbsent
from builder.journal import Event
from builder.records import UNDER_WAY, Build
from builder.service import BuildError, Service
from builder.transcript import printable
from launcher.web.home import name_of
from launcher.web.page import TEMPLATES, TheBuilder, TheLaunchers, go, render

router = APIRouter(prefix="/builds/{build_id}")

SHOWN = 5_000
"""Lines of a log that a page begins with; all of it is one link away."""

REDRAWN = 0.5
"""Seconds between two drawings of the timeline while it fills."""


@dataclass(slots=True)
class Bar:
    """A stage of a build in the timeline: seconds since 1970, of its first and its last step."""

    words: str
    began: float
    ended: float | None
    cached: bool
    failed: bool


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a build's log."""

    number: int
    stage: str
    text: str


@dataclass(slots=True)
class Story:
    """What is known of a build from its events: the steps by stage, and the lines of its log."""

    steps: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    """By step."""
    lines: int = 0
    stage: str = ""
    """Of the last line."""
    last: int = 0
    """The id of the last event."""

    def tell(self, event: Event) -> Iterator[Line]:
        """Take an event in; the lines of the log that it holds."""
        self.last = event.id
        content = event.content
        if event.type == "step" and content.get("stage"):
            self.steps.setdefault(content["stage"], {})[content["name"]] = content
            self.stages[content["name"]] = content["stage"]
        elif event.type == "log":
            for text in str(content["text"]).splitlines():
                self.lines += 1
                self.stage = self.stages.get(content["step"], "")
                yield Line(self.lines, self.stage, printable(text))

    def bars(self) -> list[Bar]:
        """The timeline, in the order in which stages began."""
        return sorted(filter(None, map(_bar, self.steps.items())), key=lambda bar: bar.began)


def _bar(stage: tuple[str, Mapping[str, Mapping[str, Any]]]) -> Bar | None:
    words, steps = stage
    # What a stage stands on is looked up long before it begins.
    own = [step for step in steps.values() if " FROM " not in step["name"]]
    started = [step for step in own or steps.values() if step["started"]]
    if not started:
        return None
    running = any(not step["completed"] for step in started)
    cached = all(step["cached"] for step in started)
    return Bar(
        words,
        # What is cached may be told with the time at which it was made.
        min(step["started"] for step in started if cached or not step["cached"]),
        None if running else max(step["completed"] for step in started),
        bool(own) and cached,
        any(step["error"] for step in started),
    )


@router.get("")
def build(build_id: str, builder: TheBuilder, launchers: TheLaunchers) -> Response:
    found = builder.build(build_id)
    story = Story()
    lines = [line for event in _events(builder, build_id) for line in story.tell(event)]
    return render(
        "build.html.j2",
        build=found,
        name=name_of(found.environment_id, launchers, builder),
        launchers=launchers.launchers_of(found.environment_id),
        current=builder.environment(found.environment_id).current_version,
        timeline=_timeline(found, story.bars()),
        lines=lines[-SHOWN:],
        before="",
        left_out=max(0, len(lines) - SHOWN),
        after=f"{story.last}-{story.lines}",
        running=found.state in UNDER_WAY,
    )


@router.post("/cancel")
def cancel(build_id: str, builder: TheBuilder) -> Response:
    builder.cancel(build_id)
    return go(f"/builds/{build_id}")


LastEventId = Annotated[str | None, Header(pattern=r"^\d{1,16}-\d{1,9}$")]
After = Annotated[str, Query(pattern=r"^\d{1,16}-\d{1,9}$")]


@router.get("/stream")
def stream(
    build_id: Id, builder: TheBuilder, after: After = "0-0", last_event_id: LastEventId = None
) -> StreamingResponse:
    """The parts of the page that change, as server-sent events; a reader goes on where it was."""
    builder.check_followed(build_id)
    return StreamingResponse(
        _until_it_is_gone(_parts(builder, build_id, last_event_id or after)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def _until_it_is_gone(parts: AsyncIterator[str]) -> AsyncIterator[str]:
    """Parts of a build, whose environment may be deleted while it is watched: then that is its end."""
    try:
        async for part in parts:
            yield part
    except BuildError as error:
        if not isinstance(error.failure, RecordAbsent):
            raise
        yield "event: end\ndata:\n\n"


async def _parts(builder: Service, build_id: str, seen: str) -> AsyncIterator[str]:
    behind = int(seen.partition("-")[0])
    story = Story()
    drawn = quiet = time.monotonic()
    changed = False
    while True:
        events = await asyncio.to_thread(builder.events, build_id, story.last)
        for event in events:
            before = story.stage
            lines = list(story.tell(event))
            changed = changed or event.type in ("step", "plan", "state")
            if event.id <= behind:
                continue
            if lines:
                yield _sent(story, "log", _part("parts/lines.html.j2", lines=lines, before=before))
            if event.type == "end":
                yield _sent(story, "end", event.content["state"])
                return
        now = time.monotonic()
        if changed and now - drawn >= REDRAWN:
            drawn = now
            if found := await asyncio.to_thread(_unless_away, builder, build_id):
                yield _sent(story, "timeline", _part("parts/progress.html.j2", timeline=_timeline(found, story.bars())))
                changed = bool(story.bars()) and found.state in UNDER_WAY
        if events:
            quiet = now
            continue
        if now - quiet >= ALIVE:
            quiet = now
            if await asyncio.to_thread(has_ended, builder, build_id):
                yield _sent(story, "end", "")
                return
            yield ": still here\n\n"
        await asyncio.sleep(LOOK)


def _unless_away(builder: Service, build_id: str) -> Build | None:
    """A build; None while the database is away."""
    try:
        return builder.build(build_id)
    except AWAY:
        return None


def _events(builder: Service, build_id: str) -> Iterator[Event]:
    last = 0
    while events := builder.events(build_id, last):
        yield from events
        last = events[-1].id


def _part(template: str, **values: Any) -> str:
    return TEMPLATES.get_template(template).render(**values)


def _sent(story: Story, type: str, text: str) -> str:
    data = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
    return f"id: {story.last}-{story.lines}\nevent: {type}\n{data}\n"


def _timeline(build: Build, bars: list[Bar]) -> dict[str, Any]:
    """Bars with their places in thousandths of the time that all of them span."""
    now = (build.finished_at or datetime.now(UTC)).timestamp()
    begun = (build.started_at or build.created_at).timestamp()
    bars = [replace(bar, began=max(bar.began, begun)) for bar in bars]
    first = min((bar.began for bar in bars), default=now)
    last = max((bar.ended or now for bar in bars), default=now)
    span = max(last - first, 0.001)
    rows = []
    for bar in bars:
        seconds = max(0.0, (bar.ended or now) - bar.began)
        rows.append(
            {
                "words": bar.words,
                "seconds": seconds,
                "left": round(1_000 * (bar.began - first) / span),
                "width": max(4, round(1_000 * seconds / span)),
                "how": "failed" if bar.failed else "cached" if bar.cached else "done" if bar.ended else "running",
            }
        )
    return {"rows": rows, "state": build.state, "seconds": max(0.0, now - begun)}
