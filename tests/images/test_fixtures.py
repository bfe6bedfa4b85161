"""Every fixture with a `verify` is built by the real engine, and verified inside, as the session's user, offline."""

from __future__ import annotations

import subprocess

import pytest

from builder.buildkit import BuildKit
from builder.settings import Settings
from tests.conftest import MakeRepository, build_image
from tests.repositories import Fixture, fixtures

pytestmark = pytest.mark.engine

VERIFIED = [fixture for fixture in fixtures() if (fixture.directory / "verify").exists()]


@pytest.mark.parametrize("fixture", VERIFIED, ids=lambda fixture: fixture.name)
def test_what_was_asked_for_works_inside_the_image(
    fixture: Fixture, make_repository: MakeRepository, engine: BuildKit, settings: Settings
) -> None:
    repository = make_repository(fixture.directory / "repository", fixture.name)
    built = build_image(repository, engine, settings, frontend=fixture.frontend, options=fixture.options)
    verify = (fixture.directory / "verify").read_text()
    done = subprocess.run(
        ["docker", "run", "--rm", "--interactive", "--network=none", built.reference, "sh", "-s"],
        input=verify, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
