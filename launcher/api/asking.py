"""What routes have in common: the service."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from launcher.service import Launchers


async def _service(request: Request) -> Launchers:
    service: Launchers = request.app.state.launchers
    return service


TheLaunchers = Annotated[Launchers, Depends(_service)]
