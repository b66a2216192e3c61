"""Connections: where the database is, how SQLite is set up, and its errors in the user's words."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import QueuePool

from curate.errors import ConfigError, ConflictError, CurateError, ProjectError, StoreError

__all__ = ["WRITE_OPTION", "create_engine", "describe", "parse_target", "translated"]

WRITE_OPTION = "crossguard_write"
_BUSY_SECONDS = 30.0
# One advisory lock makes PostgreSQL writers take turns, as SQLite's do: a decision then reads and writes
# without another one in between.
_WRITER_LOCK = 0x63726F7373


def parse_target(target: str | Path) -> URL:
    """A path of a SQLite file, or a URL (sqlite:///file, postgresql://user@host/name), as a URL.

    Raises:
        ConfigError: Another kind of database, or SQLite in memory (each connection would see its own).
        ProjectError: The folder of a SQLite file is not there.
    """
    text = str(target)
    if "://" not in text:
        url = URL.create("sqlite", database=text)
    else:
        try:
            url = make_url(text)
        except ArgumentError as error:
            raise ConfigError("not a database URL", item="database") from error
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "postgresql+psycopg":
        return url
    if url.drivername != "sqlite" or not url.database or url.database == ":memory:":
        raise ConfigError(
            f"expected a file, sqlite:///file or postgresql://..., got {describe(url)}", item="database"
        )
    path = Path(url.database)
    if path.is_dir():
        raise ProjectError("expected the file of a database, found a folder", file=path)
    if not path.parent.is_dir():
        raise ProjectError(
            "the folder of the database does not exist",
            file=path,
            hint="create the project with `curate init`",
        )
    return url


def describe(url: URL) -> str:
    """The database for messages: a file's path, or the URL without its password."""
    if url.drivername == "sqlite" and url.database:
        return url.database
    return url.render_as_string(hide_password=True)


def create_engine(url: URL) -> Engine:
    """An engine whose connections serve one thread at a time."""
    if url.drivername != "sqlite":
        engine = sa.create_engine(url, pool_pre_ping=True, max_overflow=60)
        sa.event.listen(engine, "begin", _begin_postgres)
        return engine
    engine = sa.create_engine(
        url,
        poolclass=QueuePool,
        max_overflow=60,
        # isolation_level None: the driver starts no transaction by itself; _begin_sqlite does.
        connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False, "isolation_level": None},
    )
    sa.event.listen(engine, "connect", _set_up_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """WAL for readers beside a writer; FULL, because an acknowledged decision outlives a power cut."""
    _retry_busy(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # 64 MiB at most: bulk imports go into many indexes in random order.
    connection.execute("PRAGMA cache_size = -65536")


def _begin_sqlite(connection: Connection) -> None:
    write = connection.get_execution_options().get(WRITE_OPTION, False)
    # A deferred transaction that turns into a writer can fail at once with "locked"; an immediate one waits.
    statement = "BEGIN IMMEDIATE" if write else "BEGIN"
    _retry_busy(lambda: connection.exec_driver_sql(statement))


def _begin_postgres(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITE_OPTION, False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def _retry_busy(action: Callable[[], object]) -> None:
    """Some locks fail at once instead of waiting for SQLite's own timeout: wait for those here."""
    deadline = time.monotonic() + _BUSY_SECONDS
    pause = 0.01
    while True:
        try:
            action()
        except (sqlite3.OperationalError, DBAPIError) as error:
            if _sqlite_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() + pause > deadline:
                raise
            time.sleep(pause)
            pause *= 2
        else:
            return


def _sqlite_code(error: BaseException) -> int | None:
    cause = error.orig if isinstance(error, DBAPIError) else error
    code = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else int(code) & 0xFF


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the driver's errors into ours, naming the database `where`."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        raise _translate(error, where) from error


def _translate(error: DBAPIError | sqlite3.Error, where: str) -> CurateError:
    cause = error.orig if isinstance(error, DBAPIError) else error
    reason = str(cause).strip().split("\n")[0]
    code = _sqlite_code(error)
    state = getattr(cause, "sqlstate", None)
    if code == sqlite3.SQLITE_FULL or state == "53100":
        return ProjectError(
            "the disk is full; nothing of this step was saved", file=where, hint="free some space"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR):
        return ProjectError(
            f"the database cannot be read or written: {reason}",
            file=where,
            hint="check the disk and the rights on the file and its folder",
        )
    if code == sqlite3.SQLITE_NOTADB:
        return StoreError("this file is not a database", file=where)
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreError(
            f"the database is damaged: {reason}", file=where, hint="restore it, or `.recover` it with sqlite3"
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"the database was busy for {_BUSY_SECONDS:g} seconds",
            file=where,
            hint="another process holds it: wait for it or stop it",
        )
    if isinstance(error, IntegrityError | sqlite3.IntegrityError):
        return ConflictError(f"the database refuses the change: {reason}", file=where)
    return StoreError(f"the database failed: {reason}", file=where)
