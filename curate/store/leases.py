"""Who is looking at which issue, and second opinions on decided ones."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from curate.annotations import Decision, DecisionKind, Issue, IssueState
from curate.errors import ConflictError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase, chunked
from curate.store.serialize import decision_from_dict, ranked_issue

__all__ = ["DoubleJudgement", "Lease", "LeaseStore", "Opinion"]

_table = schema.leases
_opinions = schema.opinions


@dataclass(frozen=True, slots=True)
class Lease:
    """An issue that one reviewer has for a while; `expires_at` is a Unix time of the database's host."""

    issue_id: str
    reviewer: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a second reviewer would have decided, without seeing what the first one did."""

    issue_id: str
    reviewer: str
    kind: DecisionKind
    label: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class DoubleJudgement:
    """An issue that two people judged: the decision that stands, and the opinion of somebody who did not see it."""

    issue: Issue
    first: Decision
    second: Opinion


class LeaseStore(StoreBase):
    """Leases and opinions. `curate.review` hands them out."""

    def take_leases(self, reviewer: str, issue_ids: Iterable[str], seconds: float) -> set[str]:
        """Take those issues that nobody else has, or prolong what is held; leases that ran out are free.

        Args:
            reviewer: Who.
            issue_ids: Ids of known issues.
            seconds: For how long from now.

        Returns:
            The ids that the reviewer holds now.
        """
        now = time.time()
        wanted = list(dict.fromkeys(issue_ids))
        held: set[str] = set()
        with self.begin() as connection:
            connection.execute(sa.delete(_table).where(_table.c.expires_at <= now))
            for chunk in chunked(wanted):
                query = sa.select(_table.c.issue_id, _table.c.reviewer).where(_table.c.issue_id.in_(chunk))
                owners = {row.issue_id: row.reviewer for row in connection.execute(query)}
                mine = [issue_id for issue_id in chunk if owners.get(issue_id, reviewer) == reviewer]
                connection.execute(sa.delete(_table).where(_table.c.issue_id.in_(mine)))
                if mine:
                    rows = [
                        {"issue_id": key, "reviewer": reviewer, "expires_at": now + seconds} for key in mine
                    ]
                    connection.execute(sa.insert(_table), rows)
                held.update(mine)
        return held

    def release_leases(self, reviewer: str, issue_ids: Iterable[str] | None = None) -> int:
        """Give issues back, or all that the reviewer holds; how many there were."""
        delete = sa.delete(_table).where(_table.c.reviewer == reviewer)
        with self.begin() as connection:
            if issue_ids is None:
                return connection.execute(delete).rowcount
            chunks = chunked(sorted(set(issue_ids)))
            return sum(
                connection.execute(delete.where(_table.c.issue_id.in_(part))).rowcount for part in chunks
            )

    def end_leases(self, issue_ids: Iterable[str]) -> None:
        """Nobody holds these issues any more: they were decided."""
        with self.begin() as connection:
            for chunk in chunked(issue_ids):
                connection.execute(sa.delete(_table).where(_table.c.issue_id.in_(chunk)))

    def leases(self, reviewer: str | None = None) -> list[Lease]:
        """Leases that stand, by issue."""
        query = sa.select(_table).where(_table.c.expires_at > time.time()).order_by(_table.c.issue_id)
        if reviewer is not None:
            query = query.where(_table.c.reviewer == reviewer)
        with self._read() as connection:
            return [Lease(*row) for row in connection.execute(query)]

    def leases_of(self, issue_ids: Iterable[str]) -> list[Lease]:
        """Leases that stand on any of these issues."""
        found: list[Lease] = []
        query = sa.select(_table).where(_table.c.expires_at > time.time())
        with self._read() as connection:
            for chunk in chunked(issue_ids):
                rows = connection.execute(query.where(_table.c.issue_id.in_(chunk)))
                found += [Lease(*row) for row in rows]
        return found

    def lease_of(self, issue_id: str) -> Lease | None:
        """Who has this issue now."""
        query = sa.select(_table).where(_table.c.issue_id == issue_id, _table.c.expires_at > time.time())
        with self._read() as connection:
            row = connection.execute(query).first()
        return None if row is None else Lease(*row)

    def put_opinion(self, issue_id: str, reviewer: str, kind: DecisionKind, label: str | None) -> Opinion:
        """Store a second opinion. It changes no label.

        Raises:
            ConflictError: The reviewer gave one already.
        """
        opinion = Opinion(issue_id, reviewer, kind, label, time.time())
        with self.begin() as connection:
            here = (_opinions.c.issue_id == issue_id) & (_opinions.c.reviewer == reviewer)
            if connection.execute(sa.select(_opinions.c.kind).where(here)).first():
                raise ConflictError("you gave your opinion already", item=f"issue {issue_id}")
            values = {name: getattr(opinion, name) for name in _opinions.c.keys()}  # noqa: SIM118
            connection.execute(sa.insert(_opinions), values | {"kind": kind.value})
            write_audit(connection, reviewer, f"opinion.{kind.value}", issue_id)
        return opinion

    def double_judgements(self) -> list[DoubleJudgement]:
        """Every decided issue with an opinion on it, by issue and second reviewer."""
        issues, decisions = schema.issues, schema.decisions
        query = (
            sa.select(
                _opinions,
                issues.c.payload.label("issue"),
                issues.c.probability,
                issues.c.severity,
                decisions.c.payload.label("decision"),
            )
            .join_from(_opinions, issues, issues.c.id == _opinions.c.issue_id)
            .join(decisions, decisions.c.id == issues.c.decision_id)
            .where(issues.c.state == IssueState.DECIDED.value)
            .order_by(_opinions.c.issue_id, _opinions.c.reviewer)
        )
        with self._read() as connection:
            return [
                DoubleJudgement(
                    ranked_issue(row.issue, row.probability, row.severity, f"issue {row.issue_id}"),
                    decision_from_dict(json.loads(row.decision), f"decision on issue {row.issue_id}"),
                    _opinion(row),
                )
                for row in connection.execute(query)
            ]

    def deciders(self, issue_ids: Iterable[str]) -> dict[str, str]:
        """Issue id -> who made the decision that stands, of those that are decided."""
        issues, decisions = schema.issues, schema.decisions
        query = sa.select(issues.c.id, decisions.c.reviewer).join_from(
            issues, decisions, decisions.c.id == issues.c.decision_id
        )
        found: dict[str, str] = {}
        with self._read() as connection:
            for chunk in chunked(issue_ids):
                here = (issues.c.id.in_(chunk), issues.c.state == IssueState.DECIDED.value)
                found.update((row.id, row.reviewer) for row in connection.execute(query.where(*here)))
        return found

    def opinions(self, reviewer: str | None = None) -> list[Opinion]:
        """Those of a reviewer, or all, by issue and reviewer."""
        query = sa.select(_opinions).order_by(_opinions.c.issue_id, _opinions.c.reviewer)
        if reviewer is not None:
            query = query.where(_opinions.c.reviewer == reviewer)
        with self._read() as connection:
            return [_opinion(row) for row in connection.execute(query)]


def _opinion(row: Any) -> Opinion:
    return Opinion(row.issue_id, row.reviewer, DecisionKind(row.kind), row.label, row.created_at)
