"""The audit log: who changed what, written in the transaction of the change itself."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.errors import StoreError
from curate.store import schema
from curate.store.base import STREAM, StoreBase, dump_json

__all__ = ["AuditEntry", "AuditStore", "write_audit"]

_table = schema.audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change.

    Attributes:
        sequence: Order, rising.
        at: Unix time.
        actor: Who.
        action: What, as noun.verb: "decision.keep", "user.add", "frames.add", "purge".
        item: On what: an id or a name; "" for the whole project.
        detail: JSON values; ids and numbers, never a picture's content.
        digest: SHA-256 over the digest before and this row.
    """

    sequence: int
    at: float
    actor: str
    action: str
    item: str
    detail: Mapping[str, Any]
    digest: str


def write_audit(
    connection: Connection, actor: str, action: str, item: str = "", detail: Mapping[str, Any] | None = None
) -> None:
    """Note a change inside its own write transaction: it is logged if, and only if, it happens."""
    before = connection.execute(
        sa.select(_table.c.digest).order_by(_table.c.sequence.desc()).limit(1)
    ).scalar()
    values = {
        "at": time.time(),
        "actor": actor,
        "action": action,
        "item": item,
        "detail": dump_json(dict(detail or {}), item=f"audit {action}"),
    }
    connection.execute(sa.insert(_table), values | {"digest": _digest(before or "", values)})


def _digest(before: str, values: Any) -> str:
    row = [
        before,
        repr(float(values["at"])),
        *(values[name] for name in ("actor", "action", "item", "detail")),
    ]
    return hashlib.sha256(json.dumps(row).encode()).hexdigest()


class AuditStore(StoreBase):
    """Reads the log. Nothing changes or deletes an entry; `broken_audit` finds out if somebody did."""

    def log(self, action: str, item: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Note something: a sign-in, or, inside `begin`, what the change around it means."""
        with self.begin() as connection:
            write_audit(connection, self.actor, action, item, detail)

    def audit_log(
        self,
        limit: int = 100,
        *,
        after: int | None = None,
        actor: str | None = None,
        item: str | None = None,
        oldest_first: bool = False,
    ) -> list[AuditEntry]:
        """Changes, newest first.

        Args:
            limit: At most so many.
            after: `AuditEntry.sequence` of the last one of the page before.
            actor: Only of this person.
            item: Only on this.
            oldest_first: The other order.

        Raises:
            StoreError: `limit` is below 1.
        """
        if limit < 1:
            raise StoreError(f"a page needs a limit of at least 1, got {limit}")
        order = _table.c.sequence
        query = sa.select(_table).order_by(order if oldest_first else order.desc()).limit(limit)
        if actor is not None:
            query = query.where(_table.c.actor == actor)
        if item is not None:
            query = query.where(_table.c.item == item)
        if after is not None:
            query = query.where(order > after if oldest_first else order < after)
        with self._read() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def tombstones(self, kind: str) -> set[str]:
        """Ids of what was purged: of kind "frame" or "label"; of kind "clear", digests of pictures before blurring."""
        table = schema.tombstones
        with self._read() as connection:
            return set(connection.execute(sa.select(table.c.id).where(table.c.kind == kind)).scalars())

    def broken_audit(self) -> int | None:
        """The first entry whose digest does not follow from it and the one before; None when all is well.

        An entry that was changed, put in or taken out of the middle breaks the chain. Entries cut off at the end
        do not: keep the newest digest somewhere else if that matters.
        """
        before = ""
        query = sa.select(_table).order_by(_table.c.sequence).execution_options(**STREAM)
        with self._read() as connection, connection.execute(query) as rows:
            for row in rows.mappings():
                if row["digest"] != _digest(before, row):
                    return int(row["sequence"])
                before = row["digest"]
        return None


def _entry(row: Any) -> AuditEntry:
    detail = json.loads(row.detail)
    return AuditEntry(row.sequence, row.at, row.actor, row.action, row.item, detail, row.digest)
