"""A service that is started anew over the same directory."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from dbos import DBOS

from builder import embedded
from builder.failures import Blame, explain
from builder.failures.served import DatabaseBroken, RecordsNewer
from builder.records import Asked
from builder.service import BuildError
from tests.service import AWAY, PATIENCE, GatedEngine, Running, failing, running

pytestmark = pytest.mark.service


def engine() -> GatedEngine:
    return GatedEngine(index={"six": "1.16.0"})


def test_everything_is_remembered_and_a_stream_goes_on_where_it_was(tmp_path: Path) -> None:
    images = engine()
    with running(tmp_path, images) as service:
        environment = service.built(name="kept")
        build = service.get(f"/environments/{environment['id']}/builds")["items"][0]
        events = service.events(build["id"])
    with running(tmp_path, images) as service:
        assert service.get(f"/environments/{environment['id']}") == environment
        assert service.get(f"/builds/{build['id']}") == build
        assert service.events(build["id"], after=events[1][0]) == events[2:]


def test_a_build_that_was_remembered_and_not_yet_queued_is_built(tmp_path: Path) -> None:
    images = engine()
    with running(tmp_path, images) as service:
        environment = service.built(name="cut-off")
        build, _ = service.embedded.store.start_build(environment["id"], "asked", "", Asked(fresh=True))
    with running(tmp_path, images) as service:
        assert service.ended(build.id)["state"] == "succeeded"


def test_a_build_that_does_not_come_into_the_line_is_told_of_and_built_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    images = engine()
    with running(tmp_path, images) as service:
        environment = service.built(name="kept-out")
        with monkeypatch.context() as while_away:
            failing(while_away, DBOS, "enqueue_workflow", AWAY, 1)
            build = service.post(f"/environments/{environment['id']}/builds", {"fresh": True})
            service.until(lambda: "a build is not in line yet" in caplog.text)
        assert service.get(f"/builds/{build['id']}")["state"] == "queued"
    with running(tmp_path, images) as service:
        assert service.ended(build["id"])["state"] == "succeeded"


def test_a_build_keeps_the_commit_that_it_began_with(tmp_path: Path) -> None:
    images = engine()
    with running(tmp_path, images) as service:
        environment = service.built(name="moves")
        first = service.get(f"/environments/{environment['id']}/builds")["items"][0]["commit"]
        build, _ = service.embedded.store.start_build(environment["id"], "asked", "", Asked(fresh=True))
        service.embedded.store.begin(build.id)
        service.embedded.store.note_plan(build.id, first, "k", "pip")
        service.push("numpy\n")
    with running(tmp_path, images) as service:
        ended = service.ended(build.id)
        assert (ended["state"], ended["commit"], ended["version"]) == ("succeeded", first, 1)


def test_200_builds_all_end_in_the_order_in_which_they_came_and_owners_take_turns(tmp_path: Path) -> None:
    images = engine()
    with running(tmp_path, images) as service:
        service.built(name="warm")
        images.gate.clear()
        before = resident()
        many = [service.create(name=f"many-{n}", owner="many")["build"]["id"] for n in range(180)]
        few = [service.create(name=f"few-{n}", owner="few")["build"]["id"] for n in range(20)]
        assert 'launchyard_builds_under_way{state="queued"} 198.0' in service.http.get("/metrics").text
        images.gate.set()
        builds = {id: service.ended(id) for id in (*many, *few)}
        assert resident() - before < 100_000_000
    assert {build["state"] for build in builds.values()} == {"succeeded"}
    line = sorted(builds, key=lambda id: builds[id]["started_at"])
    for ids in (many, few):
        own = [line.index(id) for id in ids]
        # Those that are taken up together may begin in either order.
        assert all(one < later for one, later in zip(own, own[4:], strict=False))
    # The owner of a few waits for two that ran already, and then has every second turn.
    assert max(line.index(id) for id in few) < 2 * len(few) + 8


def resident() -> int:
    """Bytes of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_what_killed_processes_have_left_in_the_engine_goes_when_a_service_starts(tmp_path: Path) -> None:
    tidied = threading.Event()

    class Tidied(GatedEngine):
        def tidy(self) -> None:
            tidied.set()

    with running(tmp_path, Tidied()):
        assert tidied.wait(PATIENCE)


def test_a_directory_is_of_one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "LEAVING", 0.1)
    with running(tmp_path), pytest.raises(BuildError) as raised, running(tmp_path):
        pass
    assert type(raised.value.failure).__name__ == "StateTaken"


@pytest.mark.parametrize("name", ["records.db", "queue.db"])
@pytest.mark.parametrize("kept", [0, 4096], ids=["not-a-database", "malformed"])
def test_a_file_that_is_damaged_is_named_with_how_to_go_on_without_it(tmp_path: Path, name: str, kept: int) -> None:
    with running(tmp_path, engine()) as service:
        service.built(name="before")
    damaged = tmp_path / "state" / "service" / name
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:kept] + b"\xff" * (len(whole) - kept))
    with pytest.raises(BuildError) as raised, running(tmp_path, engine()):
        pass
    assert isinstance(raised.value.failure, DatabaseBroken)
    explanation = explain(raised.value.failure)
    assert explanation.title == f"{damaged} is damaged" and explanation.blame is Blame.USAGE
    if name == "queue.db":
        for file in damaged.parent.glob("queue.db*"):
            file.unlink()
        with running(tmp_path, engine()) as service:
            assert service.get("/environments?search=before")["items"]


def test_records_that_a_newer_release_has_written_are_left_as_they_are(tmp_path: Path) -> None:
    with running(tmp_path, engine()):
        pass
    records = tmp_path / "state" / "service" / "records.db"
    with closing(sqlite3.connect(records, isolation_level=None)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = 'v99'")
    with pytest.raises(BuildError) as raised, running(tmp_path, engine()):
        pass
    assert raised.value.failure == RecordsNewer(str(records), "v99")


def test_two_builds_run_at_once(tmp_path: Path) -> None:
    images = engine()
    with running(tmp_path, images) as service:
        images.gate.clear()
        made = [
            service.create(name=f"at-once-{n}", options={"python": v})["build"]["id"]
            for n, v in enumerate(("3.11", "3.12", "3.13"))
        ]
        _until_running(service, 2)
        states = [service.get(f"/builds/{id}")["state"] for id in made]
        images.gate.set()
        assert states == ["running", "running", "queued"]
        assert [service.ended(id)["state"] for id in made] == ["succeeded"] * 3


def _until_running(service: Running, count: int) -> None:
    service.until(lambda: service.embedded.store.counts().get("running") == count)


def test_a_service_that_runs_keeps_the_log_of_its_database_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "CHECKPOINTS", 0.01)
    with running(tmp_path, engine()) as service:
        made = service.built(name="kept")
        file = f"file:{tmp_path / 'state' / 'service' / 'records.db'}?immutable=1"  # without a look at the log

        def is_in_file() -> bool:
            with closing(sqlite3.connect(file, uri=True)) as connection:
                return (made["id"],) in connection.execute("SELECT id FROM environments")

        service.until(is_in_file)
