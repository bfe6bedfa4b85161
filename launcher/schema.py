"""The tables of launchers and sessions, beside the builder's in one database. launcher/migrations makes them."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from builder.database import Schema
from builder.schema import Instant

METADATA = sa.MetaData()

SCHEMA = Schema(Path(__file__).parent / "migrations", "launcher_version")

installation = sa.Table("installation", METADATA, sa.Column("id", sa.String(36), primary_key=True))
"""One row: by its id a runtime tells the sessions of this service from others'."""

launchers = sa.Table(
    "launchers",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(63), nullable=False, unique=True),
    sa.Column("environment_id", sa.String(36), index=True),
    sa.Column("image", sa.String(300)),
    sa.Column("version", sa.Integer),
    sa.Column("frontend", sa.String(20), nullable=False),
    sa.Column("command", sa.JSON, nullable=False),
    sa.Column("resources", sa.String(63), nullable=False),
    sa.Column("variables", sa.JSON, nullable=False),
    sa.Column("secrets", sa.JSON, nullable=False),
    sa.Column("data", sa.JSON, nullable=False, server_default="[]"),
    sa.Column("idle_limit", sa.Integer),
    sa.Column("works", sa.Integer, nullable=False),
    sa.Column("deleting", sa.Boolean, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
)

sessions = sa.Table(
    "sessions",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("launcher_id", sa.ForeignKey("launchers.id"), nullable=False),
    sa.Column("state", sa.String(20), nullable=False, index=True),
    sa.Column("work", sa.Integer, nullable=False),
    sa.Column("image", sa.String(300), nullable=False),
    sa.Column("frontend", sa.String(20), nullable=False),
    sa.Column("version", sa.Integer),
    sa.Column("commit", sa.String(60), nullable=False),
    sa.Column("token", sa.String(64), nullable=False),
    sa.Column("url", sa.String(300), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("begun_at", Instant, nullable=False),
    sa.Column("active_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("explanation", sa.JSON(none_as_null=True)),
    sa.Column("outcome", sa.String(300), nullable=False),
    sa.Column("lines", sa.JSON, nullable=False),
    sa.Index("sessions_of_launcher", "launcher_id", "id"),
)

_LIVE = sa.text("state NOT IN ('stopped', 'failed')")
one_at_work = sa.Index(
    "one_session_at_work",
    sessions.c.launcher_id,
    sessions.c.work,
    unique=True,
    sqlite_where=_LIVE,
    postgresql_where=_LIVE,
)
"""A work directory is one session's at a time."""
