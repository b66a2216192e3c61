"""The whole database as one portable file, out of SQLite or PostgreSQL and into either.

A backup is a zip with one file of JSON lines a table, in the schema of its time, and `backup.json` with the schema's
revision and the SHA-256 of every table. `curate.workflows.database` adds the frames' files.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.errors import ConflictError, FormatError, StoreError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import STREAM, StoreBase, chunked
from curate.store.migrate import HEAD, migrate, stored_revision

__all__ = ["BACKUP_FILE", "BackupStore", "backup_rows", "read_backup_head"]

BACKUP_FILE = "backup.json"
_FORMAT = 1
_ROWS = 500


class BackupStore(StoreBase):
    """Out to a backup and back in."""

    def write_tables(self, archive: zipfile.ZipFile) -> dict[str, Any]:
        """Write all tables as they are at one moment; writers go on meanwhile.

        Returns:
            What belongs into `backup.json`.
        """
        tables: dict[str, Any] = {}
        with self.reading(), self._read() as connection:
            for table in schema.metadata.sorted_tables:
                digest, rows = hashlib.sha256(), 0
                query = sa.select(table).order_by(*table.primary_key).execution_options(**STREAM)
                with (
                    archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as file,
                    connection.execute(query) as result,
                ):
                    for row in result:
                        line = (json.dumps([_plain(value) for value in row]) + "\n").encode()
                        file.write(line)
                        digest.update(line)
                        rows += 1
                tables[table.name] = {
                    "columns": table.c.keys(),
                    "rows": rows,
                    "sha256": digest.hexdigest(),
                }
        return {"format": _FORMAT, "schema": HEAD, "tables": tables, "created_at": time.time()}

    def note_backup(self, path: str, sha256: str) -> None:
        """Remember a backup file, so that a purge can reach it."""
        table = schema.backups
        with self.begin() as connection:
            connection.execute(sa.delete(table).where(table.c.path == path))
            values = {"path": path, "sha256": sha256, "created_at": time.time()}
            connection.execute(sa.insert(table), values)
            write_audit(connection, self.actor, "backup.write", Path(path).name, {"sha256": sha256})

    def forget_backup(self, path: str) -> None:
        """A backup file is gone."""
        with self.begin() as connection:
            connection.execute(sa.delete(schema.backups).where(schema.backups.c.path == path))

    def backups(self) -> dict[str, str]:
        """Path -> SHA-256 of the backups that were written."""
        with self._read() as connection:
            rows = connection.execute(sa.select(schema.backups).order_by(schema.backups.c.path))
            return {row.path: row.sha256 for row in rows}

    def expect_empty(self) -> None:
        """Refuse to fill a database that holds something.

        Raises:
            ConflictError: It does.
        """
        with self._read() as connection:
            if _is_filled(connection):
                raise ConflictError(
                    "the database is not empty",
                    file=self.where,
                    hint="--replace drops what is in it, after a backup of its own",
                )

    def read_tables(self, archive: zipfile.ZipFile, *, replace: bool = False) -> int:
        """Fill this database from a backup, older ones brought up to date, in one transaction.

        Args:
            archive: The backup.
            replace: Drop what is there.

        Returns:
            Number of rows.

        Raises:
            ConflictError: There is something in the database, and `replace` is false; nothing is changed.
            FormatError: Not a backup, or a damaged one; nothing is changed.
            StoreError: A newer Crossguard made it.
        """
        head = read_backup_head(archive)
        with self.begin() as connection:
            if not replace:
                self.expect_empty()
            _drop(connection)
            _make(connection, self.where, head["schema"])
            rows = _insert(connection, archive, head)
            migrate(connection, self.where)
            write_audit(connection, self.actor, "backup.restore", detail={"rows": rows})
        return rows


def read_backup_head(archive: zipfile.ZipFile) -> dict[str, Any]:
    """What `backup.json` says.

    Raises:
        FormatError: Not a backup of ours.
    """
    try:
        head = json.loads(archive.read(BACKUP_FILE))
        if head["format"] != _FORMAT:
            raise FormatError(
                f"expected backup format {_FORMAT}, got {head['format']!r}", file=archive.filename
            )
        return {**head, "schema": str(head["schema"]), "tables": dict(head["tables"])}
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise FormatError("not a backup of Crossguard", file=archive.filename) from error


def backup_rows(archive: zipfile.ZipFile, head: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The rows of a table by column, as JSON values.

    Raises:
        FormatError: The table is damaged.
    """
    columns, digest = head["tables"][name]["columns"], hashlib.sha256()
    try:
        with archive.open(f"tables/{name}.jsonl") as file:
            for line in io.BufferedReader(file):  # type: ignore[type-var]
                digest.update(line)
                yield dict(zip(columns, json.loads(line), strict=True))
    except (KeyError, ValueError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise FormatError("this table of the backup is damaged", file=archive.filename, item=name) from error
    if digest.hexdigest() != head["tables"][name]["sha256"]:
        raise FormatError(
            "this table of the backup was changed: its SHA-256 differs", file=archive.filename, item=name
        )


def _plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _loaded(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value


def _is_filled(connection: Connection) -> bool:
    names = set(sa.inspect(connection).get_table_names())
    tables = (schema.frames, schema.heads, schema.decisions, schema.versions, schema.users)
    return any(
        connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
        for table in tables
        if table.name in names
    )


def _drop(connection: Connection) -> None:
    stored = sa.MetaData()
    # Ours only: another program may keep tables in the same PostgreSQL database.
    stored.reflect(
        connection, only=lambda name, _: name in schema.metadata.tables or name == "alembic_version"
    )
    stored.drop_all(connection)


def _make(connection: Connection, where: str, revision: str) -> None:
    if revision > HEAD:
        raise StoreError(
            f"schema {revision} of the backup is newer than this program's {HEAD}",
            file=where,
            hint="install the version of Crossguard that made it, or a later one",
        )
    migrate(connection, where, revision)
    if stored_revision(connection, where) != revision:
        raise StoreError(f"there is no schema {revision}", file=where)


def _insert(connection: Connection, archive: zipfile.ZipFile, head: dict[str, Any]) -> int:
    stored = sa.MetaData()
    stored.reflect(connection)
    total = 0
    for table in stored.sorted_tables:
        if table.name == "alembic_version" or table.name not in head["tables"]:
            continue
        # A row may name a later one of its own table: such columns are filled when all rows are there.
        later = [key.parent.name for key in table.foreign_keys if key.column.table is table]
        if table.name == "annotations":
            later = []
        fixes: list[dict[str, Any]] = []
        for chunk in chunked(backup_rows(archive, head, table.name), _ROWS):
            rows = [{name: _loaded(value) for name, value in row.items()} for row in chunk]
            fixes += [
                {f"key_{key.name}": row[key.name] for key in table.primary_key}
                | {f"new_{name}": row[name] for name in later}
                for row in rows
                if any(row[name] is not None for name in later)
            ]
            connection.execute(sa.insert(table), [row | dict.fromkeys(later) for row in rows])
            total += len(rows)
        if fixes:
            where = [key == sa.bindparam(f"key_{key.name}") for key in table.primary_key]
            values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in later}
            connection.execute(sa.update(table).where(*where).values(**values), fixes)
        if connection.dialect.name == "postgresql" and "sequence" in table.primary_key:
            name = table.name
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'sequence'),"
                f" COALESCE((SELECT MAX(sequence) FROM {name}), 0) + 1, false)"
            )
    return total
