"""Launchers and sessions."""

import sqlalchemy as sa
from alembic import op

revision = "v1"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "installation", sa.Column("id", sa.String(length=36), nullable=False), sa.PrimaryKeyConstraint("id")
    )
    op.create_table(
        "launchers",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("environment_id", sa.String(length=36), nullable=True),
        sa.Column("image", sa.String(length=300), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("frontend", sa.String(length=20), nullable=False),
        sa.Column("command", sa.JSON(), nullable=False),
        sa.Column("resources", sa.String(length=63), nullable=False),
        sa.Column("variables", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("idle_limit", sa.Integer(), nullable=True),
        sa.Column("works", sa.Integer(), nullable=False),
        sa.Column("deleting", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_index(op.f("ix_launchers_environment_id"), "launchers", ["environment_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("launcher_id", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("work", sa.Integer(), nullable=False),
        sa.Column("image", sa.String(length=300), nullable=False),
        sa.Column("frontend", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("commit", sa.String(length=60), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("active_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("explanation", sa.JSON(), nullable=True),
        sa.Column("outcome", sa.String(length=300), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["launcher_id"], ["launchers.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_sessions_state"), "sessions", ["state"], unique=False)
    op.create_index("sessions_of_launcher", "sessions", ["launcher_id", "id"], unique=False)
    op.create_index(
        "one_session_at_work",
        "sessions",
        ["launcher_id", "work"],
        unique=True,
        sqlite_where=sa.text("state NOT IN ('stopped', 'failed')"),
        postgresql_where=sa.text("state NOT IN ('stopped', 'failed')"),
    )
