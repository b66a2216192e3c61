"""The record of what reviewers decided, and how far each browser's outbox was taken in."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as insert_postgres
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from curate.annotations import Decision, DecisionKind, IssueState, IssueType
from curate.errors import NotFoundError, StoreError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase, dump_json
from curate.store.records import DecisionEffects, DecisionRecord, FrameEffect, IssueEffect, LabelEffect
from curate.store.serialize import decision_from_dict, decision_to_dict

__all__ = ["DecisionStore", "DecisionTally", "ReviewerTally"]

_table = schema.decisions


@dataclass(frozen=True, slots=True)
class DecisionTally:
    """How many decided issues of one type stand under decisions of one kind."""

    type: IssueType
    kind: DecisionKind
    count: int


@dataclass(frozen=True, slots=True)
class ReviewerTally:
    """How many decisions of one kind a reviewer made, how many were undone, and when the first and the last."""

    reviewer: str
    kind: DecisionKind
    count: int
    undone: int
    first: float
    last: float


class DecisionStore(StoreBase):
    """Decisions in the order of their arrival. `curate.review` makes them."""

    def add_decision(self, decision: Decision, effects: DecisionEffects) -> DecisionRecord:
        """Store a decision with its effects; the caller writes what it changes in the same transaction."""
        values = {
            "id": decision.id,
            "kind": decision.kind.value,
            "reviewer": decision.reviewer,
            "issue_id": decision.issue_id,
            "annotation_id": decision.annotation_id,
            "undoes": decision.undoes,
            "created_at": decision.created_at,
            "payload": dump_json(decision_to_dict(decision), item=f"decision {decision.id}"),
            "effects": dump_json(_effects_to_dict(effects), item=f"decision {decision.id}"),
        }
        with self.begin() as connection:
            insert = sa.insert(_table).values(**values).returning(_table.c.sequence)
            sequence = connection.execute(insert).scalar_one()
            item = decision.issue_id or decision.annotation_id or decision.frame_id or ""
            kind = f"decision.{decision.kind.value}"
            write_audit(connection, decision.reviewer, kind, item, {"decision": decision.id})
        return DecisionRecord(sequence, decision, effects, None)

    def set_undone(self, decision_id: str, undone_by: str | None) -> None:
        """Note that an undo took a decision back, or (None) that it stands again."""
        with self.begin() as connection:
            update = sa.update(_table).where(_table.c.id == decision_id).values(undone_by=undone_by)
            if connection.execute(update).rowcount == 0:
                raise NotFoundError("no such decision", item=f"decision {decision_id}")

    def decision_count(self) -> int:
        """Decisions ever made, undos and undone ones included."""
        with self._read() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_table)).scalar_one())

    def decisions(
        self,
        limit: int = 100,
        reviewer: str | None = None,
        since: float | None = None,
        after: int | None = None,
        oldest_first: bool = False,
    ) -> list[DecisionRecord]:
        """Decisions, newest first.

        Args:
            limit: At most so many.
            reviewer: Only of this person.
            since: Only those made at this Unix time or later.
            after: `DecisionRecord.sequence` of the last one of the page before.
            oldest_first: The other order.

        Raises:
            StoreError: `limit` is below 1.
        """
        if limit < 1:
            raise StoreError(f"a page needs a limit of at least 1, got {limit}")
        order = _table.c.sequence
        query = sa.select(_table).order_by(order if oldest_first else order.desc()).limit(limit)
        if reviewer is not None:
            query = query.where(_table.c.reviewer == reviewer)
        if since is not None:
            query = query.where(_table.c.created_at >= since)
        if after is not None:
            query = query.where(order > after if oldest_first else order < after)
        with self._read() as connection:
            return [_record(row) for row in connection.execute(query)]

    def decision_times(self, limit: int, reviewer: str | None = None) -> list[float]:
        """When the newest decisions were made (Unix times, newest arrival first), of one person or of all."""
        query = sa.select(_table.c.created_at).order_by(_table.c.sequence.desc()).limit(limit)
        if reviewer is not None:
            query = query.where(_table.c.reviewer == reviewer)
        with self._read() as connection:
            return list(connection.execute(query).scalars())

    def decision(self, decision_id: str) -> DecisionRecord:
        """One decision.

        Raises:
            NotFoundError: No such decision.
        """
        found = self.find_decision(decision_id)
        if found is None:
            raise NotFoundError("no such decision", item=f"decision {decision_id}")
        return found

    def find_decision(self, decision_id: str) -> DecisionRecord | None:
        """One decision, or None."""
        with self._read() as connection:
            row = connection.execute(sa.select(_table).where(_table.c.id == decision_id)).first()
        return None if row is None else _record(row)

    def last_standing_decision(self, reviewer: str) -> DecisionRecord | None:
        """The last decision of a person that is neither an undo nor undone, or None."""
        query = (
            sa.select(_table)
            .where(
                _table.c.reviewer == reviewer,
                _table.c.undone_by.is_(None),
                _table.c.kind != DecisionKind.UNDO.value,
            )
            .order_by(_table.c.sequence.desc())
            .limit(1)
        )
        with self._read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def decision_tallies(self) -> list[DecisionTally]:
        """Decided issues by type and by the kind of the decision that stands behind them."""
        table = schema.issue_tallies
        query = sa.select(table.c.type, table.c.verdict, table.c.count).order_by(
            table.c.type, table.c.verdict
        )
        decided = (table.c.state == IssueState.DECIDED.value) & (table.c.verdict != "")
        with self._read() as connection:
            rows = connection.execute(query.where(decided))
            return [DecisionTally(IssueType(row[0]), DecisionKind(row[1]), row[2]) for row in rows]

    def reviewer_tallies(self) -> list[ReviewerTally]:
        """How many decisions of each kind every reviewer made, and how many of them were undone."""
        undone = sa.func.sum(sa.case((_table.c.undone_by.is_not(None), 1), else_=0))
        query = (
            sa.select(
                _table.c.reviewer,
                _table.c.kind,
                sa.func.count(),
                undone,
                sa.func.min(_table.c.created_at),
                sa.func.max(_table.c.created_at),
            )
            .group_by(_table.c.reviewer, _table.c.kind)
            .order_by(_table.c.reviewer, _table.c.kind)
        )
        with self._read() as connection:
            rows = connection.execute(query)
            return [
                ReviewerTally(row[0], DecisionKind(row[1]), row[2], int(row[3]), *row[4:]) for row in rows
            ]

    def ack(self, client_id: str) -> int:
        """The highest number of a client's outbox that was taken in; 0 when none was."""
        table = schema.client_acks
        with self._read() as connection:
            query = sa.select(table.c.sequence).where(table.c.client_id == client_id)
            return connection.execute(query).scalar() or 0

    def set_ack(self, client_id: str, sequence: int) -> int:
        """Note that a client's outbox was taken in up to `sequence`; it never goes back.

        Returns:
            The number that stands now.
        """
        if sequence < 0:
            raise StoreError(f"an outbox counts from 0, got {sequence}", item=f"client {client_id}")
        table = schema.client_acks
        values = {"client_id": client_id, "sequence": sequence, "updated_at": time.time()}
        with self.begin() as connection:
            insert: Any = insert_sqlite if connection.dialect.name == "sqlite" else insert_postgres
            statement = insert(table).values(**values)
            changed = {name: statement.excluded[name] for name in ("sequence", "updated_at")}
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["client_id"], set_=changed, where=table.c.sequence < sequence
                )
            )
            return self.ack(client_id)


def _record(row: Any) -> DecisionRecord:
    decision = decision_from_dict(json.loads(row.payload), f"decision {row.id}")
    return DecisionRecord(row.sequence, decision, _effects_from_dict(json.loads(row.effects)), row.undone_by)


def _effects_to_dict(effects: DecisionEffects) -> dict[str, Any]:
    return {
        "labels": [[e.annotation_id, e.before, e.after, e.deleted] for e in effects.labels],
        "issues": [
            [e.issue_id, e.before.value, e.after.value, e.decision_before, e.decision_after]
            for e in effects.issues
        ],
        "frames": [[e.frame_id, e.before, e.after] for e in effects.frames],
        "left_open": list(effects.left_open),
    }


def _effects_from_dict(value: dict[str, Any]) -> DecisionEffects:
    return DecisionEffects(
        labels=tuple(LabelEffect(*entry) for entry in value["labels"]),
        issues=tuple(
            IssueEffect(issue_id, IssueState(before), IssueState(after), *decisions)
            for issue_id, before, after, *decisions in value["issues"]
        ),
        frames=tuple(FrameEffect(*entry) for entry in value["frames"]),
        left_open=tuple(value["left_open"]),
    )
