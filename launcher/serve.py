"""The service with launchers, sessions and the page: what `launchyard serve` serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp

from builder.api import create_app
from builder.embedded import Embedded
from builder.serve import Compose
from builder.service import Builder, Engine, Settings
from launcher.api import add_launchers
from launcher.proxy import Proxy
from launcher.service import Launchers
from launcher.sessions import Probe, Runtime, answers
from launcher.store import LauncherStore


@contextmanager
def launching(
    running: Embedded, settings: Settings, engine: Engine, runtime: Runtime, probe: Probe = answers
) -> Iterator[Launchers]:
    """Launchers over a builder's service, for as long as the block lasts; sessions are found again."""
    store = LauncherStore(running.store.engine)
    store.migrate()
    images = Builder(settings, engine, allow_local=settings.allow_local)
    service = Launchers(settings, store, running.service, images, runtime)
    service.resources()  # settings that are wrong are said now
    service.keeper.probe = probe
    service.keeper.start()
    try:
        yield service
    finally:
        service.keeper.stop()


def application(running: Embedded, launchers: Launchers, hosts: frozenset[str]) -> ASGIApp:
    """All that the service answers to the names in `hosts`."""
    app = create_app(running, hosts)
    add_launchers(app, launchers)
    return Proxy(app, launchers.session, launchers.keeper.traffic, hosts)


def composed(settings: Settings, engine: Engine, runtime: Runtime, probe: Probe) -> Compose:
    """What `builder.serve.serve` is to serve, for as long as it does."""

    @contextmanager
    def compose(running: Embedded, hosts: frozenset[str]) -> Iterator[ASGIApp]:
        with launching(running, settings, engine, runtime, probe) as launchers:
            yield application(running, launchers, hosts)

    return compose
