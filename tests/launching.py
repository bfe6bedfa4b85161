"""The whole service, over an engine and a runtime in memory, as a client of its HTTP sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from starlette.types import ASGIApp

from builder.embedded import embedded
from builder.fake_runner import FakeRunner
from builder.settings import Sessions, Settings, Vscodium
from launcher.runtimes.fake import FakeRuntime
from launcher.serve import application, launching
from launcher.service import Launchers
from tests.conftest import write_repository
from tests.service import GatedEngine, Running

CLASSES = {
    "small": {"cpus": 1, "memory": 500_000_000},
    "large": {"cpus": 2, "memory": 900_000_000, "disk": 5_000_000},
}
DATA = {"tide-gauges": "/srv/tide-gauges", "charts": "/srv/charts"}


@dataclass
class Launching(Running):
    """A service with launchers, its client, and the runtime of its sessions."""

    launchers: Launchers
    runtime: FakeRuntime
    app: ASGIApp

    def launcher(self, **wanted: Any) -> Any:
        """A new launcher of the repository, whose first build has succeeded."""
        made = self.post("/launchers", {"code": {"repository": str(self.repository)}, **wanted})
        build = self.get(f"/environments/{made['environment_id']}/builds")["items"][0]
        assert self.ended(build["id"])["state"] == "succeeded"
        return made

    def launched(self, launcher: Any) -> Any:
        """A new session of a launcher, once it runs."""
        made = self.post(f"/launchers/{launcher['id']}/sessions")
        return self.in_state(made["id"], "running")

    def in_state(self, session_id: str, *states: str) -> Any:
        """A session, once it is in one of some states."""
        self.until(lambda: self.get(f"/sessions/{session_id}")["state"] in states)
        return self.get(f"/sessions/{session_id}")

    def instance(self, session: Any) -> str:
        """What the runtime calls a session."""
        return f"{session['launcher_id']}-{session['work']}"


@contextmanager
def launching_service(
    directory: Path,
    engine: GatedEngine | None = None,
    runtime: FakeRuntime | None = None,
    **settings: Any,
) -> Iterator[Launching]:
    """A service over a directory; over the same one again, with its runtime, it is the same service started anew."""
    engine = engine or GatedEngine(index={"six": "1.16.0", "numpy": "2.2.2"})
    runtime = runtime or FakeRuntime(engine)
    repository = directory / "repository"
    if not repository.exists():
        write_repository(repository, {"requirements.txt": "six\n"})
    in_force = replace(
        Settings(),
        cache_dir=str(directory / "cache"),
        state_dir=str(directory / "state"),
        allow_local=True,
        examples=(str(repository),),
        allowed_hosts=("git.example",),  # no test asks the network
        vscodium=Vscodium("https://git.example/vscodium-reh-web-linux-x64.tar.gz", "0" * 64),
        sessions=replace(Sessions(classes=CLASSES, data=DATA), **settings),
    )
    with (
        embedded(in_force, engine, FakeRunner(engine)) as made,
        launching(made, in_force, engine, runtime, runtime.answers) as launchers,
    ):
        launchers.keeper.calm = 0.1
        app = application(made, launchers, frozenset({"127.0.0.1", "localhost"}))
        with TestClient(app, base_url="http://localhost") as http:
            yield Launching(directory, engine, made, http, repository, launchers, runtime, app)
