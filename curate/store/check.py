"""Looks for anything in the database that points to nothing, or does not add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.store import schema
from curate.store.audit import AuditStore
from curate.store.base import STREAM
from curate.store.migrate import HEAD, stored_revision
from curate.store.tallies import counted_issues, counted_sources, recount_issues, recount_sources

__all__ = ["CheckStore", "Finding"]

_MOST = 20
"""Items named for one kind of finding; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        code: Kind: "reference", "revision", "tally", "file_missing", "file_hash", ...
        item: What it is about.
        message: In words.
        hint: What to do.
        harmless: Nothing is lost, and the program puts it right by itself.
    """

    code: str
    item: str
    message: str
    hint: str = ""
    harmless: bool = False


class CheckStore(AuditStore):
    """Reads everything once, from one view."""

    def recount(self) -> None:
        """Count issues and labels anew."""
        with self.begin() as connection:
            recount_issues(connection)
            recount_sources(connection)

    def check_database(self) -> list[Finding]:
        """Every broken reference, revision, tally and log entry; empty when all is well."""
        with self.reading(), self._read() as connection:
            revision = stored_revision(connection, self.where)
            if revision != HEAD:
                message = f"the schema is {revision}, this program's is {HEAD}"
                return [Finding("schema", "database", message, "`curate db upgrade`")]
            found = list(_integrity(connection))
            for part in (_references, _revisions, _issues, _decisions, _tallies):
                found += part(connection)
            broken = self.broken_audit()
        if broken is not None:
            message = "the entry, or the one before it, was changed after it was written"
            found.append(Finding("audit", f"audit entry {broken}", message))
        return found


def _integrity(connection: Connection) -> Iterator[Finding]:
    if connection.dialect.name != "sqlite":
        return
    for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST})"):
        if line != "ok":
            hint = "restore a backup, or `.recover` it with sqlite3"
            yield Finding("damaged", "database", str(line), hint)


def _named(code: str, message: str, rows: list[str], noun: str, hint: str = "") -> Iterator[Finding]:
    for item in rows[:_MOST]:
        yield Finding(code, f"{noun} {item}", message, hint)
    if len(rows) > _MOST:
        yield Finding(code, noun, f"{message}: {len(rows) - _MOST} more")


def _references(connection: Connection) -> Iterator[Finding]:
    """Rows whose foreign key points to nothing; also the references that the schema leaves open."""
    revision = ("annotation_id", "revision")
    links: list[tuple[sa.Table, tuple[str, ...], sa.Table, tuple[str, ...]]] = [
        (
            table,
            tuple(element.parent.name for element in key.elements),
            key.referred_table,
            tuple(element.column.name for element in key.elements),
        )
        for table in schema.metadata.sorted_tables
        for key in table.foreign_key_constraints
    ]
    links += [
        (schema.decisions, ("issue_id",), schema.issues, ("id",)),
        (schema.annotation_revisions, ("annotation_id",), schema.heads, ("id",)),
        (schema.issues, ("annotation_id", "annotation_revision"), schema.annotation_revisions, revision),
    ]
    for table, names, target, wanted in links:
        other = target.alias("target")
        same = [table.c[name] == other.c[key] for name, key in zip(names, wanted, strict=True)]
        present = [table.c[name].is_not(None) for name in names]
        query = (
            sa.select(*table.primary_key)
            .select_from(table.outerjoin(other, sa.and_(*same)))
            .where(*present, other.c[wanted[0]].is_(None))
            .limit(10_000)
        )
        rows = ["/".join(map(str, row)) for row in connection.execute(query)]
        message = f"its {' and '.join(names)} points to no row of {target.name}"
        yield from _named("reference", message, rows, table.name)


def _revisions(connection: Connection) -> Iterator[Finding]:
    """Histories have no gap, heads are their ends and say the same."""
    heads, revisions = schema.heads, schema.annotation_revisions
    last = (
        sa.select(
            revisions.c.annotation_id,
            sa.func.max(revisions.c.revision).label("newest"),
            sa.func.count().label("number"),
        )
        .group_by(revisions.c.annotation_id)
        .subquery()
    )
    query = sa.select(last.c.annotation_id).where(last.c.number != last.c.newest + 1)
    rows = list(connection.execute(query.limit(10_000)).scalars())
    yield from _named("revision", "its history has a gap", rows, "annotation")
    query = (
        sa.select(heads.c.id)
        .join(last, last.c.annotation_id == heads.c.id)
        .where(heads.c.revision != last.c.newest)
    )
    rows = list(connection.execute(query.limit(10_000)).scalars())
    yield from _named("revision", "its head is not its newest revision", rows, "annotation")
    same = (revisions.c.annotation_id == heads.c.id) & (revisions.c.revision == heads.c.revision)
    differs = [
        heads.c[name] != revisions.c[name]
        for name in ("content_of", "deleted", "frame_id", "source", "label")
    ]
    query = sa.select(heads.c.id).join_from(heads, revisions, same).where(sa.or_(*differs))
    rows = list(connection.execute(query.limit(10_000)).scalars())
    yield from _named("revision", "its head and its newest revision differ", rows, "annotation")
    query = sa.select(revisions.c.annotation_id).where(
        (revisions.c.parent != revisions.c.revision - 1)
        | ((revisions.c.revision > 0) & revisions.c.parent.is_(None))
        | (revisions.c.content_of > revisions.c.revision)
    )
    rows = list(connection.execute(query.limit(10_000)).scalars())
    yield from _named("revision", "a revision names an impossible parent", rows, "annotation")


def _issues(connection: Connection) -> Iterator[Finding]:
    table = schema.issues
    query = sa.select(table.c.id).where(table.c.state == "decided", table.c.decision_id.is_(None))
    rows = list(connection.execute(query.limit(10_000)).scalars())
    yield from _named("issue", "it is decided, but by no decision", rows, "issue")
    same = schema.frames.c.id == table.c.frame_id
    query = sa.select(table.c.id).join_from(table, schema.frames, same)
    query = query.where(sa.func.coalesce(table.c.clip, "") != schema.frames.c.clip)
    rows = list(connection.execute(query.limit(10_000)).scalars())
    yield from _named("issue", "its recording is not its frame's", rows, "issue")


def _decisions(connection: Connection) -> Iterator[Finding]:
    """What a decision says that it did is there, and every revision by a decision is in what it says."""
    table, revisions = schema.decisions, schema.annotation_revisions
    written: dict[str, list[tuple[str, int]]] = {}
    query = sa.select(revisions.c.decision_id, revisions.c.annotation_id, revisions.c.revision).where(
        revisions.c.decision_id.is_not(None)
    )
    for decision_id, label_id, revision in connection.execute(query):
        written.setdefault(decision_id, []).append((label_id, revision))
    columns = (table.c.id, table.c.effects)
    bad = []
    with connection.execute(sa.select(*columns).execution_options(**STREAM)) as rows:
        for decision_id, effects in rows:
            told = sorted((entry[0], entry[2]) for entry in json.loads(effects)["labels"])
            if told != sorted(written.pop(decision_id, [])):
                bad.append(decision_id)
    yield from _named("decision", "its effects and the label revisions differ", bad, "decision")
    yield from _named("decision", "revisions name it, but it is not there", sorted(written), "decision")


def _tallies(connection: Connection) -> Iterator[Finding]:
    hint = "`curate db check --repair` counts again"
    table = schema.issue_tallies
    told = {
        (kind, state, verdict, count): expected
        for kind, state, verdict, count, expected in connection.execute(sa.select(table))
    }
    counted: sa.Select[Any] = counted_issues()
    true = {
        (kind, state, verdict, count): expected
        for kind, state, verdict, count, expected in connection.execute(counted)
    }
    if set(told) != set(true) or any(abs(told[key] - true[key]) > 1e-6 * (1 + int(key[3])) for key in told):
        yield Finding("tally", "issues", "the kept counts differ from the issues", hint)
    table = schema.source_tallies
    kept = {tuple(row) for row in connection.execute(sa.select(table))}
    if kept != {tuple(row) for row in connection.execute(counted_sources())}:
        yield Finding("tally", "labels", "the kept counts differ from the labels", hint)
