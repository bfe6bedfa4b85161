"""When a session was last active: as its frontend says it, or by what passed through the proxy where that is silent."""

from __future__ import annotations

import http.client
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

from launcher.records import Instance, Session
from launcher.sessions import PROBE_TIME

MAX_STATUS = 100_000
"""Bytes of a frontend's report."""


class Activity:
    """When something last passed through the proxy, by session. It knows nothing of before the service started."""

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}

    def note(self, session_id: str) -> None:
        self._last[session_id] = datetime.now(UTC)

    def last(self, session_id: str) -> datetime | None:
        return self._last.get(session_id)

    def forget(self, session_id: str) -> None:
        self._last.pop(session_id, None)


REPORTS = frozenset({"jupyterlab"})
"""Frontends that say when they were last active. An open page of theirs asks now and then, and is no activity."""


def reported(session: Session, instance: Instance) -> datetime | None:
    """What a frontend of REPORTS says; None where it says nothing now.

    https://jupyter-server.readthedocs.io/en/latest/developers/rest-api.html#get--api-status
    """
    parts = urlsplit(instance.url)
    assert parts.hostname
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PROBE_TIME)
    try:
        connection.request(
            "GET", f"{parts.path}api/status?no_track_activity=1", headers={"Authorization": f"token {session.token}"}
        )
        answer = connection.getresponse()
        if answer.status != 200:
            return None
        return datetime.fromisoformat(json.loads(answer.read(MAX_STATUS))["last_activity"]).astimezone(UTC)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None
    finally:
        connection.close()
