"""What puts the queue into a new order needs of it, and how it writes that down: no issue is built or checked anew."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from curate.annotations import IssueState, IssueType
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import STREAM, StoreBase
from curate.store.tallies import recount_issues
from curate.types import BoxTuple

__all__ = ["IssueRankStore", "IssueRow", "WaitingIssue"]

_table = schema.issues
_TYPES = {kind.value: kind for kind in IssueType}
_EVIDENCE = '"evidence":'
_decode = json.JSONDecoder().raw_decode
_WAITS = _table.c.state.in_([IssueState.OPEN.value, IssueState.SKIPPED.value])


class WaitingIssue(NamedTuple):
    """What the order of the queue depends on, of an issue that is open or skipped.

    Attributes:
        id: The issue.
        type: Its type.
        group_id: The group that one decision settles, or None.
        probability: As it stands in the queue.
        severity: Likewise.
        evidence: What raised it, by name.
    """

    id: str
    type: IssueType
    group_id: str | None
    probability: float
    severity: float
    evidence: Mapping[str, float]


class IssueRow(NamedTuple):
    """What the queue's filters ask of an issue."""

    id: str
    severity: float
    probability: float
    type: str
    label: str | None
    clip: str | None
    annotation_id: str | None
    bbox_xyxy: BoxTuple | None


class IssueRankStore(StoreBase):
    """The order of what waits."""

    def waiting_issues(self) -> list[WaitingIssue]:
        """All open and skipped issues with their evidence, by id."""
        columns = (
            _table.c.id, _table.c.type, _table.c.group_id, _table.c.probability, _table.c.severity, _table.c.payload,
        )  # fmt: skip
        with self._read() as connection:
            rows = connection.execute(sa.select(*columns).where(_WAITS).order_by(_table.c.id)).all()
        return [
            WaitingIssue(name, _TYPES[kind], group, probability, severity, _evidence_of(payload))
            for name, kind, group, probability, severity, payload in rows
        ]

    def issue_rows(self) -> Iterator[IssueRow]:
        """Every issue that a person may still see, in no order, one at a time."""
        names = ("id", "severity", "probability", "type", "label", "clip", "annotation_id")
        # The database takes the place out of the JSON: masks in the rest of it would take ten times as long to read.
        as_json = sa.cast if self._engine.dialect.name == "postgresql" else sa.type_coerce
        place = as_json(_table.c.payload, sa.JSON)["bbox_xyxy"].as_string()
        query = sa.select(*(_table.c[name] for name in names), place)
        query = query.where(_table.c.state.concat("") != IssueState.OBSOLETE.value)
        with self._read() as connection, connection.execute(query.execution_options(**STREAM)) as rows:
            for row in rows:
                box = None if row[-1] is None else tuple(json.loads(row[-1]))
                yield IssueRow(row[0], row[1], row[2], row[3], row[4], row[5], row[6], box)

    def rank_issues(self, ranks: Mapping[str, tuple[float, float]]) -> int:
        """Give issues that wait a new probability and severity; those that are decided or gone stay as they are.

        Args:
            ranks: Issue id -> probability and severity, both within 0..1.

        Returns:
            How many got theirs.
        """
        update = (
            sa.update(_table)
            .where(_table.c.id == sa.bindparam("old_id"))
            .values({name: sa.bindparam(f"new_{name}") for name in ("probability", "severity")})
        )
        with self.bulk() as connection:
            # In their order so far: neighbours in an index are then taken out of it, and put back, one after the other.
            waits = sa.select(_table.c.id).where(_WAITS).order_by(_table.c.severity)
            rows = [
                {"old_id": name, "new_probability": ranks[name][0], "new_severity": ranks[name][1]}
                for name in connection.execute(waits).scalars()
                if name in ranks
            ]
            if rows:
                connection.execute(update, rows)
                recount_issues(connection)
                write_audit(connection, self.actor, "issues.rank", detail={"issues": len(rows)})
        return len(rows)


def _evidence_of(payload: str) -> dict[str, float]:
    """The evidence of a stored issue; its outlines, which are most of the text, are not read.

    Stored JSON is canonical (`dump_json`): inside a string the quotes of this mark would be escaped, so it is the key.
    """
    at = payload.find(_EVIDENCE)
    return _decode(payload, at + len(_EVIDENCE))[0] if at >= 0 else {}
