"""What a person sends to the queue by hand: issues that a scan did not find, and that no scan takes away."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curate.annotations import Annotation, Frame, Issue, IssueState, IssueType, Proposal, ProposalKind
from curate.store import Role
from curate.workflows.project import Project

__all__ = ["PICKED", "Sent", "is_picked", "picked_issues", "send_frames", "send_labels", "take_from_queue"]

PICKED = "picked_by_hand"
"""Evidence of such an issue: 1 for the person who picked it."""
_PROBABILITY = 0.5
"""Nobody measured anything; a person wants to look, so it comes early."""


@dataclass(frozen=True)
class Sent:
    """What sending did.

    Attributes:
        issues: Ids of the issues that opened.
        waiting: How many of those sent had an open issue already.
    """

    issues: tuple[str, ...]
    waiting: int


def is_picked(issue: Issue) -> bool:
    """Whether a person picked it."""
    return PICKED in issue.evidence


def send_labels(project: Project, annotations: Sequence[Annotation], reviewer: str) -> Sent:
    """Put labels into the queue to be looked at one by one; those with an open issue stay where they are.

    Raises:
        NotFoundError: A label is not in the store.
    """
    issues = [
        _issue(
            IssueType.OUTLIER,
            annotation.frame_id,
            f"{annotation.id}:{annotation.revision}",
            reviewer,
            annotation=annotation,
        )
        for annotation in annotations
    ]
    return _send(project, issues)


def send_frames(project: Project, frames: Sequence[Frame], reviewer: str) -> Sent:
    """Put whole frames into the queue; the proposal is to leave them out.

    Raises:
        NotFoundError: A frame is not in the store.
    """
    return _send(project, [_issue(IssueType.BAD_FRAME, frame.id, "frame", reviewer) for frame in frames])


def take_from_queue(project: Project, issue_ids: Iterable[str]) -> int:
    """Take picked issues that nobody decided yet out again; how many there were."""
    project.expect_role(Role.REVIEWER)
    with project.store.begin():  # Read inside: an issue that somebody decides meanwhile stays decided.
        waiting = project.store.issue_statuses(issue_ids, states=(IssueState.OPEN, IssueState.SKIPPED))
        gone = [status.issue.id for status in waiting if is_picked(status.issue)]
        for issue_id in gone:
            project.store.set_issue_state(issue_id, IssueState.OBSOLETE, None)
    return len(gone)


def picked_issues(project: Project, found: Iterable[Issue]) -> list[Issue]:
    """Picked issues that still wait and that a scan did not find by itself."""
    taken = {issue.id for issue in found}
    waiting = project.store.issue_statuses(states=(IssueState.OPEN, IssueState.SKIPPED))
    return [status.issue for status in waiting if is_picked(status.issue) and status.issue.id not in taken]


def _send(project: Project, issues: Sequence[Issue]) -> Sent:
    project.expect_role(Role.REVIEWER)
    with project.store.begin():
        subjects = {issue.annotation_id or issue.frame_id for issue in issues}
        waiting = {
            label or frame
            for label, frame, kind in project.store.open_subjects()
            if label is not None or kind is IssueType.BAD_FRAME
        } & subjects
        fresh = [issue for issue in issues if (issue.annotation_id or issue.frame_id) not in waiting]
        project.store.upsert_issues(fresh, whole=False)
    return Sent(tuple(issue.id for issue in fresh), len(waiting))


def _issue(
    kind: IssueType, frame_id: str, place: str, reviewer: str, *, annotation: Annotation | None = None
) -> Issue:
    digest = hashlib.sha256(f"picked\0{kind.value}\0{frame_id}\0{place}".encode()).hexdigest()[:32]
    proposal = ProposalKind.EXCLUDE_FRAME if annotation is None else ProposalKind.NONE
    return Issue(
        id=digest,
        type=kind,
        frame_id=frame_id,
        annotation_id=None if annotation is None else annotation.id,
        bbox_xyxy=None if annotation is None else annotation.bbox_xyxy,
        label=None if annotation is None else annotation.label,
        severity=1.0,
        probability=_PROBABILITY,
        explanation=f"{reviewer} picked it on the embedding map, to be looked at.",
        evidence={PICKED: 1.0},
        proposal=Proposal(proposal),
    )
