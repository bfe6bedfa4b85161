"""The newest turns are found without a look at every build that waits."""

from alembic import op

revision = "v3"
down_revision = "v2"


def upgrade() -> None:
    op.create_index("builds_by_turn", "builds", ["state", "turn"], unique=False)
