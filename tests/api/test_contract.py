"""Schemathesis holds the service to its own OpenAPI document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.service import Running, address_of

pytestmark = pytest.mark.service


def test_every_answer_to_whatever_is_asked_is_as_the_document_says(service: Running, tmp_path: Path) -> None:
    service.built(name="there")
    # A host that is not allowed, or a ref that git does not take, is beyond what a schema says.
    # In a process of its own: it draws from a generator that the service's queue draws from as well.
    with address_of(service) as address:
        done = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/openapi.json", "--no-color",
                "--exclude-checks=positive_data_acceptance", "--phases=examples,coverage,fuzzing",
                "--max-examples=10", "--generation-deterministic", "--max-time=25",
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    assert "passed" in done.stdout
