"""Bring a database to the schema of this version of Crossguard, in one transaction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["HEAD", "alembic_config", "migrate", "stored_revision"]

HEAD = "0005"
"""The newest revision in migrations/versions."""


def stored_revision(connection: Connection, where: str) -> str | None:
    """The schema revision of the database; None for an empty one.

    Raises:
        StoreError: The database holds another program's tables.
    """
    names = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in names:
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if names:
        shown = ", ".join(sorted(names)[:3])
        raise StoreError(f"this database belongs to another program (tables {shown})", file=where)
    return None


def migrate(connection: Connection, where: str, target: str = HEAD) -> None:
    """Run what is missing up to a revision. Expects a write transaction, which it leaves open.

    Raises:
        StoreError: A newer Crossguard made the database, or another program did.
    """
    current = stored_revision(connection, where)
    if current == target:
        return
    # Imported here: most processes find the schema ready and need not pay for Alembic.
    from alembic import command
    from alembic.script import ScriptDirectory

    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise StoreError(
            f"schema {current} of the database is newer than this program's {HEAD}",
            file=where,
            hint="install the version of Crossguard that made it, or a later one",
        )
    command.upgrade(config, target)


def alembic_config(connection: Connection) -> Config:
    """Alembic's settings for our scripts, on a connection whose transaction it joins."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config
