"""One service for the tests of a module: each makes environments of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service import Running, running


@pytest.fixture(scope="module")
def _of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.fixture
def service(_of_module: Running) -> Iterator[Running]:
    """No test leaves builds waiting."""
    yield _of_module
    _of_module.engine.gate.set()
