"""What tests inside images share: images that are built once, and an address at which containers find this machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from builder.buildkit import BuildKit
from builder.records import Built
from builder.settings import Settings
from detectors.plan import Options
from tests import failing
from tests.conftest import build_image, write_repository
from tests.repositories import ROOT

ImageOf = Callable[..., Built]


@pytest.fixture(scope="session")
def image_of(tmp_path_factory: pytest.TempPathFactory, engine: BuildKit, settings: Settings) -> ImageOf:
    """A function from a fixture's name, or from files, to the image; it is built once for all tests."""
    made: dict[object, Built] = {}

    def image_of(
        repository: str | Mapping[str, str], *, frontend: str = "jupyterlab", options: Options | None = None
    ) -> Built:
        files = ROOT / repository / "repository" if isinstance(repository, str) else repository
        named = files if isinstance(files, Path) else tuple(files.items())
        wanted = (named, frontend, options)
        if wanted not in made:
            name = files.parent.name if isinstance(files, Path) else "repository"
            directory = write_repository(tmp_path_factory.mktemp("image") / name, files)
            made[wanted] = build_image(directory, engine, settings, frontend=frontend, options=options)
        return made[wanted]

    return image_of


@pytest.fixture(scope="session")
def gateway() -> str:
    """The address of this machine in the network of containers and builds."""
    return failing.gateway()
