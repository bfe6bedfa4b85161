"""What is remembered of launchers and sessions, and that its schema is the one that the migrations make: on SQLite, and
on a real Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from builder.failures.served import RecordAbsent, SessionsFull
from builder.service import BuildError
from builder.store import Store
from launcher.records import Launcher
from launcher.schema import METADATA, SCHEMA
from launcher.store import KEPT, LauncherStore, NewSession
from tests import servers

VALUES: dict[str, Any] = {
    "environment_id": None, "image": "lab/tides:1", "version": None, "frontend": "jupyterlab", "command": [],
    "resources": "small", "variables": {}, "data": [], "idle_limit": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.Server]:
    with servers.postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine)])
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database."""
    sqlite = request.param == "sqlite"
    made = Store(f"sqlite:///{tmp_path / 'records.db'}" if sqlite else request.getfixturevalue("postgres").database())
    yield made
    made.close()


@pytest.fixture
def store(records: Store) -> LauncherStore:
    made = LauncherStore(records)
    made.migrate()
    return made


def session(launcher: Launcher) -> NewSession:
    return NewSession(launcher.id, "lab/tides:1", "jupyterlab", "a-token")


def test_migrations_make_the_tables_that_the_store_asks_for(records: Store, store: LauncherStore) -> None:
    with records.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": SCHEMA.version_table})
        assert compare_metadata(context, METADATA) == []


def test_both_migrations_live_in_one_database_and_happen_once(records: Store, store: LauncherStore) -> None:
    owner = store.owner()
    launcher = store.create_launcher("tides", {}, VALUES)
    records.migrate()
    store.migrate()
    assert (store.owner(), store.launcher(launcher.id)) == (owner, launcher)


def test_sessions_that_begin_at_the_same_time_share_no_work_directory(store: LauncherStore) -> None:
    launcher = store.create_launcher("tides", {}, VALUES)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: store.create_session(session(launcher), 100), range(20)))
    assert sorted(each.work for each in made) == list(range(1, 21))


def test_no_more_sessions_than_allowed_begin_at_the_same_time(store: LauncherStore) -> None:
    launcher = store.create_launcher("tides", {}, VALUES)

    def begin(_: int) -> bool:
        try:
            store.create_session(session(launcher), 3)
        except BuildError as error:
            return not isinstance(error.failure, SessionsFull)
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(12))) == 3


def test_sessions_that_have_ended_are_remembered_to_a_number(store: LauncherStore) -> None:
    launcher = store.create_launcher("tides", {}, VALUES)
    for _ in range(KEPT + 5):
        made = store.create_session(session(launcher), 100)
        assert store.move(made.id, ("starting",), "stopped")
    store.create_session(session(launcher), 100)
    kept = store.sessions(launcher_id=launcher.id, limit=200).items
    assert len(kept) == KEPT + 1
    assert {each.work for each in kept} == {1}


def test_state_moves_only_from_where_it_may_come_from(store: LauncherStore) -> None:
    launcher = store.create_launcher("tides", {}, VALUES)
    made = store.create_session(session(launcher), 100)
    assert not store.move(made.id, ("running", "idle"), "pausing")
    assert store.move(made.id, ("starting",), "running", url="http://127.0.0.1:1/")
    ended = store.move(made.id, ("running",), "failed", outcome="why")
    found = store.session(made.id)
    assert ended and (found.state, found.url, found.outcome) == ("failed", "", "why") and found.ended_at


def test_deleted_launcher_is_nobodys_until_it_is_forgotten(store: LauncherStore) -> None:
    launcher = store.create_launcher("tides", {"KEY": "x"}, VALUES)
    made = store.create_session(session(launcher), 100)
    store.delete_launcher(launcher.id)
    with pytest.raises(BuildError) as by_id:
        store.launcher(launcher.id)
    with pytest.raises(BuildError) as by_name:
        store.named("tides")
    assert isinstance(by_id.value.failure, RecordAbsent) and isinstance(by_name.value.failure, RecordAbsent)
    assert store.secrets(launcher.id) == {}
    assert (store.session(made.id).state, store.deleted()) == ("stopping", ())
    store.move(made.id, ("stopping",), "stopped")
    assert [each.names for each in store.deleted()] == [(f"{launcher.id}-1",)]
    store.forget(launcher.id)
    assert store.deleted() == ()
