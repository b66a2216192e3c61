"""What people have decided, as the scan reads it: which labels are settled, and what the queue learns from."""

from __future__ import annotations

from collections.abc import Iterator

from curate.annotations import DecisionKind, Issue
from curate.store import DecisionRecord
from curate.workflows.project import Project

__all__ = ["decided_issues", "decided_labels", "standing_decisions"]

_PAGE = 1000


def standing_decisions(project: Project) -> Iterator[DecisionRecord]:
    """Every decision that has not been undone, oldest first."""
    after: int | None = None
    while page := project.store.decisions(limit=_PAGE, after=after, oldest_first=True):
        for record in page:
            if record.undone_by is None and record.decision.kind is not DecisionKind.UNDO:
                yield record
        after = page[-1].sequence


def decided_labels(project: Project) -> dict[str, int]:
    """Label id -> the revision that a person settled: kept as it was, or made by a correction."""
    settled: dict[str, int] = {}
    kept: set[str] = set()
    for record in standing_decisions(project):
        for effect in record.effects.labels:
            if not effect.deleted:
                settled[effect.annotation_id] = effect.after
        if record.decision.kind is DecisionKind.KEEP:
            kept.update(effect.issue_id for effect in record.effects.issues)
    for status in project.store.issue_statuses(kept):
        label = status.issue.annotation_id
        if label is not None and status.annotation_revision is not None:
            settled[label] = max(settled.get(label, 0), status.annotation_revision)
    return settled


def decided_issues(project: Project) -> list[tuple[Issue, DecisionKind]]:
    """Issues that people decided directly, with the verdict."""
    kinds: dict[str, DecisionKind] = {}
    for record in standing_decisions(project):
        for effect in record.effects.issues:
            if effect.decision_after == record.decision.id:
                kinds[effect.issue_id] = record.decision.kind
    return [(status.issue, kinds[status.issue.id]) for status in project.store.issue_statuses(kinds)]
