"""Data that launchers mount."""

import sqlalchemy as sa
from alembic import op

revision = "v2"
down_revision = "v1"


def upgrade() -> None:
    with op.batch_alter_table("launchers") as table:
        table.add_column(sa.Column("data", sa.JSON(), nullable=False, server_default="[]"))
