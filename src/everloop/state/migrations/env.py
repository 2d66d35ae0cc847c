"""Alembic's entry: migrate over the connection that `state.database` hands in."""

from alembic import context

from everloop.state.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
