"""A backup of a service, and an empty one that it is restored to: the same is remembered, on either database."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.exc import OperationalError

from builder import backup
from builder.backup import back_up, restore
from builder.database import database_failure
from builder.failures.served import (
    BackupInvalid,
    DatabaseAway,
    DatabaseRefused,
    NotEmpty,
    NothingRemembered,
    StateTaken,
)
from builder.journal import Journal
from builder.records import BackedUp
from builder.service import BuildError
from builder.settings import Settings
from launcher.cli import main
from tests import servers
from tests.remembered import BACKUPS, everything, opened, remember
from tests.service import GatedEngine, running

pytestmark = pytest.mark.service

Place = Callable[[str], Settings]
DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.engine)]


@pytest.fixture(scope="module")
def postgres() -> Iterator[servers.Server]:
    with servers.postgres() as server:
        yield server


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A function from a kind of database to the settings of a service that has never run, each time of another."""
    made: list[Settings] = []

    def new(kind: str) -> Settings:
        database = "" if kind == "sqlite" else request.getfixturevalue("postgres").database()
        made.append(replace(Settings(), state_dir=str(tmp_path / f"state-{len(made)}"), database=database))
        return made[-1]

    return new


def failure(settings: Settings, file: Path) -> object:
    with pytest.raises(BuildError) as raised:
        restore(settings, file)
    return raised.value.failure


def test_backup_and_what_is_restored_from_it_are_for_the_services_own_user(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    before, after = place("sqlite"), place("sqlite")
    remember(before)
    back_up(before, file)
    restore(after, file)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (file, Path(after.state_dir, "service"))]
    assert modes == [0o600, 0o700]


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("file", sorted(BACKUPS.glob("*.tar.gz")), ids=lambda path: path.stem)
def test_what_every_released_schema_remembered_is_remembered_now(place: Place, file: Path, database: str) -> None:
    settings = place(database)
    assert restore(settings, file) == BackedUp(2, 3, 2)
    environments, builds, versions = everything(settings)
    assert [(e.name, e.state, e.current_version) for e in environments.items] == [
        ("empty", "empty", None),
        ("tides", "failed", 2),
    ]
    assert [(b.state, b.version, bool(b.explanation)) for b in builds.items] == [
        ("failed", None, True),
        ("succeeded", 2, False),
        ("succeeded", 1, False),
    ]
    assert [[p.name for p in version.inventory.packages] for version in versions] == [["six"], ["six"]]


@pytest.mark.parametrize("target", DATABASES)
@pytest.mark.parametrize("source", DATABASES)
def test_what_a_backup_is_restored_to_remembers_the_same(
    place: Place, tmp_path: Path, source: str, target: str
) -> None:
    file = tmp_path / "launchyard.tar.gz"
    old, new = place(source), place(target)
    remember(old)
    assert back_up(old, file) == BackedUp(2, 3, 2)
    assert restore(new, file) == BackedUp(2, 3, 2)
    assert everything(new) == everything(old)
    for build in everything(old)[1].items:
        journals = [Journal(Path(settings.state_dir, "service", "builds")) for settings in (old, new)]
        assert list(journals[0].every(build.id)) == list(journals[1].every(build.id))
        assert journals[1].log(build.id).read_text() == "Collecting six é\n"


def test_a_build_that_was_under_way_in_a_backup_is_built_after_it(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    engine = GatedEngine(index={"six": "1.16.0"})
    with running(tmp_path / "old", engine) as service:
        engine.gate.clear()
        build = service.create(name="under-way")["build"]
        assert engine.waiting.wait(20)
        found = back_up(replace(Settings(), state_dir=str(tmp_path / "old" / "state")), file)
        assert found == BackedUp(1, 1, 0)
        engine.gate.set()
    restore(replace(Settings(), state_dir=str(tmp_path / "new" / "state")), file)
    with running(tmp_path / "new", GatedEngine(index={"six": "1.16.0"})) as service:
        assert service.ended(build["id"])["version"] == 1


def at_the_first_journal(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Let something happen when a backup comes to put in the first journal."""
    add = tarfile.TarFile.addfile
    done: list[str] = []

    def added(tar: tarfile.TarFile, member: tarfile.TarInfo, content: io.BytesIO) -> None:
        if member.name.startswith("builds/") and not done:
            done.append(member.name)
            then()
        add(tar, member, content)

    monkeypatch.setattr(tarfile.TarFile, "addfile", added)


def test_an_environment_that_is_deleted_while_it_is_backed_up_is_left_out_of_the_rest(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar.gz"
    old, new = place("sqlite"), place("sqlite")
    remember(old)
    directory = Path(old.state_dir, "service", "builds")
    first, *others = sorted(directory.iterdir())

    def delete() -> None:
        for journal in others:
            journal.unlink()

    at_the_first_journal(monkeypatch, delete)
    assert back_up(old, file) == restore(new, file) == BackedUp(2, 3, 2)
    assert [path.name for path in Path(new.state_dir, "service", "builds").iterdir()] == [first.name]


def test_a_journal_that_becomes_shorter_while_it_is_backed_up_is_kept_as_it_was(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar.gz"
    old, new = place("sqlite"), place("sqlite")
    remember(old)
    first = min(Path(old.state_dir, "service", "builds").iterdir())
    before = first.read_bytes()
    at_the_first_journal(monkeypatch, lambda: os.truncate(first, 1))
    back_up(old, file)
    restore(new, file)
    assert Path(new.state_dir, "service", "builds", first.name).read_bytes() == before


def test_a_service_that_remembers_something_is_left_as_it_is(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    old = place("sqlite")
    remember(old)
    back_up(old, file)
    before = everything(old)
    assert failure(old, file) == NotEmpty()
    assert everything(old) == before


def test_a_service_that_runs_is_not_restored_to(tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "LEAVING", 0.1)
    file = tmp_path / "backup.tar.gz"
    old = place("sqlite")
    remember(old)
    back_up(old, file)
    with running(tmp_path / "new"):
        settings = replace(Settings(), state_dir=str(tmp_path / "new" / "state"))
        assert failure(settings, file) == StateTaken(settings.state_dir)


@pytest.mark.parametrize("made", [True, False])
def test_where_no_service_has_run_there_is_nothing_to_back_up_and_no_file(
    place: Place, tmp_path: Path, made: bool
) -> None:
    settings = place("sqlite")
    if made:
        opened(settings).close()
    with pytest.raises(BuildError) as raised:
        back_up(settings, tmp_path / "backup.tar.gz")
    assert raised.value.failure == NothingRemembered()
    assert not list(tmp_path.glob("backup*"))


def test_a_database_that_does_not_answer_while_it_is_backed_up_is_said_to_be_away(tmp_path: Path) -> None:
    settings = replace(Settings(), database="postgresql://ada@127.0.0.1:1/tides")
    with pytest.raises(BuildError) as raised:
        back_up(settings, tmp_path / "backup.tar.gz")
    assert isinstance(raised.value.failure, DatabaseAway)
    assert not list(tmp_path.glob("backup*"))


@pytest.mark.engine
@pytest.mark.parametrize(("user", "name"), [("nobody", "postgres"), ("postgres", "none")], ids=["user", "name"])
def test_a_database_that_refuses_is_said_to_do_so(
    postgres: servers.Server, tmp_path: Path, user: str, name: str
) -> None:
    database = f"postgresql://{user}:hunter2@{postgres.address}/{name}"
    environ = {"LAUNCHYARD_DATABASE": database}
    result = CliRunner().invoke(main, ["backup", str(tmp_path / "backup.tar.gz")], env=environ)
    assert result.exit_code == 2 and "The database refuses this service" in result.output
    assert "does not exist" in result.output and "hunter2" not in result.output


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        ('FATAL:  password authentication failed for user "ada"', True),
        ("fe_sendauth: no password supplied", True),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "ada", database "tides", no encryption', True),
        ('FATAL:  role "ada" is not permitted to log in', True),
        ('FATAL:  permission denied for database "tides"', True),
        ("FATAL:  the database system is starting up", False),
        ("FATAL:  sorry, too many clients already", False),
        ("Connection refused", False),
    ],
)
def test_a_refusal_is_told_from_a_database_that_is_away_by_its_words(said: str, refused: bool) -> None:
    error = OperationalError("SELECT", {}, Exception(f'connection to server at "127.0.0.1", port 5432 failed: {said}'))
    assert isinstance(database_failure(error), DatabaseRefused if refused else DatabaseAway)


def test_a_file_that_is_there_is_not_written_over(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_text("mine")
    settings = place("sqlite")
    remember(settings)
    with pytest.raises(BuildError) as raised:
        back_up(settings, file)
    assert raised.value.failure == BackupInvalid(str(file), "it is there already")
    assert file.read_text() == "mine"


def written(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file


HEAD = {"format": 1, "schema": "v1"}


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({}, "no backup"),
        ({"backup.json": b"{"}, "JSONDecodeError"),
        ({"backup.json": json.dumps({**HEAD, "format": 2}).encode()}, "its format is 2"),
        ({"backup.json": json.dumps({**HEAD, "schema": "v99"}).encode()}, "a newer release"),
        ({"backup.json": json.dumps(HEAD).encode(), "../escaped": b""}, "it holds '../escaped'"),
        ({"backup.json": json.dumps(HEAD).encode(), "tables/passwords.jsonl": b""}, "KeyError"),
        ({"backup.json": json.dumps(HEAD).encode(), "tables/builds.jsonl": b"{}\n"}, "KeyError"),
        ({"backup.json": json.dumps(HEAD).encode()}, "KeyError"),
    ],
)
def test_a_file_that_is_no_backup_is_refused_and_nothing_is_remembered(
    place: Place, tmp_path: Path, members: dict[str, bytes], problem: str
) -> None:
    settings = place("sqlite")
    said = failure(settings, written(tmp_path / "backup.tar.gz", members))
    assert isinstance(said, BackupInvalid) and problem in said.problem
    store = opened(settings)
    store.migrate()
    assert store.environments().items == ()
    store.close()
    assert not (tmp_path / "escaped").exists() and not Path(settings.state_dir, "escaped").exists()


def test_what_is_no_tar_at_all_is_refused(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    file.write_bytes(b"\x1f\x8b not gzip")
    said = failure(place("sqlite"), file)
    assert isinstance(said, BackupInvalid)


def test_the_commands_say_how_much_was_kept(place: Place, tmp_path: Path) -> None:
    old, new = place("sqlite"), place("sqlite")
    remember(old)
    file = str(tmp_path / "backup.tar.gz")
    for command, settings in (("backup", old), ("restore", new)):
        result = CliRunner().invoke(main, [command, file, "--state", settings.state_dir])
        assert (result.exit_code, result.output) == (0, "2 environments, 3 builds, 2 versions\n")
    assert everything(new) == everything(old)
