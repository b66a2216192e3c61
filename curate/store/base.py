"""What every part of the store stands on: transactions, ids in chunks, JSON columns."""

from __future__ import annotations

import getpass
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.engine import Connection, Engine

from curate.errors import DataError, StoreError
from curate.store.engine import WRITE_OPTION, translated

__all__ = ["STREAM", "StoreBase", "chunked", "dump_json"]

T = TypeVar("T")
_CHUNK = 1000
_BULK_KIB = 1 << 20
STREAM: dict[str, Any] = {"yield_per": 2000}
"""Execution options of a query whose rows must not all be in memory at once."""


class StoreBase:
    """An engine and this thread's open transaction."""

    def __init__(self, engine: Engine, where: str) -> None:
        self._engine = engine
        self._local = threading.local()
        self.where = where
        self.account: str | None = None
        """Who acts where nobody else is named; None for the account that runs the program."""

    @contextmanager
    def acting(self, name: str) -> Iterator[None]:
        """Changes that this thread makes inside the block are this person's, in the audit log."""
        before = getattr(self._local, "actor", None)
        self._local.actor = name
        try:
            yield
        finally:
            self._local.actor = before

    @property
    def actor(self) -> str:
        """Who acts on this thread: what `acting` or `act_as` said, else `account`."""
        name = getattr(self._local, "actor", None)
        if name is not None:
            return str(name)
        if self.account is not None:
            return self.account
        try:
            return getpass.getuser()
        except (OSError, KeyError):  # no such user in the password database
            return "unknown"

    def act_as(self, name: str) -> None:
        """From now on this thread's changes are this person's; "" is nobody, who may do nothing."""
        self._local.actor = name

    @property
    def has_actor(self) -> bool:
        """Whether somebody was named for this thread."""
        return getattr(self._local, "actor", None) is not None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A write transaction: all of the block is saved, or nothing.

        Store methods called inside, on the same thread, join it. A nested block is a savepoint: when it fails
        and the error is caught, only its own part is undone.
        """
        active: Connection | None = getattr(self._local, "connection", None)
        if active is not None:
            if getattr(self._local, "reading", False):
                raise StoreError("nothing can be written inside a view for reading", file=self.where)
            with translated(self.where), active.begin_nested():
                yield active
            return
        with translated(self.where), self._engine.connect() as plain:
            connection = plain.execution_options(**{WRITE_OPTION: True})
            with connection.begin():
                self._local.connection = connection
                try:
                    yield connection
                finally:
                    self._local.connection = None

    @contextmanager
    def bulk(self) -> Iterator[Connection]:
        """`begin` for millions of rows: SQLite gets more memory meanwhile.

        Rows with random keys touch every page of every index; those that do not fit into memory are read and written
        again for each row.
        """
        with self.begin() as connection:
            if connection.dialect.name != "sqlite":
                yield connection
                return
            before = connection.exec_driver_sql("PRAGMA cache_size").scalar()
            connection.exec_driver_sql(f"PRAGMA cache_size = -{_BULK_KIB}")
            try:
                yield connection
            finally:
                connection.exec_driver_sql(f"PRAGMA cache_size = {before}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One consistent view for several reads on this thread; writers go on meanwhile and are not seen.

        Raises:
            StoreError: Something is written inside the block.
        """
        if getattr(self._local, "connection", None) is not None:
            yield
            return
        with translated(self.where), self._engine.connect() as connection, connection.begin():
            self._local.connection, self._local.reading = connection, True
            try:
                yield
            finally:
                self._local.connection, self._local.reading = None, False

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        """One consistent view for reading: the open transaction of this thread, or one of its own."""
        active: Connection | None = getattr(self._local, "connection", None)
        with translated(self.where):
            if active is not None:
                yield active
            else:
                with self._engine.connect() as connection:
                    yield connection


def chunked(items: Iterable[T], size: int = _CHUNK) -> Iterator[list[T]]:
    """Lists of at most `size`: databases limit the number of parameters of a statement."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def dump_json(value: Any, *, item: str) -> str:
    """Canonical JSON: sorted keys, no spaces, no NaN.

    Raises:
        DataError: The value holds something that JSON cannot (NaN, an array, an object).
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"expected plain finite JSON values: {error}", item=item) from error
