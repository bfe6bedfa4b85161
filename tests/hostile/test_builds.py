"""Repositories whose setup.py attacks the build: each is bounded and explained, and nothing of it is left."""

from __future__ import annotations

import gc
import re
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from builder import disk
from builder.address import Address
from builder.bounds import probe
from builder.build import Wish, build, plan
from builder.buildkit import BuildKit, forget_caches
from builder.context import Context
from builder.engine import BuildRequest, Log, Step
from builder.failures import Blame, Explanation, explain
from builder.identity import name_of
from builder.records import Built
from builder.settings import Conda, Settings, load
from detectors.failures import BuildError
from detectors.plan import Options
from tests.conftest import build_image, write_repository
from tests.containers import docker

pytestmark = pytest.mark.engine

ATTACKS = Path(__file__).parents[2] / "fixtures" / "hostile"
BUILD_TIME = 12
"""Seconds for an attack that never ends: it needs a few to begin."""


@dataclass
class Attack:
    """One build of a repository whose only requirement is a hostile package of its own."""

    engine: BuildKit
    settings: Settings
    directory: Path
    marker: str = field(default_factory=lambda: f"hostile-{uuid.uuid4().hex}")
    log: list[str] = field(default_factory=list)
    while_it_runs: Callable[[str], None] = lambda text: None

    def build(self, name: str, **placed: str) -> Built:
        text = (ATTACKS / f"{name}.py").read_text()
        for word, value in {"MARKER": self.marker, **placed}.items():
            text = text.replace(word, value)
        repository = write_repository(
            self.directory / name, {"requirements.txt": "./attack\n", "attack/setup.py": text}
        )
        planned = plan(Address(str(repository), repository), None, Options(), "none", self.settings)
        return build(planned, Wish(), self.engine, self.settings, self._report)

    def explained(self, name: str, **placed: str) -> Explanation:
        with pytest.raises(BuildError) as raised:
            self.build(name, **placed)
        return explain(raised.value.failure)

    @property
    def said(self) -> str:
        return "".join(self.log)

    def processes(self) -> list[str]:
        """Command lines of this machine's processes, an engine's among them, that bear the marker."""
        found = (path for path in Path("/proc").glob("[0-9]*/cmdline"))
        lines = (_read(path) for path in found)
        return [line for line in lines if self.marker in line]

    def _report(self, event: Step | Log) -> None:
        if isinstance(event, Log):
            self.log.append(event.text)
            self.while_it_runs(event.text)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has ended
        return ""


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory, engine: BuildKit, settings: Settings) -> None:
    """What every build stands on is there: the seconds that a test allows an attack are not meant for it."""
    repository = write_repository(tmp_path_factory.mktemp("harmless") / "harmless", {"requirements.txt": "six\n"})
    build_image(repository, engine, settings, frontend="none")


@pytest.fixture
def attack(
    tmp_path: Path, engine: BuildKit, settings: Settings, monkeypatch: pytest.MonkeyPatch, warm: None
) -> Iterator[Attack]:
    """An attack; after it nothing is left but cache, and the engine builds the next repository."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    made = Attack(engine, settings, tmp_path / "repositories")
    yield made
    assert made.processes() == []
    for watching in (thread for thread in threading.enumerate() if thread.name == disk.THREAD):
        watching.join(disk.END_TIME + 5)
    gc.collect()  # a failure holds the frames it came through, and they the commit, whose objects lie there
    assert list(scratch.iterdir()) == []
    context = Context(f"FROM {settings.bases.debian}\nRUN echo {made.marker}\n", {})
    engine.remove([engine.build(BuildRequest(lambda stream: context.write_tar(stream, None, 0)), lambda event: None)])


def no_tag(attack: Attack, name: str) -> bool:
    repository = attack.directory / name
    slug = Address(str(repository), repository).slug
    return not docker("image", "ls", "--quiet", name_of(attack.settings.image_prefix, attack.settings.owner, slug))


def bounded(settings: Settings, **limits: Any) -> Settings:
    return replace(settings, limits=replace(settings.limits, **limits))


@pytest.mark.parametrize(("name", "word", "processes"), [("sleeps", "asleep", 1), ("forks", "forked", 300)])
def test_what_never_ends_is_ended_with_every_process_of_its_own(
    attack: Attack, name: str, word: str, processes: int
) -> None:
    attack.settings = bounded(attack.settings, build_time=BUILD_TIME)
    seen: list[int] = []
    attack.while_it_runs = lambda text: seen.append(len(attack.processes())) if word in text else None
    explanation = attack.explained(name)
    assert seen and 1 <= seen[0] <= processes
    assert explanation.title == f"Not done after {BUILD_TIME} seconds"
    assert "deciding versions" in explanation.seen
    assert any("limits.build_time" in line for line in explanation.fix)
    assert no_tag(attack, name)


def test_what_fills_the_disk_is_ended_and_its_cache_given_back(attack: Attack) -> None:
    owner = f"hostile-{uuid.uuid4().hex[:12]}"
    free = disk.free(attack.settings.bases.debian)
    assert free
    attack.settings = replace(bounded(attack.settings, disk_free=free - 500_000_000), owner=owner)
    explanation = attack.explained("writes")
    assert explanation.title == "The engine's disk ran low, so the build was ended"
    assert "deciding versions" in explanation.seen and "limits.disk_free" in explanation.seen
    assert explanation.blame is Blame.OUTSIDE
    assert owner not in docker("buildx", "du", "--verbose", "--filter=type=exec.cachemount")
    assert no_tag(attack, "writes")


def test_a_line_of_1_gb_is_cut(attack: Attack) -> None:
    explanation = attack.explained("one_line")
    assert 1_000 < attack.said.count("x") < 10_000
    assert "deciding versions" in explanation.seen
    assert len(explanation.seen) < 100_000


def test_what_steers_a_terminal_is_left_out_of_the_log_and_the_explanation(attack: Attack) -> None:
    explanation = attack.explained("escapes")
    for shown in (attack.said, explanation.seen):
        assert f"red \ufffd\ufffd\ufffd31m  {attack.marker}\né\n" in shown
        assert all(character == "\n" or character.isprintable() for character in shown)


def test_a_faked_error_of_the_engine_is_no_more_than_a_step_s_words(attack: Attack) -> None:
    explanation = attack.explained("fake_error")
    assert explanation.blame is Blame.REPOSITORY
    assert "deciding versions" in explanation.seen
    assert attack.marker in explanation.seen


def test_words_of_failure_do_not_make_a_build_fail(attack: Attack) -> None:
    built = attack.build("fake_words")
    assert "exit code: 137" in attack.said and attack.marker in attack.said
    assert attack.engine.inspect(built.reference)


REACHABLE = {
    "mount": r"/|/dev(/.*)?|/proc(/.*)?|/sys(/.*)?|/etc/(hosts|resolv\.conf)|/cache|/request|/source|/made/lock|/tools"
    r"|/run/secrets/(settings|certificates)",
    "secret": r"settings|certificates",
}


def test_of_the_installation_s_secrets_a_build_reaches_only_those_it_needs_and_none_is_shown(
    attack: Attack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    canary.touch()
    monkeypatch.setenv("HOSTILE_CANARY", "canary-in-the-environment")
    alias = "https://ada:hunter22%2B@channels.invalid/t/token-of-ada"
    attack.settings = replace(attack.settings, conda=Conda(channel_alias=alias))
    built = attack.build("reads", CANARY=str(canary))
    for kind, pattern in REACHABLE.items():
        column = 2 if kind == "mount" else 1
        found = {line.split()[column] for line in attack.said.splitlines() if line.startswith(f"{kind} ")}
        assert found and all(re.fullmatch(pattern, place) for place in found), found
    assert "host False" in attack.said
    assert "canary-in-the-environment" not in attack.said
    # It was there, and was printed.
    assert "LAUNCHYARD_CHANNEL_ALIAS=https://***@channels.invalid/t/***" in attack.said
    kept = docker("image", "inspect", built.image_id) + docker("image", "history", "--no-trunc", built.image_id)
    for password in ("hunter22", "token-of-ada"):
        assert password not in attack.said
        assert password not in kept


def test_owners_find_nothing_of_each_other_s_in_their_caches(attack: Attack) -> None:
    own, other = (f"hostile-{uuid.uuid4().hex[:12]}" for _ in range(2))
    for owner, found in ((own, "nothing"), (own, "poison"), (other, "nothing")):
        attack.settings = replace(attack.settings, owner=owner)
        attack.marker = f"hostile-{uuid.uuid4().hex}"
        attack.directory = attack.directory / "next"
        built = attack.build("poisons")
        assert f"{attack.marker} found {found}\n" in attack.said
        assert f"/{owner}/" in built.reference
    for owner in (own, other):
        forget_caches(owner)


def test_a_call_to_link_local_addresses_is_answered_only_where_doctor_says_so(attack: Attack) -> None:
    attack.build("calls")
    answers = probe(load(), attack.settings.bases.python.replace("{version}", "3.10")).link_local
    assert f"{attack.marker} link-local {'answered' if answers else 'did not answer'}\n" in attack.said
