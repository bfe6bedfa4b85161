"""The database of all records: SQLite or Postgres, its connections, its schemas, and what is wrong with it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from builder.failures.asked import SettingsInvalid
from builder.failures.built import DiskFull
from builder.failures.served import DatabaseAway, DatabaseBroken, DatabaseRefused, RecordAbsent, RecordsNewer
from builder.settings import Settings
from detectors.failures import BuildError

MAX_LOG = 16_000
"""Pages of 4,096 bytes that SQLite's log may have before who writes has to wait for the disk, which takes up to a
second: `checkpoint` is to come before that."""

MAX_PAGE = 200

AWAY = (OperationalError, InterfaceError, PoolTimeout)
"""What is raised while a database does not answer, or has no room: it may do as it is asked a moment later."""

MIGRATING = 8_700
"""The number of the lock that Postgres gives to one process at a time: several may start at once."""


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables of one part of Launchyard in the one database, as Alembic makes them."""

    scripts: Path
    """The directory of their migrations."""
    version_table: str
    """Where it keeps how far they are."""


OWN = Schema(Path(__file__).parent / "migrations", "alembic_version")


class Database:
    """What is read from and written to, the same on either."""

    def __init__(self, url: str) -> None:
        """`url` is SQLAlchemy's: "sqlite:////path" or "postgresql://…"."""
        self._engine = _engine(url)
        # SQLite has one writer at a time, and who waits for it looks again after pauses of up to 100 ms.
        self._one_writer = threading.Lock() if url.startswith("sqlite") else nullcontext()

    def migrate(self, to: str = "head", schema: Schema = OWN) -> None:
        """Bring a schema up to this release's, or to an earlier one; data is kept.

        Raises BuildError(RecordsNewer), and alembic.util.CommandError for a migration that is not known.
        """
        from alembic import command
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(schema.scripts))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATING)))
            now = self.schema(connection, schema)
            if now and now not in known:
                raise BuildError(RecordsNewer(self._engine.url.database or "", now))
            config.attributes["connection"] = connection
            command.upgrade(config, to)

    @property
    def engine(self) -> sa.Engine:
        """The database, for records of others beside these; `writing` is how it is written to."""
        return self._engine

    def close(self) -> None:
        self._engine.dispose()

    def checkpoint(self) -> None:
        """Of SQLite alone: bring what its log of writes has into its file; who writes goes on beside.

        Raises sqlalchemy.exc.OperationalError.
        """
        with self.reading() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def answers(self) -> None:
        """Ask the database for nothing. Raises sqlalchemy.exc.OperationalError when it does not answer."""
        with self.reading() as connection:
            connection.execute(sa.select(sa.literal(1)))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for one statement, which sees one state by itself."""
        with self._engine.begin() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection that sees everything as it is at one moment, however long it reads."""
        with self._engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            connection = connection.execution_options(launchyard_begin="DEFERRED")
            with connection.begin():
                yield connection

    def schema(self, connection: sa.Connection, schema: Schema = OWN) -> str | None:
        """The migration that a schema's tables are of; None where there are none yet."""
        from alembic.migration import MigrationContext

        context = MigrationContext.configure(connection, opts={"version_table": schema.version_table})
        return context.get_current_revision()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection whose changes happen together, or not at all."""
        with self._one_writer, self._engine.connect() as connection:
            connection = connection.execution_options(launchyard_begin="IMMEDIATE")
            with connection.begin():
                yield connection

    def page(
        self, page: sa.Select[Any], key: str, after: str | int | None, limit: int, given: Mapping[str, Any]
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The rows of a page that `paged` made, with what is given as its parameters, and `after` of the next one."""
        limit = max(1, min(limit, MAX_PAGE))
        on = {} if after is None else {"after": after}
        with self.reading() as connection:
            found = connection.execute(page, {**given, **on, "limit": limit + 1})
            names = tuple(found.keys())
            rows = [dict(zip(names, row, strict=True)) for row in found.all()]
        return rows[:limit], str(rows[limit - 1][key]) if len(rows) > limit else None


def paged(query: sa.Select[Any], key: sa.Column[Any], on: bool) -> sa.Select[Any]:
    """The first page of a query by a column, the last first; or, `on`, the one behind another."""
    behind = query.where(key < sa.bindparam("after")) if on else query
    return behind.order_by(key.desc()).limit(sa.bindparam("limit"))


def only_row(
    connection: sa.Connection, query: sa.Select[Any], what: str, id: str, *, lock: bool = False, **given: str | int
) -> sa.RowMapping:
    """What a query finds one of at the most, by what is given or by its parameter `id` if it has one.

    Raises BuildError(RecordAbsent).
    """
    found = connection.execute(query.with_for_update() if lock else query, given or {"id": id}).mappings().first()
    if found is None:
        raise BuildError(RecordAbsent(what, id))
    return found


def url_of(settings: Settings) -> str:
    """Where a service of these settings remembers."""
    return settings.database or f"sqlite:///{Path(settings.state_dir, 'service', 'records.db')}"


def driver_url(url: str) -> str:
    """An address of a database with the driver that is installed: SQLAlchemy's own choice for Postgres is another."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def summary(error: BaseException) -> str:
    """What a database's driver said, in one line and without the statement that it was asked."""
    return str(getattr(error, "orig", None) or error).strip().partition("\n")[0][:300]


def database_failure(error: Exception) -> DatabaseAway | DatabaseRefused | DiskFull:
    """What is wrong where a database does not do as it is asked."""
    said = summary(error)
    if _FULL.search(said) or _sqlite_code(error) == "SQLITE_IOERR_SHMSIZE":
        return DiskFull("", said=said, own="the service's records")
    return DatabaseRefused(said) if _REFUSED.search(said) else DatabaseAway(said)


# https://www.sqlite.org/rescode.html#full and #ioerr_shmsize, and what Postgres says of ENOSPC
_FULL = re.compile("disk is full|No space left on device")

# By its words, for libpq gives no SQLSTATE of a connection that does not come to be: those of the classes 28 and 3D in
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r"|permission denied for database"
    r'|FATAL: +(role|database) ".*" does not exist'
)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Let what is wrong with the database at an address of SQLAlchemy's be raised as a failure.

    Raises BuildError: DatabaseAway, DatabaseRefused, DatabaseBroken, DiskFull.
    """
    try:
        yield
    except DatabaseError as error:
        # https://www.sqlite.org/rescode.html, which has several that begin so
        if _sqlite_code(error).startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            file = sa.make_url(url).database or ""
            raise BuildError(DatabaseBroken(file, summary(error), file.endswith("queue.db"))) from None
        if not isinstance(error, OperationalError):
            raise
        raise BuildError(database_failure(error)) from None


def _sqlite_code(error: Exception) -> str:
    return getattr(getattr(error, "orig", None), "sqlite_errorname", "")


def _engine(url: str) -> sa.Engine:
    """Raises BuildError(SettingsInvalid)."""
    if not re.match(r"(sqlite|postgres(ql)?):", url):
        words = "an address such as postgresql://USER:PASSWORD@HOST/NAME is needed"
        raise BuildError(SettingsInvalid((("database", words),)))
    if not url.startswith("sqlite"):
        # A connection that broke off while nobody used it is made anew; one that does not come is given up.
        return sa.create_engine(
            driver_url(url), pool_pre_ping=True, pool_size=10, max_overflow=30, pool_timeout=10,
            connect_args={"connect_timeout": 5}, json_deserializer=from_json,
        )  # fmt: skip
    engine = sa.create_engine(url, json_deserializer=from_json)  # in less than half of json's time
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    # The driver's own transactions begin at the first write, too late for reads before it to hold.
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 20000",
        f"wal_autocheckpoint = {MAX_LOG}",
    ):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A read is mostly one statement, which sees one state by itself.
    if how := connection.get_execution_options().get("launchyard_begin"):
        connection.exec_driver_sql(f"BEGIN {how}")
