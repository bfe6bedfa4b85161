"""Launchers and sessions over HTTP, beside the builder's. There is no logic here."""

from __future__ import annotations

from fastapi import FastAPI

from launcher.api import launchers, sessions
from launcher.service import Launchers


def add_launchers(app: FastAPI, service: Launchers) -> None:
    """Let the builder's application answer for launchers and sessions as well."""
    app.state.launchers = service
    for routes in (launchers, sessions):
        app.include_router(routes.router, prefix="/api/v1")
