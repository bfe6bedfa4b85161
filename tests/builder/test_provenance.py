"""What an image was made of: its bases as the build saw them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builder.build import Planned, Wish
from builder.fake_engine import FakeEngine
from builder.records import Built, Provenance, StepTime
from builder.service import Builder, Request
from builder.settings import Bases, Settings
from tests.conftest import MakeRepository

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    directory = tmp_path_factory.mktemp("state")
    settings = Settings(cache_dir=str(directory / "cache"), state_dir=str(directory / "state"))
    return Builder(settings, FakeEngine(index={"six": "1.16.0"}), allow_local=True)


def built(builder: Builder, make_repository: MakeRepository) -> tuple[Planned, Built]:
    planned = builder.plan(Request(str(make_repository({"requirements.txt": "six\n"}))))
    return planned, builder.build(planned, Wish(), lambda event: None)


def python_of(found: Provenance) -> tuple[str | None, str | None]:
    (base,) = [base for base in found.bases if base.name.startswith("python")]
    return base.digest, base.image_id


@pytest.mark.parametrize(
    ("base", "step"),
    [
        ("python:3.10-slim", f"[python 1/1] FROM docker.io/library/python:3.10-slim@{DIGEST}"),
        ("python", f"[python 1/1] FROM docker.io/library/python:latest@{DIGEST}"),
    ],
)
def test_a_base_that_was_pulled_has_the_digest_that_the_build_used(
    builder: Builder, make_repository: MakeRepository, base: str, step: str
) -> None:
    builder.settings = replace(builder.settings, bases=Bases(python=base))
    planned, made = built(builder, make_repository)
    pulled = replace(made, steps=(*made.steps, StepTime(step, 0.1, True)))
    assert python_of(builder.provenance(planned, "", pulled)) == (DIGEST, None)


def test_another_image_of_a_like_name_gives_a_base_no_digest(builder: Builder, make_repository: MakeRepository) -> None:
    builder.settings = replace(builder.settings, bases=Bases(python="python:3.10"))
    planned, made = built(builder, make_repository)
    steps = tuple(
        StepTime(f"[python 1/1] FROM docker.io/{name}@{DIGEST}", 0.1, False)
        for name in ("library/xpython:3.10", "library/python:3.10-slim", "library/python:3.1")
    )
    assert python_of(builder.provenance(planned, "", replace(made, steps=(*made.steps, *steps)))) == (None, None)
