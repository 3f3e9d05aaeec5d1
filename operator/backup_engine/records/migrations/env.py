"""Run by Alembic for each upgrade; the connection and its transaction are the caller's."""

from alembic import context

from backup_engine.records.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite cannot alter most of a table in place
)
context.run_migrations()
