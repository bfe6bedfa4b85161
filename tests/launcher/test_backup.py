"""Launchers in a backup: what it is restored to launches the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.backup import back_up, restore
from builder.settings import Settings
from launcher.schema import SCHEMA
from tests.launching import launching_service
from tests.service import GatedEngine

pytestmark = pytest.mark.service


def test_launcher_of_a_backup_launches_as_it_did(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    engine = GatedEngine(index={"six": "1.16.0"})
    with launching_service(tmp_path / "old", engine) as service:
        launcher = service.launcher(name="tides", secrets={"KEY": "hunter2"}, data=["charts"])
        session = service.launched(launcher)
        service.post(f"/sessions/{session['id']}/stop", status=200)
        before = service.in_state(session["id"], "stopped")
        back_up(replace(Settings(), state_dir=str(tmp_path / "old" / "state")), file, (SCHEMA,))
    restore(replace(Settings(), state_dir=str(tmp_path / "new" / "state")), file, (SCHEMA,))
    with launching_service(tmp_path / "new", engine) as service:
        assert service.get(f"/launchers/{launcher['id']}") == launcher
        assert service.get(f"/sessions/{session['id']}") == before
        assert service.launched(launcher)["version"] == 1
        request = service.runtime.requests[-1]
        assert (request.variables, list(request.data)) == ({"KEY": "hunter2"}, ["charts"])


def test_backup_of_before_there_were_launchers_is_restored_with_none(tmp_path: Path) -> None:
    released = Path(__file__).parents[1] / "builder" / "backups" / "v1.tar.gz"
    restore(replace(Settings(), state_dir=str(tmp_path / "state")), released, (SCHEMA,))
    with launching_service(tmp_path) as service:
        assert service.get("/launchers")["items"] == []
        assert len(service.get("/environments")["items"]) == 2
