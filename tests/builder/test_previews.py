"""Previews ask git as rarely as they may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from builder.fake_engine import FakeEngine
from builder.previews import REMEMBERED, Previews
from builder.service import Builder, BuildError, Planned, Request
from builder.settings import Settings
from tests.conftest import MakeRepository, commit


@dataclass
class CountedBuilder(Builder):
    """Remembers the requests that it was asked to plan."""

    builder: Builder
    asked: list[Request] = field(default_factory=list)
    meanwhile: Callable[[], object] = lambda: None
    """What happens while a plan is made."""

    def plan(self, request: Request) -> Planned:
        self.asked.append(request)
        self.meanwhile()
        return self.builder.plan(request)


@dataclass
class World:
    repository: Path
    builder: CountedBuilder
    previews: Previews
    now: list[float]


def world(tmp_path: Path, make_repository: MakeRepository) -> World:
    settings = replace(Settings(), cache_dir=str(tmp_path / "cache"), state_dir=str(tmp_path / "state"))
    builder = CountedBuilder(Builder(settings, FakeEngine(), allow_local=True))
    now = [0.0]
    previews = Previews(builder, clock=lambda: now[0])
    return World(make_repository({"requirements.txt": "six\n"}), builder, previews, now)


def test_a_preview_within_ten_seconds_asks_git_nothing(tmp_path: Path, make_repository: MakeRepository) -> None:
    made = world(tmp_path, make_repository)
    request = Request(str(made.repository))
    first = made.previews.of(request)
    made.now[0] += REMEMBERED - 0.1
    assert made.previews.of(request) == first and len(made.builder.asked) == 1


def test_another_option_asks_for_the_commit_that_is_known(tmp_path: Path, make_repository: MakeRepository) -> None:
    made = world(tmp_path, make_repository)
    request = Request(str(made.repository))
    first = made.previews.of(request)
    other = made.previews.of(replace(request, frontend="none"))
    assert other["key"] != first["key"]
    assert [asked.ref for asked in made.builder.asked] == [None, first["repository"]["commit"]]


def test_after_ten_seconds_a_ref_that_moved_is_seen(tmp_path: Path, make_repository: MakeRepository) -> None:
    made = world(tmp_path, make_repository)
    request = Request(str(made.repository))
    first = made.previews.of(request)
    (made.repository / "requirements.txt").write_text("numpy\n")
    moved = commit(made.repository)
    assert made.previews.of(request) == first
    made.now[0] += REMEMBERED + 0.1
    assert made.previews.of(request)["repository"]["commit"] == moved


def test_who_comes_while_a_ref_is_asked_for_anew_gets_what_was_known(
    tmp_path: Path, make_repository: MakeRepository
) -> None:
    made = world(tmp_path, make_repository)
    request = Request(str(made.repository))
    first = made.previews.of(request)
    (made.repository / "requirements.txt").write_text("numpy\n")
    moved = commit(made.repository)
    made.now[0] += REMEMBERED + 0.1
    seen = []
    made.builder.meanwhile = lambda: seen.append(made.previews.of(request))
    assert made.previews.of(request)["repository"]["commit"] == moved
    assert seen == [first] and len(made.builder.asked) == 2


def test_a_repository_that_went_away_is_not_remembered(tmp_path: Path, make_repository: MakeRepository) -> None:
    made = world(tmp_path, make_repository)
    request = Request(str(made.repository))
    made.previews.of(request)
    made.repository.rename(tmp_path / "elsewhere")
    made.now[0] += REMEMBERED + 0.1
    for _ in range(2):
        with pytest.raises(BuildError):
            made.previews.of(request)
