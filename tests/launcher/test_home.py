"""The home page at the server."""

from __future__ import annotations

import time

import pytest

from builder.records import Choices
from launcher.store import LauncherStore
from tests.launcher.test_store import VALUES
from tests.launching import Launching

pytestmark = pytest.mark.service

BOUND = 0.2
"""Seconds of processor time."""


def test_home_with_a_thousand_launchers_is_made_in_a_fifth_of_a_second(service: Launching) -> None:
    records = service.embedded.store
    launchers = LauncherStore(records)
    for number in range(1_000):
        made = records.create_environment(f"tides-{number}", "https://git.example/ada/tides", None, "", Choices())
        launchers.create_launcher(f"tides-{number}", {}, {**VALUES, "environment_id": made.id, "image": None})
    times = []
    for _ in range(3):
        began = time.process_time()
        page = service.http.get("/", headers={"Accept": "text/html"})
        times.append(time.process_time() - began)
        assert page.text.count('href="/launchers/tides-') == 50
        assert "Older launchers" in page.text
    assert min(times) < BOUND
