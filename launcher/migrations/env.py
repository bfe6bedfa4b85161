"""How Alembic runs here: on the connection that the store gives it."""

from alembic import context

from launcher.schema import METADATA, SCHEMA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=SCHEMA.version_table,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
