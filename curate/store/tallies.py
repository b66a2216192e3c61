"""Counts kept beside what they count, in the same transaction. Writers take turns, so none is counted twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.store import schema
from curate.store.base import chunked

__all__ = [
    "counted_issues",
    "counted_sources",
    "frames_with_labels",
    "move_issue",
    "recount_issues",
    "recount_sources",
    "shift_source",
]

_issues = schema.issue_tallies
_sources = schema.source_tallies
_heads = schema.heads


def counted_issues() -> sa.Select[tuple[str, str, str, int, float]]:
    """The query that counts all issues anew: type, state, verdict, count, expected."""
    table = schema.issues
    verdict = sa.func.coalesce(schema.decisions.c.kind, "")
    return (
        sa.select(table.c.type, table.c.state, verdict, sa.func.count(), sa.func.sum(table.c.probability))
        .join_from(table, schema.decisions, table.c.decision_id == schema.decisions.c.id, isouter=True)
        .group_by(table.c.type, table.c.state, verdict)
    )


def counted_sources() -> sa.Select[tuple[str, int, int]]:
    """The query that counts all current labels anew: source, labels, frames."""
    return (
        sa.select(_heads.c.source, sa.func.count(), sa.func.count(_heads.c.frame_id.distinct()))
        .where(~_heads.c.deleted)
        .group_by(_heads.c.source)
    )


def recount_issues(connection: Connection) -> None:
    """Count all issues anew: after a scan, which touches most of them."""
    connection.execute(sa.delete(_issues))
    connection.execute(sa.insert(_issues).from_select(_issues.c.keys(), counted_issues()))


def recount_sources(connection: Connection) -> None:
    """Count all labels anew: after a purge."""
    connection.execute(sa.delete(_sources))
    connection.execute(sa.insert(_sources).from_select(_sources.c.keys(), counted_sources()))


def move_issue(connection: Connection, issue_id: str, state: str, decision_id: str | None) -> None:
    """Count one issue in the state that it is about to get instead of the one that it has."""
    table = schema.issues
    row = connection.execute(
        sa.select(table.c.type, table.c.state, table.c.probability, schema.decisions.c.kind)
        .join_from(table, schema.decisions, table.c.decision_id == schema.decisions.c.id, isouter=True)
        .where(table.c.id == issue_id)
    ).first()
    if row is None:
        return
    kind = sa.select(schema.decisions.c.kind).where(schema.decisions.c.id == decision_id)
    verdict = connection.execute(kind).scalar() or ""
    _shift_issues(connection, (row.type, row.state, row.kind or ""), -1, -row.probability)
    _shift_issues(connection, (row.type, state, verdict), 1, row.probability)


def _shift_issues(connection: Connection, key: tuple[str, str, str], count: int, expected: float) -> None:
    columns = (_issues.c.type, _issues.c.state, _issues.c.verdict)
    here = sa.and_(*(column == value for column, value in zip(columns, key, strict=True)))
    change = {"count": _issues.c.count + count, "expected": _issues.c.expected + expected}
    if connection.execute(sa.update(_issues).where(here).values(**change)).rowcount == 0:
        values = (*key, count, expected)
        connection.execute(sa.insert(_issues), dict(zip(_issues.c.keys(), values, strict=True)))
    connection.execute(sa.delete(_issues).where(here, _issues.c.count <= 0))


def frames_with_labels(connection: Connection, source: str, frame_ids: Iterable[str]) -> set[str]:
    """Those of the frames that have a current label of the source."""
    query = sa.select(_heads.c.frame_id).where(_heads.c.source == source, ~_heads.c.deleted).distinct()
    found: set[str] = set()
    for chunk in chunked(sorted(set(frame_ids))):
        found.update(connection.execute(query.where(_heads.c.frame_id.in_(chunk))).scalars())
    return found


def shift_source(connection: Connection, changes: Mapping[str, tuple[int, int]]) -> None:
    """Add to the counts: source -> (labels, frames)."""
    for source, (labels, frames) in changes.items():
        here = _sources.c.source == source
        change = {"labels": _sources.c.labels + labels, "frames": _sources.c.frames + frames}
        if connection.execute(sa.update(_sources).where(here).values(**change)).rowcount == 0:
            connection.execute(sa.insert(_sources), {"source": source, "labels": labels, "frames": frames})
        connection.execute(sa.delete(_sources).where(here, _sources.c.labels <= 0))
