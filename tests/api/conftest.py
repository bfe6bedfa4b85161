"""One service for the tests of a module: each makes environments of its own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service import Running, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("service")) as made:
        yield made


@pytest.fixture(autouse=True)
def _open_gate(service: Running) -> Iterator[None]:
    """Let no test leave builds waiting."""
    yield
    service.engine.gate.set()
