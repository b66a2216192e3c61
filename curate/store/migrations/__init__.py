"""Alembic's scripts: one file a change of the schema, run by `curate.store.migrate`."""
