"""Run the migrations on the connection that `curate.store.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from curate.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
