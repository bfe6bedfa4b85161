"""A launcher: its state at a glance, Launch, Rebuild, its sessions and what it is set to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from builder.api.asking import FETCHING, within
from builder.failures import Explanation
from builder.records import Asked, Environment, Version
from builder.service import BuildError, NewEnvironment, Service
from launcher.records import Launcher
from launcher.service import Launchers
from launcher.web.create import data_of, idle_limit_of, line_of, variables_of, words_of
from launcher.web.home import environment_of
from launcher.web.page import Form, Shown, TheBuilder, TheLaunchers, failed, go, render, told, unless

router = APIRouter(prefix="/launchers/{name}")


PINNABLE = 50
"""Versions that a launcher's settings offer, the newest."""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How what is launched stands to what its repository has now."""

    state: Literal["fresh", "newer", "stale", "pinned", "unknown"]
    """"newer": there are commits that change nothing in the environment; "pinned": stale, and meant to be."""
    commit: str = ""
    failure: Explanation | None = None


@router.get("")
def launcher(request: Request, name: str, launchers: TheLaunchers, builder: TheBuilder, shown: Shown = "") -> Response:
    return unless(shown, render("launcher.html.j2", failure=None, **_shown(request, name, launchers, builder)))


@router.get("/actions")
@within(FETCHING)
def actions(name: str, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    """Launch and Rebuild, once it is known how fresh the image is: that asks the repository's host."""
    found = launchers.named(name)
    environment = environment_of(found, builder)
    return render(
        "parts/actions.html.j2", launcher=found, environment=environment, fresh=_freshness(found, environment, builder)
    )


@router.get("/launch")
@router.get("/change")
def back(name: str) -> Response:
    """The address of a page that said what could not be done, asked for by itself."""
    return go(f"/launchers/{name}")


@router.post("/launch")
def launch(request: Request, name: str, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    try:
        session = launchers.launch(launchers.named(name).id)
    except BuildError as error:
        return failed(error, "launcher.html.j2", 409, **_shown(request, name, launchers, builder))
    return go(f"/launchers/{name}/sessions/{session.id}?open=1")


@router.post("/rebuild")
def rebuild(name: str, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    environment = environment_of(launchers.named(name), builder)
    if environment is None:
        return go(f"/launchers/{name}")
    build, _ = builder.rebuild(environment.id, Asked())
    return go(f"/builds/{build.id}")


@router.post("/change")
def change(request: Request, name: str, form: Form, launchers: TheLaunchers, builder: TheBuilder) -> Response:
    found = launchers.named(name)
    try:
        version = form.get("version", "")
        changed = launchers.change(
            found.id,
            {
                "name": form.get("name", found.name),
                "version": int(version) if version.isdecimal() and len(version) < 9 else None,
                "resources": form.get("resources", found.resources),
                "command": words_of(form.get("command", "")),
                "data": data_of(form, launchers),
                "variables": variables_of(form.get("variables", "")),
                "idle_limit": idle_limit_of(form),
            },
            {
                **{secret: None for secret in found.secrets if f"forget-{secret}" in form},
                **variables_of(form.get("secrets", "")),
            },
        )
    except BuildError as error:
        typed = {**_settings(replace(found, data=())), **form}
        return failed(error, "launcher.html.j2", **{**_shown(request, name, launchers, builder), "typed": typed})
    return go(f"/launchers/{changed.name}")


@router.post("/delete")
def delete(name: str, launchers: TheLaunchers) -> Response:
    launchers.delete(launchers.named(name).id)
    return go("/")


def _shown(request: Request, name: str, launchers: Launchers, builder: Service) -> dict[str, Any]:
    found = launchers.named(name)
    environment = environment_of(found, builder)
    here = f"{request.url.scheme}://{request.headers.get('host', '')}"
    return {
        "launcher": found,
        "here": here,
        "shared": _share_link(here, environment),
        "typed": _settings(found),
        "command": line_of(found.command),
        "environment": environment,
        "version": launched_version(found, environment, builder),
        "pinnable": _pinnable(found, environment, builder),
        "builds": builder.builds(environment_id=environment.id, limit=5).items if environment else (),
        "sessions": launchers.sessions(launcher_id=found.id, limit=10).items,
        "classes": launchers.resources(),
        "data": tuple(launchers.data()),
    }


def _settings(launcher: Launcher) -> dict[str, str]:
    """What the form of a launcher's settings holds until somebody types something else."""
    return {
        "name": launcher.name,
        "resources": launcher.resources,
        "version": str(launcher.version or ""),
        "idle_minutes": str(launcher.idle_limit // 60) if launcher.idle_limit else "",
        "command": line_of(launcher.command),
        "variables": "".join(f"{name}={value}\n" for name, value in launcher.variables.items()),
        **{f"data-{name}": "on" for name in launcher.data},
    }


def _share_link(here: str, environment: Environment | None) -> str:
    """Where New launcher opens filled in as for this environment; empty where it is of this machine alone."""
    if environment is None or not environment.repository.startswith("https://"):
        return ""
    asked = {"repo": environment.repository, "ref": environment.ref or "", "subdir": environment.subdir}
    return f"{here}/launch?{urlencode({name: value for name, value in asked.items() if value})}"


def _pinnable(launcher: Launcher, environment: Environment | None, builder: Service) -> list[int]:
    """Numbers of versions to choose from, the newest first; the one that is chosen is among them."""
    newest = builder.versions(environment.id, limit=PINNABLE).items if environment else ()
    chosen = {launcher.version} if launcher.version else set()
    return sorted({version.number for version in newest} | chosen, reverse=True)


def launched_version(launcher: Launcher, environment: Environment | None, builder: Service) -> Version | None:
    """The version that a session gets now."""
    number = launcher.version or (environment and environment.current_version)
    return builder.version(environment.id, number) if environment and number else None


def _freshness(launcher: Launcher, environment: Environment | None, builder: Service) -> Freshness:
    version = launched_version(launcher, environment, builder)
    if environment is None or version is None:
        return Freshness("unknown")
    options = environment.options
    try:
        plan = builder.preview(
            NewEnvironment(environment.repository, None, environment.ref, environment.subdir, options)
        )
    except BuildError as error:
        return Freshness("unknown", failure=told(error.failure))
    commit = str(plan["repository"]["commit"])
    if plan["key"] != version.key:
        return Freshness("pinned" if launcher.version or environment.pinned else "stale", commit)
    return Freshness("newer" if commit != version.commit else "fresh", commit)
