"""What is built already is not built again, wherever it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.build import Wish
from builder.fake_engine import FakeEngine
from builder.settings import Settings
from tests.conftest import MakeRepository, build_image


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(
        Settings(),
        image_prefix="registry.example/team",
        cache_dir=str(tmp_path / "cache"),
        state_dir=str(tmp_path / "state"),
    )


def engines() -> tuple[FakeEngine, FakeEngine]:
    """Two that share a registry."""
    one = FakeEngine(index={"six": "1.16.0"}, registries={"registry.example"})
    return one, FakeEngine(index=one.index, registries=one.registries, pushed=one.pushed)


def test_an_image_that_another_engine_has_pushed_is_pulled_and_not_built(
    make_repository: MakeRepository, settings: Settings
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    one, other = engines()
    first = build_image(repository, one, settings, wish=Wish(push=True))
    again = build_image(repository, other, settings, wish=Wish(push=True))
    assert other.requests == []
    assert again.reused and (again.reference, again.image_id, again.digest) == (
        first.reference,
        first.image_id,
        first.digest,
    )


def test_an_image_of_another_owner_in_the_registry_is_not_taken(
    make_repository: MakeRepository, settings: Settings
) -> None:
    repository = make_repository({"requirements.txt": "six\n"})
    one, other = engines()
    build_image(repository, one, replace(settings, owner="ada"), wish=Wish(push=True))
    built = build_image(repository, other, replace(settings, owner="bob"), wish=Wish(push=True))
    assert not built.reused and other.requests
