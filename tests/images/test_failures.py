"""Every repository of fixtures/failures really fails, and its explanation is read as a user reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from builder.build import Wish
from builder.buildkit import BuildKit
from builder.settings import Settings
from tests.conftest import MakeRepository, build_image
from tests.failing import Failing, failing
from tests.images.index import described
from tests.images.serving import serving

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("situation", failing(), ids=lambda situation: situation.name)
def test_a_failure_is_explained(
    situation: Failing, tmp_path: Path, engine: BuildKit, settings: Settings, gateway: str
) -> None:
    explanation = situation.explanation(tmp_path, settings, gateway)
    assert explanation == json.loads(situation.golden.read_text())


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_a_withdrawn_version_that_is_pinned_is_built_with_a_warning(
    resolver: Literal["uv", "pip"], make_repository: MakeRepository, engine: BuildKit, settings: Settings, gateway: str
) -> None:
    repository = make_repository({"requirements.txt": "tides==2.0\n"})
    packages = {"tides": {"1.0": {}, "2.0": {"yanked": "wrong tides for the north"}}}
    with serving(gateway, described(packages)) as server:
        index = replace(settings.index, url=f"http://{server.address}/simple/", resolver=resolver)
        wish = Wish(rebuild=True)
        built = build_image(repository, engine, replace(settings, index=index), frontend="none", wish=wish)
    assert [warned.message for warned in built.warnings] == [
        "tides 2.0 was withdrawn by its authors: wrong tides for the north"
    ]
