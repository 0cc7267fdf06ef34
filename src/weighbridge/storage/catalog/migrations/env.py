"""What Alembic runs: the migrations, on the connection that the catalog hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from weighbridge.storage.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,  # SQLite changes a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
