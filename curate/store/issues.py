"""The queue: what a scan found, in ranked pages."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from curate.annotations import Issue, IssueState, IssueType, replace
from curate.errors import DataError, NotFoundError, StoreError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase, chunked, dump_json
from curate.store.records import IssueCount, IssuePage, IssueStatus, IssueSync
from curate.store.serialize import issue_to_dict, ranked_issue
from curate.store.tallies import move_issue, recount_issues

__all__ = ["IssueStore"]

_table = schema.issues
_RANK = (_table.c.severity.desc(), _table.c.id)
# Not `state = 'open'`: a database would then walk an index by rank and look every row up where it lies.
_is_open = _table.c.state.concat("") == IssueState.OPEN.value
_TYPES = {kind.value: kind for kind in IssueType}
# Re-ranking moves severity and probability without the payload.
_COMPARED = ("payload", "severity", "probability", "annotation_revision")


class IssueStore(StoreBase):
    """Issues by state, type, place and rank."""

    def upsert_issues(
        self, issues: Iterable[Issue], revisions: Mapping[str, int] | None = None, *, whole: bool = True
    ) -> IssueSync:
        """Take in the whole result of a scan, or a few more issues, in one transaction.

        New issues open; known ones get their new rank and evidence and keep their state, except that an
        obsolete one opens again; a decided one is left alone; open and skipped ones that are not in the list
        become obsolete. `Issue.state` is not looked at.

        Args:
            issues: All that the scan found.
            revisions: Label id -> the revision that the scan saw. A label that is not in it counts as seen
                in its newest revision.
            whole: The list is all that there is to look at; False leaves what is not in it as it is.

        Raises:
            NotFoundError: An issue names an unknown frame or label; nothing is changed.
            DataError: A number is outside its range or not finite, or an id comes twice; nothing is changed.
        """
        seen = dict(revisions or {})
        found: set[str] = set()
        counts = dict.fromkeys(("new", "updated", "unchanged", "decided"), 0)
        with self.bulk() as connection:
            for chunk in chunked(issues):
                clips = _check(connection, chunk, found)
                seen |= _newest_revisions(connection, chunk, seen)
                for change, number in _take_in(connection, chunk, seen, clips).items():
                    counts[change] += number
            waiting = (IssueState.OPEN.value, IssueState.SKIPPED.value)
            query = sa.select(_table.c.id).where(_table.c.state.in_(waiting))
            waits = connection.execute(query).scalars() if whole else ()
            gone = [issue_id for issue_id in waits if issue_id not in found]
            for ids in chunked(gone):
                update = sa.update(_table).where(_table.c.id.in_(ids))
                connection.execute(update.values(state=IssueState.OBSOLETE.value))
            recount_issues(connection)
            write_audit(connection, self.actor, "issues.scan", detail={**counts, "obsolete": len(gone)})
        return IssueSync(**counts, obsolete=len(gone))

    def issues(
        self,
        states: Sequence[IssueState] = (IssueState.OPEN,),
        types: Sequence[IssueType] | None = None,
        labels: Sequence[str] | None = None,
        frame_id: str | None = None,
        group_id: str | None = None,
        limit: int = 100,
        after: str | None = None,
        *,
        clip: str | None = None,
        probability: tuple[float, float] | None = None,
    ) -> IssuePage:
        """A page of the queue: severity falling, then id.

        Args:
            states: Any of these.
            types: Any of these; None for all.
            labels: Any of these classes; None for all.
            frame_id: Only on this frame.
            group_id: Only of this group.
            limit: Size of the page, at least 1.
            after: `IssuePage.next` of the page before.
            clip: Only on frames of this recording.
            probability: Only with a P(error) from the first to the second number, both included.

        Raises:
            StoreError: `after` is not such a cursor, or `limit` is below 1.
        """
        if limit < 1:
            raise StoreError(f"a page needs a limit of at least 1, got {limit}")
        fixed = [
            column == value
            for column, value in ((_table.c.frame_id, frame_id), (_table.c.group_id, group_id))
            if value is not None
        ]
        if clip is not None:
            fixed.append(_table.c.clip == clip)
        if probability is not None:
            fixed.append(_table.c.probability.between(*probability))
        rows: list[Any] = []
        with self._read() as connection:
            # One walk along an index for each combination, each in rank order, then merged: a single
            # statement with IN would have to sort all matching issues first.
            for state, kind, label in itertools.product(states, types or (None,), labels or (None,)):
                where = [_table.c.state == str(state.value), *fixed]
                if kind is not None:
                    where.append(_table.c.type == kind.value)
                if label is not None:
                    where.append(_table.c.label == label)
                rows += _walk(connection, where, limit + 1, after)
        rows.sort(key=lambda row: (-row.severity, row.id))
        page = rows[:limit]
        following = f"{page[-1].severity!r} {page[-1].id}" if len(rows) > limit else None
        return IssuePage(tuple(_issue(row) for row in page), following)

    def issue(self, issue_id: str) -> Issue:
        """One issue.

        Raises:
            NotFoundError: No such issue.
        """
        return self.issue_status(issue_id).issue

    def issue_status(self, issue_id: str) -> IssueStatus:
        """One issue with the revision that its scan saw and the decision behind its state.

        Raises:
            NotFoundError: No such issue.
        """
        found = self.issue_statuses([issue_id])
        if not found:
            raise NotFoundError("no such issue", item=f"issue {issue_id}", hint="run `curate scan` again")
        return found[0]

    def issue_statuses(
        self,
        ids: Iterable[str] | None = None,
        *,
        annotation_id: str | None = None,
        frame_id: str | None = None,
        group_id: str | None = None,
        states: Sequence[IssueState] | None = None,
    ) -> list[IssueStatus]:
        """Issues that meet all of the given conditions, most severe first; unknown ids are left out."""
        query = sa.select(_table).order_by(*_RANK)
        wanted = {"annotation_id": annotation_id, "frame_id": frame_id, "group_id": group_id}
        for name, value in wanted.items():
            if value is not None:
                query = query.where(_table.c[name] == value)
        if states is not None:
            # With ids at hand the index by state, whose entries may be a million, must not tempt the planner.
            column = _table.c.state if ids is None else _table.c.state.concat("")
            query = query.where(column.in_([state.value for state in states]))
        with self._read() as connection:
            if ids is None:
                rows = list(connection.execute(query))
            else:
                chunks = chunked(sorted(set(ids)))
                rows = [
                    row for chunk in chunks for row in connection.execute(query.where(_table.c.id.in_(chunk)))
                ]
        rows.sort(key=lambda row: (-row.severity, row.id))
        return [IssueStatus(_issue(row), row.annotation_revision, row.decision_id) for row in rows]

    def open_in_groups(self, group_ids: Iterable[str]) -> dict[str, int]:
        """How many issues of each group are open; groups without any are left out."""
        counts: dict[str, int] = {}
        with self._read() as connection:
            for chunk in chunked(sorted(set(group_ids))):
                where = (_table.c.group_id.in_(chunk), _table.c.state == IssueState.OPEN.value)
                query = sa.select(_table.c.group_id, sa.func.count()).where(*where)
                rows = connection.execute(query.group_by(_table.c.group_id))
                counts |= {str(row[0]): int(row[1]) for row in rows}
        return counts

    def issue_counts(self) -> list[IssueCount]:
        """Number of issues and sum of probabilities by type and state."""
        table = schema.issue_tallies
        columns = (table.c.type, table.c.state)
        query = sa.select(*columns, sa.func.sum(table.c.count), sa.func.sum(table.c.expected))
        with self._read() as connection:
            return [
                IssueCount(IssueType(kind), IssueState(state), int(count), float(expected))
                for kind, state, count, expected in connection.execute(
                    query.group_by(*columns).order_by(*columns)
                )
            ]

    def open_subjects(self) -> list[tuple[str | None, str, IssueType]]:
        """Label id (None for a whole frame or a missing label), frame id and type of every open issue, in no order."""
        columns = (_table.c.annotation_id, _table.c.frame_id, _table.c.type)
        with self._read() as connection:
            rows = connection.execute(sa.select(*columns).where(_is_open))
            return [(label, frame, _TYPES[kind]) for label, frame, kind in rows]

    def flagged_labels(self) -> dict[str, IssueType]:
        """Label id -> type of its open issue, the most severe one; labels without one are left out."""
        columns = (_table.c.annotation_id, _table.c.type, _table.c.severity)
        found: dict[str, tuple[float, str]] = {}
        with self._read() as connection:
            for label, kind, severity in connection.execute(sa.select(*columns).where(_is_open)):
                if label is not None and (label not in found or severity > found[label][0]):
                    found[label] = (severity, kind)
        return {label: _TYPES[kind] for label, (_, kind) in found.items()}

    def open_by_frame(self) -> dict[str, int]:
        """Frame id -> number of its open issues; frames without any are left out."""
        query = sa.select(_table.c.frame_id, sa.func.count()).where(_is_open).group_by(_table.c.frame_id)
        with self._read() as connection:
            return {str(frame): int(count) for frame, count in connection.execute(query)}

    def set_issue_state(self, issue_id: str, state: IssueState, decision_id: str | None) -> None:
        """Move an issue to another state on behalf of a decision. Reviewers do it by a decision.

        Raises:
            NotFoundError: No such issue.
        """
        update = sa.update(_table).where(_table.c.id == issue_id)
        with self.begin() as connection:
            move_issue(connection, issue_id, state.value, decision_id)
            result = connection.execute(update.values(state=state.value, decision_id=decision_id))
            if result.rowcount == 0:
                raise NotFoundError("no such issue", item=f"issue {issue_id}")


def _issue(row: Any) -> Issue:
    issue = ranked_issue(row.payload, row.probability, row.severity, f"issue {row.id}")
    return replace(issue, state=IssueState(row.state))


def _walk(
    connection: Connection, where: list[sa.ColumnElement[bool]], limit: int, after: str | None
) -> list[Any]:
    """At most `limit` issues behind the cursor by rank: first its own severity, then the lower ones."""
    # Of the ids alone, which an index answers without a look at the rows.
    query = sa.select(_table.c.id).where(*where)
    if after is None:
        return _rows(connection, query.order_by(*_RANK).limit(limit))
    text, _, last = after.partition(" ")
    try:
        severity = float(text)
    except ValueError as error:
        raise StoreError(f"not a cursor of the queue: {after!r}", hint="start from the first page") from error
    same = query.where(_table.c.severity == severity, _table.c.id > last).order_by(_table.c.id).limit(limit)
    rows = _rows(connection, same)
    if len(rows) < limit:
        lower = query.where(_table.c.severity < severity).order_by(*_RANK).limit(limit - len(rows))
        rows += _rows(connection, lower)
    return rows


def _rows(connection: Connection, ids: sa.Select[tuple[str]]) -> list[Any]:
    """Whole issues of a query of ids, in any order."""
    return [
        row
        for chunk in chunked(connection.execute(ids).scalars())
        for row in connection.execute(sa.select(_table).where(_table.c.id.in_(chunk)))
    ]


def _values(issue: Issue, revisions: Mapping[str, int], clips: Mapping[str, str]) -> dict[str, Any]:
    item = f"issue {issue.id}"
    for name, number in (("severity", issue.severity), ("probability", issue.probability)):
        if not 0 <= number <= 1:
            raise DataError(f"{name} must be within 0..1, got {number}", item=item)
    payload = issue_to_dict(replace(issue, state=IssueState.OPEN))
    return {
        "id": issue.id,
        "type": issue.type.value,
        "state": IssueState.OPEN.value,
        "frame_id": issue.frame_id,
        "clip": clips[issue.frame_id],
        "annotation_id": issue.annotation_id,
        "annotation_revision": None if issue.annotation_id is None else revisions[issue.annotation_id],
        "group_id": issue.group_id,
        "label": issue.label,
        "severity": float(issue.severity),
        "probability": float(issue.probability),
        "payload": dump_json(payload, item=item),
        "decision_id": None,
    }


def _take_in(
    connection: Connection, issues: list[Issue], revisions: Mapping[str, int], clips: Mapping[str, str]
) -> dict[str, int]:
    """Insert or update one chunk; how many were new, updated, unchanged, decided."""
    query = sa.select(_table.c.id, _table.c.state, *(_table.c[name] for name in _COMPARED))
    ids = [issue.id for issue in issues]
    stored = {row.id: row for row in connection.execute(query.where(_table.c.id.in_(ids)))}
    rows: dict[str, list[dict[str, Any]]] = {"new": [], "updated": [], "unchanged": [], "decided": []}
    now = time.time()
    for issue in issues:
        values = _values(issue, revisions, clips)
        change = _compare(stored.get(issue.id), values)
        if change == "new":
            values["created_at"] = now
        elif stored[issue.id].state == IssueState.SKIPPED:
            values["state"] = IssueState.SKIPPED.value
        rows[change].append(values)
    if rows["new"]:
        connection.execute(sa.insert(_table), rows["new"])
    if rows["updated"]:
        changed = [name for name in rows["updated"][0] if name not in ("id", "decision_id")]
        values = {name: sa.bindparam(f"new_{name}") for name in changed}
        # A skipped issue keeps the decision that skipped it; an obsolete one forgets what made it obsolete.
        keeps = _table.c.state == IssueState.SKIPPED.value
        values["decision_id"] = sa.case((keeps, _table.c.decision_id), else_=None)
        update = sa.update(_table).where(_table.c.id == sa.bindparam("old_id")).values(**values)
        parameters = [
            {"old_id": row["id"]} | {f"new_{name}": row[name] for name in changed} for row in rows["updated"]
        ]
        connection.execute(update, parameters)
    return {change: len(items) for change, items in rows.items()}


def _compare(stored: Any, values: Mapping[str, Any]) -> str:
    if stored is None:
        return "new"
    if stored.state == IssueState.DECIDED:
        return "decided"
    same = all(getattr(stored, name) == values[name] for name in _COMPARED)
    return "unchanged" if same and stored.state != IssueState.OBSOLETE else "updated"


def _newest_revisions(connection: Connection, issues: list[Issue], seen: Mapping[str, int]) -> dict[str, int]:
    """Newest revision of the labels that nobody gave one for."""
    wanted = {issue.annotation_id for issue in issues if issue.annotation_id is not None} - set(seen)
    heads = schema.heads.c
    query = sa.select(heads.id, heads.revision).where(heads.id.in_(wanted))
    return {row.id: row.revision for row in connection.execute(query)}


def _check(connection: Connection, issues: list[Issue], found: set[str]) -> dict[str, str]:
    """Every frame and label that the issues name is there, and no id came before; adds the ids to `found`.

    Returns:
        Frame id -> its recording.
    """
    for issue in issues:
        if issue.id in found:
            raise DataError("a scan gave two issues the same id", item=f"issue {issue.id}")
        found.add(issue.id)
    frames, heads = schema.frames.c, schema.heads.c
    wanted = {issue.frame_id for issue in issues}
    query = sa.select(frames.id, frames.clip).where(frames.id.in_(wanted))
    clips = {row.id: row.clip for row in connection.execute(query)}
    labelled = {issue.annotation_id for issue in issues if issue.annotation_id is not None}
    known = set(connection.execute(sa.select(heads.id).where(heads.id.in_(labelled))).scalars())
    for issue in issues:
        for name, value, there in (
            ("frame_id", issue.frame_id, issue.frame_id in clips),
            (
                "annotation_id",
                issue.annotation_id,
                issue.annotation_id is None or issue.annotation_id in known,
            ),
        ):
            if not there:
                raise NotFoundError(
                    f"the issue names {name} {value}, which is not in the store", item=f"issue {issue.id}"
                )
    return clips
