"""What Jupyter says of when it was last active, and what is made of anything else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from launcher.activity import reported
from launcher.records import Instance, Session
from tests.images.serving import Answer, Request, serving

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SESSION = Session("i", "l", "running", 1, "lab/tides", "jupyterlab", 1, "", "letmein", "", NOW, NOW, NOW)
ACTIVE = b'{"last_activity": "2026-05-04T03:02:01.5Z", "kernels": 1}'


def jupyter(request: Request) -> Answer:
    known = request.headers.get("Authorization") == "token letmein" and request.path.startswith("/s/api/status?")
    return (200, "application/json", ACTIVE) if known else (403, "text/plain", b"no")


def test_jupyter_says_when_it_was_last_active() -> None:
    with serving("127.0.0.1", jupyter) as server:
        instance = Instance("i", "lab/tides", "jupyterlab", "running", 0, f"http://{server.address}/s/")
        assert reported(SESSION, instance) == datetime(2026, 5, 4, 3, 2, 1, 500_000, tzinfo=UTC)
        assert reported(replace(SESSION, token="guessed"), instance) is None


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"last_activity": 7}', b'{"last_activity": "soon"}', b"\xff"])
def test_what_is_no_report_is_none(said: bytes) -> None:
    with serving("127.0.0.1", lambda request: (200, "application/json", said)) as server:
        instance = Instance("i", "lab/tides", "jupyterlab", "running", 0, f"http://{server.address}/")
        assert reported(SESSION, instance) is None


def test_session_that_does_not_answer_says_nothing() -> None:
    assert reported(SESSION, Instance("i", "lab/tides", "jupyterlab", "running", 0, "http://127.0.0.1:1/")) is None
