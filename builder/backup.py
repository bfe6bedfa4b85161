"""A backup: one file with all that a service remembers, from which an empty one becomes the same.

A gzipped tar, the same from SQLite and Postgres, so it also moves an installation from one to the other:

backup.json         {"format": 1, "schema": the migration that the builder's tables are of, "schemas": those of other
                    parts by their version table, "created_at": in UTC}
tables/NAME.jsonl   the rows of a table, one JSON object each, times in ISO 8601
builds/ID.events    the journals of builds, and builds/ID.log their logs

The queue is not in it: builds that were under way are put in line again. Images are in engines and registries.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import StatementError

from builder.database import OWN, Schema, explained, url_of
from builder.failures.served import BackupInvalid, NotEmpty, NothingRemembered, StateTaken
from builder.locks import LEAVING, LockTimeout, held
from builder.records import BackedUp
from builder.settings import Settings
from builder.space import no_room
from builder.store import Store
from detectors.failures import BuildError

FORMAT = 1

BATCH = 500
"""Rows that are written at once."""

MAX_LINE = 64_000_000
"""Characters of one row: what is in an image is one."""

_UNREADABLE = (OSError, EOFError, tarfile.TarError, ValueError, KeyError, TypeError, RecursionError)

_JOURNAL = re.compile(r"builds/[0-9a-f-]{36}\.(?:events|log)")
_TABLE = re.compile(r"tables/([a-z_]{1,60})\.jsonl")


def back_up(settings: Settings, file: Path, others: Sequence[Schema] = ()) -> BackedUp:
    """Write all that the service of these settings remembers to a new file; it may run meanwhile.

    `others` are the schemas beside the builder's. Raises BuildError: BackupInvalid where the file is there already or
    cannot be written, NothingRemembered, and what is wrong with the database or a disk.
    """
    directory = Path(settings.state_dir, "service")
    part = file.with_name(file.name + ".part")
    try:
        if file.exists():
            raise BuildError(BackupInvalid(str(file), "it is there already"))
        if not settings.database and not (directory / "records.db").exists():
            raise BuildError(NothingRemembered())
        part.touch(mode=0o600)  # launchers' secrets are in it
        with tarfile.open(part, "w:gz", compresslevel=6) as tar, _opened(settings) as store:
            counts = _write_tables(store, tar, others)
            _write_journals(directory, tar)
        part.rename(file)
    except OSError as error:
        full = no_room(error, str(file))
        raise BuildError(full or BackupInvalid(str(file), error.strerror or str(error))) from None
    finally:
        part.unlink(missing_ok=True)
    return counts


def restore(settings: Settings, file: Path, others: Sequence[Schema] = ()) -> BackedUp:
    """Let the service of these settings, which remembers nothing and does not run, remember what a backup holds.

    Raises BuildError: BackupInvalid, NotEmpty, StateTaken, and what is wrong with the database or the disk.
    """
    directory = Path(settings.state_dir, "service")
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            nullcontext() if settings.database else held(directory / "lock", LEAVING),
            _opened(settings) as store,
            tarfile.open(file, "r:gz") as tar,
        ):
            return _read(tar, store, directory, others)
    except LockTimeout:
        raise BuildError(StateTaken(settings.state_dir)) from None
    except CommandError:
        raise BuildError(BackupInvalid(str(file), "a newer release of Launchyard has written it")) from None
    except (*_UNREADABLE, StatementError) as error:
        full = no_room(error, "the service's records")
        raise BuildError(full or BackupInvalid(str(file), f"{type(error).__name__}: {error}"[:300])) from None


def _write_tables(store: Store, tar: tarfile.TarFile, others: Sequence[Schema]) -> BackedUp:
    counts: dict[str, int] = {}
    with store.snapshot() as connection:
        schema = store.schema(connection)
        if schema is None:
            raise BuildError(NothingRemembered())
        schemas = {other.version_table: store.schema(connection, other) for other in others}
        head = {"format": FORMAT, "schema": schema, "schemas": schemas, "created_at": datetime.now(UTC).isoformat()}
        _add(tar, "backup.json", io.BytesIO(json.dumps(head).encode()))
        for table in _tables(connection, others):
            with tempfile.TemporaryFile() as rows:
                counts[table.name] = 0
                for row in connection.execution_options(yield_per=BATCH).execute(sa.select(*_kept(table))).mappings():
                    rows.write(json.dumps({name: _plain(value) for name, value in row.items()}).encode() + b"\n")
                    counts[table.name] += 1
                _add(tar, f"tables/{table.name}.jsonl", rows)
    return BackedUp(counts["environments"], counts["builds"], counts["versions"])


def _write_journals(directory: Path, tar: tarfile.TarFile) -> None:
    """Put in as much as there is now: builds that run write more, and those of a deleted environment go."""
    for path in sorted((directory / "builds").glob("*")):
        try:
            journal = path.open("rb")
        except FileNotFoundError:
            continue
        with journal, tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(journal, copy)
            _add(tar, f"builds/{path.name}", copy)


def _add(tar: tarfile.TarFile, name: str, content: IO[bytes]) -> None:
    member = tarfile.TarInfo(name)
    member.size = content.seek(0, io.SEEK_END)
    content.seek(0)
    tar.addfile(member, content)


def _read(tar: tarfile.TarFile, store: Store, directory: Path, others: Sequence[Schema]) -> BackedUp:
    members = iter(tar)
    head = json.loads(_content(tar, next(members, None)).read(MAX_LINE))
    if head["format"] != FORMAT:
        raise ValueError(f"its format is {head['format']}, and {FORMAT} is understood")
    store.migrate(str(head["schema"]))
    for other in others:
        if revision := head.get("schemas", {}).get(other.version_table):
            store.migrate(str(revision), other)
    counts: dict[str, int] = {}
    with store.writing() as connection:
        known = {table.name: table for table in _tables(connection, others)}
        if any(connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in known.values()):
            raise BuildError(NotEmpty())
        for member in members:
            if found := _TABLE.fullmatch(member.name):
                counts[found[1]] = _insert(connection, known[found[1]], _content(tar, member))
            elif _JOURNAL.fullmatch(member.name):
                path = directory / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as journal:
                    journal.writelines(_content(tar, member))
            else:
                raise ValueError(f"it holds {member.name[:100]!r}")
    for schema in (OWN, *others):
        store.migrate(schema=schema)
    return BackedUp(counts["environments"], counts["builds"], counts["versions"])


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> IO[bytes]:
    content = tar.extractfile(member) if member and member.isfile() else None
    if content is None:
        raise ValueError("it is no backup of Launchyard's")
    return content


def _insert(connection: sa.Connection, table: sa.Table, rows: IO[bytes]) -> int:
    count = 0
    batch: list[dict[str, Any]] = []
    while line := rows.readline(MAX_LINE):
        batch.append({column.name: _value(column, json.loads(line)[column.name]) for column in _kept(table)})
        count += 1
        if len(batch) == BATCH:
            connection.execute(table.insert(), batch)
            batch = []
    if batch:
        connection.execute(table.insert(), batch)
    return count


def _tables(connection: sa.Connection, others: Sequence[Schema]) -> list[sa.Table]:
    """As they are in the database, each behind those that it points at; but for those that say how things are with the
    database and the processes."""
    left_out = {"workers", *(schema.version_table for schema in (OWN, *others))}
    found = sa.MetaData()
    found.reflect(connection, only=lambda name, _: name not in left_out)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.JSON):
                column.type = sa.JSON(none_as_null=True)
    return found.sorted_tables


def _kept(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns that the database does not make of others."""
    return [column for column in table.columns if column.computed is None]


def _plain(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()


def _value(column: sa.Column[Any], value: Any) -> Any:
    return datetime.fromisoformat(value) if isinstance(column.type, sa.DateTime) and value is not None else value


@contextmanager
def _opened(settings: Settings) -> Iterator[Store]:
    url = url_of(settings)
    with explained(url), closing(Store(url)) as store:
        yield store
