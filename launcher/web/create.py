"""Create: a link is read as it is pasted, and what would be built is seen before it is asked for.

A launcher may also be of an environment that there is, or of an image.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from fastapi import APIRouter, Query
from starlette.responses import Response

from builder.api.asking import FETCHING, within
from builder.failures.served import LauncherInvalid
from builder.records import Choices
from builder.service import BuildError, NewEnvironment, Service
from launcher.frontends import PRESETS
from launcher.records import Frontend
from launcher.service import IDLE_LIMITS, Launchers, NewLauncher
from launcher.web.page import Form, TheBuilder, TheLaunchers, failed, go, render, told

router = APIRouter()

Given = Annotated[str, Query(max_length=2_000)]

STRATEGIES = ("conda", "pip", "poetry", "project")

OFFERED = 100
"""Environments that are offered by name, the newest; any other can be typed."""


@router.get("/launch")
def create(
    launchers: TheLaunchers, builder: TheBuilder, repo: Given = "", ref: Given = "", subdir: Given = ""
) -> Response:
    """The page, filled in where a link says so: /launch?repo=…&ref=…"""
    given = {"repository": repo, "ref": ref, "subdir": subdir}
    return render("create.html.j2", failure=None, **_form(launchers, builder, given))


@router.post("/launch/plan")
@within(FETCHING)
def plan(form: Form, builder: TheBuilder) -> Response:
    """The card: what would be built, and where each choice came from; or what is wrong, and what to do."""
    if "repository" not in form:
        return render("parts/plan.html.j2", plan=None, failure=None, refs=(), given=form)
    try:
        code = _code(form)
        found = builder.preview(code)
        refs = builder.refs(code.repository)
    except BuildError as error:
        return render("parts/plan.html.j2", plan=None, failure=told(error.failure), refs=(), given=form)
    return render("parts/plan.html.j2", plan=found, failure=None, refs=refs, given=form)


@router.post("/launch")
@within(FETCHING)
def created(form: Form, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    """Make the launcher, and go to where its build is watched; where there is nothing to build, to the launcher."""
    try:
        kind = form.get("of", "code")
        if kind in ("environment", "image") and kind not in form:
            raise BuildError(LauncherInvalid(((kind, "none is named"),)))
        code = _code(form) if kind == "code" else None
        if code:
            builder.preview(code)  # what cannot be planned is refused here, and not by a build that fails
        launcher = launchers.create(
            NewLauncher(
                name=form.get("name"),
                code=code,
                environment_id=builder.environment_named(form["environment"]).id if kind == "environment" else None,
                image=form["image"] if kind == "image" else None,
                frontend=_frontend(form),
                command=words_of(form.get("command", "")),
                resources=form.get("resources"),
                data=data_of(form, launchers),
                variables=variables_of(form.get("variables", "")),
                secrets=variables_of(form.get("secrets", "")),
                idle_limit=idle_limit_of(form),
            )
        )
    except BuildError as error:
        return failed(error, "create.html.j2", **_form(launchers, builder, form))
    if kind != "code":
        return go(f"/launchers/{launcher.name}")
    assert launcher.environment_id
    build = builder.builds(environment_id=launcher.environment_id, limit=1).items[0]
    return go(f"/builds/{build.id}")


def words_of(text: str) -> tuple[str, ...]:
    """A command line as its words. Raises BuildError(LauncherInvalid)."""
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise BuildError(LauncherInvalid((("command", str(error)),))) from None


def line_of(words: tuple[str, ...]) -> str:
    """A command line that is read as these words, and written as people write one: {port} needs no quotes."""
    return " ".join(word if re.fullmatch(r"[\w@%+=:,./{}-]+", word) else shlex.quote(word) for word in words)


def data_of(form: Mapping[str, str], launchers: Launchers) -> tuple[str, ...]:
    """The data that is ticked."""
    return tuple(name for name in launchers.data() if f"data-{name}" in form)


def idle_limit_of(form: Mapping[str, str]) -> int | None:
    """Seconds, of a field in minutes; None for an empty one. Raises BuildError(LauncherInvalid)."""
    minutes = form.get("idle_minutes", "")
    if not minutes:
        return None
    shortest, longest = (limit // 60 for limit in IDLE_LIMITS)
    if not re.fullmatch(r"[0-9]{1,6}", minutes) or not shortest <= int(minutes) <= longest:
        wrong = ("stop when idle", f"a whole number of minutes, {shortest} to {longest:,}")
        raise BuildError(LauncherInvalid((wrong,)))
    return int(minutes) * 60


def variables_of(text: str) -> Mapping[str, str]:
    """Lines of NAME=value. Raises BuildError(LauncherInvalid) without showing a value."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, equals, value = line.partition("=")
        if not equals or not re.fullmatch(r"\s*[A-Za-z_]\w*\s*", name):
            raise BuildError(LauncherInvalid(((f"variables, line {number}", "NAME=value expected"),)))
        found[name.strip()] = value
    return found


def _code(form: Mapping[str, str]) -> NewEnvironment:
    strategy = form.get("strategy")
    choices = Choices(
        strategy=strategy if strategy in STRATEGIES else None,
        python=form.get("python"),
        frontend=PRESETS[_frontend(form)].image,
    )
    return NewEnvironment(form.get("repository", ""), None, form.get("ref"), form.get("subdir", ""), choices)


def _frontend(form: Mapping[str, str]) -> Frontend:
    named = form.get("frontend", "jupyterlab")
    return next((frontend for frontend in get_args(Frontend) if frontend == named), "jupyterlab")


def _form(launchers: Launchers, builder: Service, given: Mapping[str, str]) -> dict[str, Any]:
    """What the form offers, and what was given; values of secrets do not come back."""
    return {
        "given": {name: value for name, value in given.items() if name != "secrets"},
        "frontends": get_args(Frontend),
        "classes": launchers.resources(),
        "data": tuple(launchers.data()),
        "strategies": STRATEGIES,
        "environments": builder.environments(limit=OFFERED).items,
    }
