"""The command `launchyard` over the engine and the runtime in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from builder.context import Context
from builder.engine import BuildRequest, Engine
from builder.fake_engine import FakeEngine
from builder.service import Builder
from builder.settings import Settings
from launcher.cli import Installation, main
from launcher.runtimes.fake import FakeRuntime


@dataclass
class Launchyard:
    """An installation whose engine and sessions are made up, and the command that acts on it."""

    directory: Path
    engine: FakeEngine = field(default_factory=lambda: FakeEngine(index={"six": "1.16.0", "numpy": "2.2.2"}))
    allow_local: bool = True
    settings: Settings = field(init=False)
    runtime: FakeRuntime = field(init=False)

    def __post_init__(self) -> None:
        directory = self.directory
        self.settings = replace(Settings(), cache_dir=str(directory / "cache"), state_dir=str(directory / "state"))
        self.runtime = FakeRuntime(self.engine)

    def __call__(self, *arguments: object) -> Result:
        """The outcome of a command: `exit_code`, `stdout` and `stderr`."""
        installation = Installation()
        installation.builder = Builder(self.settings, self.engine, allow_local=self.allow_local)
        installation.runtime = self.runtime
        installation.probe = self.runtime.answers
        return CliRunner().invoke(main, [str(argument) for argument in arguments], obj=installation)

    def ok(self, *arguments: object) -> str:
        """What a command that succeeds prints on standard output."""
        result = self(*arguments)
        assert result.exit_code == 0, result.stderr or result.exception
        return result.stdout

    def json(self, *arguments: object) -> Any:
        """The document of a command that succeeds, with --json."""
        return json.loads(self.ok(*arguments, "--json"))

    def error(self, *arguments: object) -> Any:
        """The `error` member of a command that fails, with --json."""
        result = self(*arguments, "--json")
        assert result.exit_code != 0
        return json.loads(result.stdout)["error"]


def foreign(engine: Engine) -> None:
    """Let an engine have an image, lab/tides, that something else has built."""
    context = Context("FROM scratch\n", {})
    request = BuildRequest(lambda stream: context.write_tar(stream, None, 0))
    engine.tag(engine.build(request, lambda event: None), "lab/tides")
