"""The repositories that cannot be built: a directory of fixtures/failures each, named by its situation.

repository/        what is built, or tried to be
options.json       what is asked for it, where it is not the default: as in fixtures/repos
settings.json      what is set differently, in the shape of launchyard.toml; {gateway} is this machine's address,
                   {untrusted} that of an index whose certificate nobody trusts
index.json         the packages of an index of its own, see tests/images/index.py; without it, the one in use
host.json          the git host that it is fetched from, see tests/trouble.py; without it, it is a path
engine.json        when the engine goes away: {"gone": "before"} the build, or {"gone": MARK} once it says MARK
explanation.json   the explanation that a user gets, in full, and the exit code
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from builder import parents
from builder.build import secrets
from builder.buildkit import BuildKit
from builder.service import Builder
from builder.settings import Settings, load
from launcher.cli import Installation, main
from tests.conftest import PREFIX, write_repository
from tests.containers import docker
from tests.images.index import described
from tests.images.serving import serving
from tests.trouble import engine_gone, git_host, untrusted

ROOT = Path(__file__).parent.parent / "fixtures" / "failures"


@dataclass(frozen=True, slots=True)
class Failing:
    """A repository, what is asked for it and where, and the explanation that is expected."""

    directory: Path

    @property
    def name(self) -> str:
        return self.directory.name

    @property
    def golden(self) -> Path:
        return self.directory / "explanation.json"

    def explanation(self, scratch: Path, settings: Settings, gateway: str) -> dict[str, Any]:
        """What `launchyard build --json` says of it on the real engine, and its exit code."""
        repository = write_repository(scratch / self.name, self.directory / "repository")
        address = str(repository)
        places = {"gateway": gateway}
        needed = parents.tools(settings), parents.session("none", settings)
        parents.ensure(needed, BuildKit(), settings, secrets(settings), lambda event: None)
        with ExitStack() as servers:
            if "{untrusted}" in self._text("settings.json"):
                places["untrusted"] = servers.enter_context(untrusted(gateway, scratch))
            settings = _changed(settings, self._json("settings.json", places))
            if host := self._json("host.json"):
                places["host"] = servers.enter_context(git_host(host, scratch))
                address = f"{places['host']}/{self.name}"
                settings = replace(settings, allowed_hosts=(places["host"],), cache_dir=str(scratch / "cache"))
            if engine := self._json("engine.json"):
                places["engine"] = servers.enter_context(engine_gone(engine["gone"], scratch))
            index = self.directory / "index.json"
            if index.exists():
                server = servers.enter_context(serving(gateway, described(json.loads(index.read_text()))))
                url = f"http://{server.address}/simple/"
                settings = replace(settings, index=replace(settings.index, url=url))
            installation = Installation()
            installation.builder = Builder(settings, BuildKit(), allow_local=True)
            # Afresh: a lock that an earlier run left in the build cache is of an index that is gone.
            arguments = ["build", address, "--json", "--rebuild", *self._options()]
            result = CliRunner().invoke(main, arguments, obj=installation)
        said = result.stdout
        # As they are on this machine and at this time; what is part of another comes after it.
        for name, place in sorted(places.items(), key=lambda item: -len(item[1])):
            said = said.replace(place, f"{{{name}}}")
        document: dict[str, Any] = json.loads(said.replace(address, self.name))
        return {**document.get("error", document), "exit_code": result.exit_code}

    def _options(self) -> list[str]:
        options = {"frontend": "none", **self._json("options.json")}
        return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]

    def _json(self, name: str, places: Mapping[str, str] | None = None) -> dict[str, Any]:
        text = self._text(name)
        for place, address in (places or {}).items():
            text = text.replace(f"{{{place}}}", address)
        document: dict[str, Any] = json.loads(text or "{}")
        return document

    def _text(self, name: str) -> str:
        path = self.directory / name
        return path.read_text() if path.exists() else ""


def failing() -> list[Failing]:
    """All of them, by name."""
    return [Failing(directory) for directory in sorted(ROOT.iterdir()) if (directory / "repository").is_dir()]


def refresh(names: list[str]) -> int:
    """Write the explanations of these situations, or of all, as they come now; how many were built instead."""
    built = 0
    for situation in failing():
        if names and situation.name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="launchyard-") as scratch:
            explanation = situation.explanation(Path(scratch), replace(load(), image_prefix=PREFIX), gateway())
        if explanation["exit_code"] == 0:
            print(f"{situation.name}: was built", file=sys.stderr)
            built += 1
            continue
        situation.golden.write_text(json.dumps(explanation, indent=2, ensure_ascii=False) + "\n")
    return built


def gateway() -> str:
    """The address of this machine in the network of containers and builds."""
    return docker("network", "inspect", "bridge", "--format={{(index .IPAM.Config 0).Gateway}}").strip()


def _changed(settings: Any, values: dict[str, Any]) -> Any:
    """Settings, or one table of them, with these members in place of its own."""
    members = {
        name: _changed(getattr(settings, name), value) if is_dataclass(getattr(settings, name)) else value
        for name, value in values.items()
    }
    return replace(settings, **members)
