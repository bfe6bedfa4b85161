"""How pages are made: templates, forms, and what every page knows."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Query, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse, Response

from builder.failures import Explanation, explain
from builder.quantities import duration_in_words, size_in_words
from builder.service import BuildError, Service
from launcher.service import Launchers

MAX_FIELDS = 100

TEMPLATES = Environment(
    loader=PackageLoader("launcher.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page, or a part of one."""
    text = TEMPLATES.get_template(template).render(**values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


Shown = Annotated[str, Query(pattern=r"^([0-9a-f]{16})?$")]
"""What a page that keeps itself fresh has: the digest that the template gave it."""


def unless(shown: str, page: Response) -> Response:
    """A page, or nothing where it shows what is `shown` already."""
    return Response(status_code=204) if shown and shown.encode() in page.body else page


def go(path: str) -> RedirectResponse:
    """Where to look after a form was sent."""
    return RedirectResponse(path, 303)


async def _form(request: Request) -> Mapping[str, str]:
    """The fields of a form that was sent, without the empty ones."""
    body = (await request.body()).decode("utf-8", errors="replace")
    try:
        pairs = parse_qsl(body, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return {name: value.strip() for name, value in pairs if value.strip()}


async def _builder(request: Request) -> Service:
    service: Service = request.app.state.running.service
    return service


async def _launchers(request: Request) -> Launchers:
    service: Launchers = request.app.state.launchers
    return service


Form = Annotated[Mapping[str, str], Depends(_form)]
TheBuilder = Annotated[Service, Depends(_builder)]
TheLaunchers = Annotated[Launchers, Depends(_launchers)]


def failed(error: BuildError, template: str, status: int = 422, **values: Any) -> Response:
    """A page again, with why what was asked of it cannot be."""
    return render(template, status, failure=told(error.failure), **values)


def told(failure: object) -> Explanation:
    """A failure in words for who sees it on a page."""
    return explain(failure, to_command=False)


def _ago(moment: datetime) -> str:
    """ "just now", "17 s ago", "5 min ago", "3 h ago" or "12 d ago"."""
    seconds = int((datetime.now(UTC) - moment).total_seconds())
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= max(5, length):
            return f"{seconds // length} {unit} ago"
    return "just now"


def _seen(text: str) -> str:
    """A digest of a part of a page, whatever the time is."""
    return hashlib.sha256(re.sub(r"(<time[^>]*>)[^<]*", r"\1", text).encode()).hexdigest()[:16]


def _coded(text: str) -> Markup:
    """Words with what stands between `these` as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


TEMPLATES.filters.update(ago=_ago, coded=_coded, duration=duration_in_words, size=size_in_words, seen=_seen)
