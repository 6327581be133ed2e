"""Alembic's entry: runs the scripts on the connection that `migrate` holds, inside its transaction."""

from alembic import context

from twinspeak.persistence.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
