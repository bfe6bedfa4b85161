"""One service with launchers for the tests of a module: each makes launchers of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.launching import Launching, launching_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launching]:
    with launching_service(tmp_path_factory.mktemp("service")) as made:
        yield made
