"""Schemathesis holds the whole service, launchers and sessions with it, to its OpenAPI document."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from launcher.serve import application
from tests.launching import Launching
from tests.service import listening

pytestmark = pytest.mark.service


def test_every_answer_to_whatever_is_asked_is_as_the_document_says(service: Launching, tmp_path: Path) -> None:
    service.launched(service.launcher(name="there"))
    with listening(application(service.embedded, service.launchers, frozenset({"127.0.0.1"}))) as address:
        # In a process of its own: it draws from a generator that the service's queue draws from as well.
        done = subprocess.run(
            [
                sys.executable, "-m", "schemathesis.cli", "run", f"{address}/api/openapi.json", "--no-color",
                "--include-path-regex=/(launchers|sessions)", "--exclude-checks=positive_data_acceptance",
                "--phases=examples,coverage,fuzzing", "--max-examples=10", "--generation-deterministic",
                "--max-time=25",
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
    assert "passed" in done.stdout
