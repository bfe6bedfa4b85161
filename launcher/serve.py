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
from launcher.places import Places
from launcher.proxy import Proxy
from launcher.service import Launchers
from launcher.sessions import Probe, Runtime, answers
from launcher.store import LauncherStore
from launcher.web import add_pages, refuse


@contextmanager
def launching(
    running: Embedded, settings: Settings, engine: Engine, runtime: Runtime, probe: Probe = answers
) -> Iterator[Launchers]:
    """Launchers over a builder's service, for as long as the block lasts; sessions are found again."""
    store = LauncherStore(running.store)
    store.migrate()
    images = Builder(settings, engine, allow_local=settings.allow_local)
    service = Launchers(settings, store, running.service, images, runtime)
    service.resources(), service.data()  # settings that are wrong are said now
    service.keeper.probe = probe
    service.keeper.start()
    try:
        yield service
    finally:
        service.keeper.stop()


def application(running: Embedded, launchers: Launchers, hosts: frozenset[str], sessions_host: str = "") -> ASGIApp:
    """All that the service answers to the names in `hosts`, and with sessions under a name of their own."""
    places = Places(sessions_host)
    hosts = hosts | ({sessions_host.partition(":")[0].lower()} if sessions_host else set())
    app = create_app(running, hosts)
    add_launchers(app, launchers)
    add_pages(app, places)
    return Proxy(app, launchers.session, launchers.keeper.traffic, hosts, places, refuse)


def composed(settings: Settings, engine: Engine, runtime: Runtime, probe: Probe) -> Compose:
    """What `builder.serve.serve` is to serve, for as long as it does."""

    @contextmanager
    def compose(running: Embedded, hosts: frozenset[str]) -> Iterator[ASGIApp]:
        if running.role != "all":
            yield create_app(running, hosts)
            return
        with launching(running, settings, engine, runtime, probe) as launchers:
            yield application(running, launchers, hosts, settings.sessions.host)

    return compose
