"""What is remembered, and that its schema is the one that the migrations make: on SQLite, and on a real Postgres."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from builder.database import driver_url
from builder.failures.served import NameTaken, RecordAbsent
from builder.locked import Lock, PythonPackage
from builder.records import Asked, Base, Build, Built, Choices, Environment, Inventory, Outcome, Package, Provenance
from builder.schema import METADATA, environments
from builder.store import Store
from detectors.failures import BuildError
from tests import servers
from tests.servers import Server

Held = Callable[[int], None]

ADDRESS = "https://github.com/ada/tides"
LOCK = Lock((PythonPackage("six", "1.16.0", ("sha256:ab",)),))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.db'}"
    server: Server = request.getfixturevalue("postgres")
    return server.database()


@pytest.fixture(scope="module")
def postgres() -> Iterator[Server]:
    with servers.postgres() as server:
        yield server


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url)
    made.migrate()
    yield made
    made.close()


def environment(store: Store, name: str = "tides") -> Environment:
    return store.create_environment(name, ADDRESS, None, "", Choices(extras=("plot",)))


def outcome(lock: str = "a") -> Outcome:
    packages = (Package("six", "1.16.0", "index", True),)
    built = Built(f"tides:k-{lock}", f"sha256:{lock}", None, 1, "k" * 64, "c" * 40, lock, False, "no image yet", 1.0)
    bases = (Base("python:3.10", None, "sha256:b"),)
    made = Provenance(ADDRESS, "c" * 40, "", "pip", "3.10", "k" * 64, "linux/amd64", bases, {"uv": "1"}, "0.1.0", False)
    return Outcome(built, Inventory(packages, ()), LOCK, made)


FAILED = Outcome(explanation={"code": "x", "title": "x", "seen": "", "fix": [], "blame": "outside"})


@pytest.fixture
def shared(postgres: Server) -> Iterator[Store]:
    """A store in which several write at once."""
    made = Store(postgres.database())
    made.migrate()
    yield made
    made.close()


@contextmanager
def held(store: Store, environment_id: str, **changes: object) -> Iterator[Held]:
    """An environment that somebody changes meanwhile; a function that returns once so many wait for that."""
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )

    def until_waiting(count: int) -> None:
        deadline = time.monotonic() + 20
        with store.engine.connect() as looking:
            while looking.scalar(waiting) != count:
                looking.rollback()
                assert time.monotonic() < deadline

    with store.writing() as connection:
        of_environment = environments.update().where(environments.c.id == environment_id)
        connection.execute(of_environment.values(revision=environments.c.revision + 1, **changes))
        yield until_waiting


def under_way(store: Store) -> tuple[Environment, Build, Build]:
    """An environment with two builds that run."""
    made = environment(store)
    one, _ = store.start_build(made.id, "asked", "", Asked())
    other, _ = store.start_build(made.id, "asked", "", Asked(fresh=True))
    for build in (one, other):
        store.begin(build.id)
    return made, one, other


@pytest.mark.engine
def test_an_environment_is_ready_after_two_of_its_builds_end_together(shared: Store) -> None:
    made, one, other = under_way(shared)
    with ThreadPoolExecutor(2) as pool:
        with held(shared, made.id) as until_waiting:
            ends = [pool.submit(shared.conclude, build.id, outcome()) for build in (one, other)]
            until_waiting(2)
        assert {ended.state for end in ends if (ended := end.result())} == {"succeeded"}
    assert shared.environment(made.id).state == "ready"


@pytest.mark.engine
def test_an_environment_is_building_where_a_build_is_asked_for_while_another_ends(shared: Store) -> None:
    made = environment(shared)
    one, _ = shared.start_build(made.id, "asked", "", Asked())
    with ThreadPoolExecutor(2) as pool:
        with held(shared, made.id) as until_waiting:
            asked = pool.submit(shared.start_build, made.id, "asked", "", Asked(fresh=True))
            until_waiting(1)
            end = pool.submit(shared.conclude, one.id, outcome())
            until_waiting(2)
        assert asked.result()[1] and end.result()
    assert shared.environment(made.id).state == "building"


@pytest.mark.engine
def test_a_version_that_is_pinned_while_a_build_ends_stays_the_current_one(shared: Store) -> None:
    made, one, other = under_way(shared)
    shared.conclude(one.id, outcome("a"))
    with ThreadPoolExecutor(1) as pool:
        with held(shared, made.id, pinned=True) as until_waiting:
            end = pool.submit(shared.conclude, other.id, outcome("b"))
            until_waiting(1)
        ended = end.result()
    assert ended and ended.version == 2
    assert shared.environment(made.id).current_version == 1


@pytest.mark.engine
def test_an_environment_is_deleted_while_one_of_its_builds_ends(shared: Store) -> None:
    made, one, other = under_way(shared)
    with ThreadPoolExecutor(2) as pool:
        with held(shared, made.id) as until_waiting:
            gone = pool.submit(shared.delete_environment, made.id)
            until_waiting(1)
            end = pool.submit(shared.conclude, one.id, outcome())
            until_waiting(2)
        assert set(gone.result()) == {one.id, other.id}
        assert end.result() is None


def test_the_migrations_make_the_tables_that_the_store_asks_for(url: str, store: Store) -> None:
    engine = sa.create_engine(driver_url(url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_who_writes_to_sqlite_does_not_wait_for_who_reads(tmp_path: Path) -> None:
    made = Store(f"sqlite:///{tmp_path / 'records.db'}")
    made.migrate()
    with made.snapshot() as reading:
        assert reading.scalar(sa.select(sa.func.count()).select_from(environments)) == 0
        environment(made)
        assert len(made.environments().items) == 1
        assert reading.scalar(sa.select(sa.func.count()).select_from(environments)) == 0
    made.close()


def test_a_checkpoint_brings_what_was_written_to_sqlite_into_its_file_while_somebody_writes(tmp_path: Path) -> None:
    made = Store(f"sqlite:///{tmp_path / 'records.db'}")
    made.migrate()
    kept = environment(made)
    with made.writing():
        made.checkpoint()
        without_log = tmp_path / "alone.db"
        without_log.write_bytes((tmp_path / "records.db").read_bytes())
    made.close()
    alone = Store(f"sqlite:///{without_log}")
    assert alone.environment(kept.id) == kept
    alone.close()


def test_migrating_twice_keeps_what_is_there(store: Store) -> None:
    made = environment(store)
    store.migrate()
    assert store.environment(made.id) == made


def test_what_is_remembered_comes_back_the_same_with_times_in_utc(store: Store) -> None:
    made = environment(store)
    assert made.options == Choices(extras=("plot",))
    assert made.created_at.tzinfo == UTC and datetime.now(UTC) - made.created_at < timedelta(minutes=1)
    build, _ = store.start_build(made.id, "asked", "ada", Asked(ref="main", fresh=True))
    assert store.build(build.id) == build and build.asked == Asked(ref="main", fresh=True)


def test_a_build_of_a_second_store_over_the_same_file_is_seen(url: str, store: Store) -> None:
    build, _ = store.start_build(environment(store).id, "asked", "", Asked())
    other = Store(url)
    assert other.build(build.id) == build
    other.close()


def test_requests_at_once_for_the_same_inputs_come_to_one_build(store: Store) -> None:
    made = environment(store)
    with ThreadPoolExecutor(16) as pool:
        asked = list(pool.map(lambda _: store.start_build(made.id, "asked", "", Asked()), range(50)))
    assert len({build.id for build, _ in asked}) == 1
    assert sum(new for _, new in asked) == 1


def test_a_build_that_is_being_cancelled_makes_room_for_the_next(store: Store) -> None:
    made = environment(store)
    first, _ = store.start_build(made.id, "asked", "", Asked())
    store.begin(first.id)
    assert store.cancel(first.id)[0].state == "running" and store.is_cancelling(first.id)
    second, new = store.start_build(made.id, "asked", "", Asked())
    assert new and second.id != first.id


def test_a_build_begins_again_after_a_crash_and_never_after_its_end(store: Store) -> None:
    made = environment(store)
    build, _ = store.start_build(made.id, "asked", "", Asked())
    begun = store.begin(build.id)
    assert begun and begun.state == "running"
    again = store.begin(build.id)
    assert again and again.started_at == begun.started_at
    store.conclude(build.id, FAILED)
    assert store.begin(build.id) is None


def test_an_outcome_is_recorded_once(store: Store) -> None:
    made = environment(store)
    build, _ = store.start_build(made.id, "asked", "", Asked())
    store.begin(build.id)
    first = store.conclude(build.id, outcome())
    assert store.conclude(build.id, FAILED) == first
    assert first and (first.state, first.version) == ("succeeded", 1)
    assert len(store.versions(made.id).items) == 1


def test_a_build_that_ends_after_one_that_was_asked_for_later_leaves_the_current_version(store: Store) -> None:
    made = environment(store)
    first, _ = store.start_build(made.id, "asked", "", Asked())
    second, _ = store.start_build(made.id, "asked", "", Asked(fresh=True))
    assert [store.conclude(build.id, outcome(build.id[-12:])) is None for build in (second, first)] == [False, False]
    assert [store.build(build.id).version for build in (first, second)] == [2, 1]
    assert store.environment(made.id).current_version == 1
    third, _ = store.start_build(made.id, "asked", "", Asked())
    store.conclude(third.id, outcome(first.id[-12:]))
    assert store.environment(made.id).current_version == 2
    assert store.build(third.id).outcome.endswith("v2 is used again")


def test_the_same_image_again_is_the_same_version_and_another_is_the_next(store: Store) -> None:
    made = environment(store)
    numbers = []
    for lock in ("a", "a", "b", "a"):
        build, _ = store.start_build(made.id, "asked", "", Asked())
        ended = store.conclude(build.id, outcome(lock))
        assert ended
        numbers.append((ended.version, ended.new_version))
    assert numbers == [(1, True), (1, False), (2, True), (1, False)]
    assert [build.new_version for build in store.builds(environment_id=made.id).items] == [False, True, False, True]
    assert store.environment(made.id).current_version == 1
    assert store.version(made.id, 2, "inventory").inventory.packages[0].name == "six"


def test_a_version_keeps_its_lock_and_how_it_was_made_and_a_list_leaves_them_out(store: Store) -> None:
    made = environment(store)
    build, _ = store.start_build(made.id, "asked", "ada", Asked(ref="main"))
    begun = store.begin(build.id)
    store.conclude(build.id, outcome())
    version = store.version(made.id, 1, "locked", "provenance")
    assert version.locked == LOCK
    assert version.provenance and version.provenance.build and begun
    assert version.provenance.bases == (Base("python:3.10", None, "sha256:b"),)
    maker = version.provenance.build
    assert (maker.id, maker.reason, maker.asked_by, maker.ref) == (build.id, "asked", "ada", "main")
    assert (maker.started_at, maker.finished_at) == (begun.started_at, version.created_at)
    assert store.versions(made.id).items[0].provenance is None


def test_the_same_image_from_a_later_build_keeps_how_it_was_made_first(store: Store) -> None:
    made = environment(store)
    ids = []
    for _ in range(2):
        build, _ = store.start_build(made.id, "asked", "", Asked())
        store.conclude(build.id, outcome())
        ids.append(build.id)
    found = store.version(made.id, 1, "provenance").provenance
    assert found and found.build and found.build.id == ids[0]


def test_an_environment_is_building_while_any_of_its_builds_is_under_way(store: Store) -> None:
    made = environment(store)
    first, _ = store.start_build(made.id, "asked", "", Asked())
    second, _ = store.start_build(made.id, "asked", "", Asked(fresh=True))
    store.conclude(first.id, FAILED)
    assert store.environment(made.id).state == "building"
    store.conclude(second.id, outcome())
    assert store.environment(made.id).state == "ready"


def test_a_cancelled_first_build_leaves_an_empty_environment(store: Store) -> None:
    made = environment(store)
    build, _ = store.start_build(made.id, "created", "", Asked())
    cancelled, ended = store.cancel(build.id)
    assert cancelled.state == "cancelled" and ended
    assert store.cancel(build.id) == (cancelled, False)
    assert store.environment(made.id).state == "empty"


def ended(store: Store, of: Environment, asked: Asked, result: Outcome | None) -> str:
    """The environment's state after a build that came to this, or was cancelled."""
    build, _ = store.start_build(of.id, "asked", "", asked)
    store.cancel(build.id) if result is None else store.conclude(build.id, result)
    return store.environment(of.id).state


@pytest.mark.parametrize("asked", [Asked(ref="other"), Asked(as_of="2021-06-01"), Asked(ref="other", fresh=True)])
def test_a_build_of_another_ref_or_day_that_fails_leaves_an_environment_as_it_was(store: Store, asked: Asked) -> None:
    made = environment(store)
    assert ended(store, made, asked, FAILED) == "empty"
    assert ended(store, made, Asked(), outcome()) == "ready"
    assert ended(store, made, asked, FAILED) == "ready"
    assert ended(store, made, Asked(fresh=True), FAILED) == "failed"
    assert ended(store, made, asked, FAILED) == "failed"


@pytest.mark.parametrize(("asked", "result"), [(Asked(ref="other"), outcome()), (Asked(), None)])
def test_an_environment_that_failed_stays_so_until_a_build_of_its_own_ref_succeeds(
    store: Store, asked: Asked, result: Outcome | None
) -> None:
    made = environment(store)
    assert ended(store, made, Asked(), outcome()) == "ready"
    assert ended(store, made, Asked(), FAILED) == "failed"
    assert ended(store, made, asked, result) == "failed"
    assert ended(store, made, Asked(), outcome()) == "ready"


def test_builds_that_ended_are_counted_by_day_state_and_kind_of_failure(store: Store) -> None:
    made = environment(store)
    for result in (outcome(), FAILED, FAILED):
        build, _ = store.start_build(made.id, "asked", "", Asked())
        store.begin(build.id)
        store.conclude(build.id, result)
    now = datetime.now(UTC)
    found = {(ended.state, ended.code): ended.count for ended in store.ended(now - timedelta(minutes=5))}
    assert found == {("succeeded", ""): 1, ("failed", "x"): 2}
    assert {ended.day for ended in store.ended(now - timedelta(minutes=5))} <= {now.date(), datetime.now(UTC).date()}
    assert store.ended(now + timedelta(minutes=5)) == ()


def test_a_worker_that_died_is_not_shown_although_nobody_has_buried_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.join("dies", "here", 2)
    assert [worker.id for worker in store.workers()] == ["dies"]
    monkeypatch.setattr("builder.store.LEASE", -1.0)
    assert store.workers() == ()


def test_a_name_is_of_one_environment_only(store: Store) -> None:
    environment(store)
    with pytest.raises(BuildError) as raised:
        environment(store)
    assert raised.value.failure == NameTaken("tides")
    other = environment(store, "other")
    with pytest.raises(BuildError) as raised:
        store.change_environment(other.id, {"name": "tides"})
    assert raised.value.failure == NameTaken("tides")


def test_what_is_not_there_is_said_to_be_absent(store: Store) -> None:
    for ask in (store.environment, store.build, store.cancel, store.delete_environment, store.versions):
        with pytest.raises(BuildError) as raised:
            ask("nothing")
        assert isinstance(raised.value.failure, RecordAbsent)
    assert store.conclude("nothing", FAILED) is None and store.begin("nothing") is None


def test_a_search_finds_a_repository_as_it_is_written(store: Store) -> None:
    made = store.create_environment("tides", "https://github.com/ada/ÉCOLE-Été", None, "", Choices())
    for search in ("ÉCOLE", "Été", "Éco", "ADA/É"):
        assert store.environments(search=search).items == (made,), search
    assert store.environments(search="ecole").items == ()
