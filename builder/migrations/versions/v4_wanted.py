"""What of its environment a build is made of; of builds of before it was kept, what their environments want now."""

import sqlalchemy as sa
from alembic import op

revision = "v4"
down_revision = "v3"


def upgrade() -> None:
    op.add_column("builds", sa.Column("wanted", sa.JSON(), nullable=True))
    builds = sa.table("builds", sa.column("wanted", sa.JSON), sa.column("environment_id", sa.String))
    environments = sa.table(
        "environments",
        sa.column("id", sa.String),
        sa.column("ref", sa.String),
        sa.column("subdir", sa.String),
        sa.column("options", sa.JSON),
    )
    connection = op.get_bind()
    for environment in connection.execute(sa.select(environments)).mappings():
        wanted = {name: environment[name] for name in ("ref", "subdir", "options")}
        connection.execute(builds.update().where(builds.c.environment_id == environment["id"]).values(wanted=wanted))
