"""The schema's history. The newest revision's id is `curate.store.migrate.HEAD`."""
