"""The tables of the records. builder/migrations makes them; a test holds the two to each other."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa


class Instant(sa.types.TypeDecorator[datetime]):
    """A time in UTC; SQLite keeps no zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


METADATA = sa.MetaData()

environments = sa.Table(
    "environments",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False, unique=True),
    sa.Column("owner", sa.String(100), nullable=False),
    sa.Column("repository", sa.String(2_000), nullable=False),
    sa.Column("ref", sa.String(250)),
    sa.Column("subdir", sa.String(1_000), nullable=False),
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("current_version", sa.Integer),
    sa.Column("pinned", sa.Boolean, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("found_by", sa.String, sa.Computed("lower(name || ' ' || repository)", persisted=True)),
    sa.Index("environments_by_state", "state", "id"),
    sqlite_with_rowid=False,  # lists and searches read it in the order of ids, a third of the time
)

builds = sa.Table(
    "builds",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("environment_id", sa.ForeignKey("environments.id"), nullable=False),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(20), nullable=False),
    sa.Column("asked_by", sa.String(100), nullable=False),
    sa.Column("asked", sa.JSON, nullable=False),
    sa.Column("wanted", sa.JSON),
    sa.Column("inputs", sa.String(64), nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    sa.Column("commit", sa.String(60)),
    sa.Column("key", sa.String(64)),
    sa.Column("strategy", sa.String(20)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Column("steps", sa.JSON, nullable=False),
    sa.Column("explanation", sa.JSON(none_as_null=True)),
    sa.Column("outcome", sa.String(200), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("cancelling", sa.Boolean, nullable=False),
    sa.Column("asked_again_by", sa.String(100)),
    sa.Index("builds_of_environment", "environment_id", "id"),
    sa.Index("builds_by_state", "state", "id"),
    sa.Index("builds_by_turn", "state", "turn"),
)

_UNDER_WAY = sa.text("state IN ('queued', 'running') AND NOT cancelling")
one_under_way = sa.Index(
    "one_build_under_way",
    builds.c.environment_id,
    builds.c.inputs,
    unique=True,
    sqlite_where=_UNDER_WAY,
    postgresql_where=_UNDER_WAY,
)
"""One build at a time for the same inputs; one that is being cancelled makes room for the next."""

versions = sa.Table(
    "versions",
    METADATA,
    sa.Column("environment_id", sa.ForeignKey("environments.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("build_id", sa.String(36), nullable=False),
    sa.Column("reference", sa.String(300), nullable=False),
    sa.Column("image_id", sa.String(80), nullable=False),
    sa.Column("digest", sa.String(80)),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("lock", sa.String(64), nullable=False),
    sa.Column("commit", sa.String(60), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("inventory", sa.JSON, nullable=False),
    sa.Column("locked", sa.JSON, nullable=False),
    sa.Column("provenance", sa.JSON, nullable=False),
)

workers = sa.Table(
    "workers",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("host", sa.String(250), nullable=False),
    sa.Column("at_once", sa.Integer, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("seen_at", Instant, nullable=False),
)
