"""Who asked for a build again while it ran."""

import sqlalchemy as sa
from alembic import op

revision = "v2"
down_revision = "v1"


def upgrade() -> None:
    op.add_column("builds", sa.Column("asked_again_by", sa.String(length=100), nullable=True))
