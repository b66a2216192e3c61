"""A careful person's decisions, played back from labels that were reviewed in full: to judge any queue, by any rank.

The verdict on an issue follows from the reviewed labels of its frame alone, never from what the queue claims:
what is there, is it labelled, with the right class, a good box, a good mask?
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from curate.annotations import (
    Annotation,
    Decision,
    DecisionKind,
    Frame,
    Issue,
    IssueState,
    IssueType,
    ProposalKind,
)
from curate.errors import ConflictError, NotFoundError
from curate.geometry.boxes import box_iou
from curate.geometry.polygons import to_rle
from curate.geometry.rle import rle_iou
from curate.issues import issue_looks
from curate.review import decide
from curate.types import FloatArray
from curate.workflows.project import Project

__all__ = ["ReplayReport", "Verdict", "judge_issue", "replay"]

SAME_OBJECT = 0.3
"""A label that overlaps an object less than this does not mean it."""
GOOD_BOX = 0.75
GOOD_MASK = 0.7
ACCEPT = 0.85
"""A proposal this close is accepted; else the person draws."""
FILMSTRIP = 9
"""So many members of a group are looked at before it is decided as a whole."""


@dataclass(frozen=True)
class Verdict:
    """What a careful person would do about an issue.

    Attributes:
        kind: The decision; None when the reviewed labels give no clear answer.
        truth: The reviewed object meant, if any.
    """

    kind: DecisionKind | None
    truth: Annotation | None = None


@dataclass
class ReplayReport:
    """What a replay did.

    Attributes:
        looks: Items looked at; a group is one.
        labels: Labels at the start.
        decided: Issue type -> looks that ended in a decision.
        right: Issue type -> looks at which something was wrong indeed.
        unclear: Issue type -> looks without a clear verdict, skipped.
        labels_changed: Label revisions written.
        accepted: Proposals taken as they were.
        drawn: Corrections that the person had to draw.
        wrongly_deleted: Right labels lost in group decisions.
    """

    looks: int = 0
    labels: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    unclear: Counter[str] = field(default_factory=Counter)
    labels_changed: int = 0
    accepted: int = 0
    drawn: int = 0
    wrongly_deleted: int = 0


def replay(
    project: Project, truth: Iterable[Annotation], *, share: float = 0.2, reviewer: str = "replay"
) -> ReplayReport:
    """Decide the top of the queue as a careful person would.

    Args:
        project: A scanned project.
        truth: Reviewed labels of all its working frames.
        share: Look at no more than this share of the number of labels, in (0, 1].
        reviewer: Name that the decisions are stored under.
    """
    by_frame: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in truth:
        by_frame[annotation.frame_id].append(annotation)
    frames = {frame.id: frame for frame in project.store.frames()}
    source = project.config.labels.working
    report = ReplayReport(labels=len(project.store.annotations(source=source)))
    limit = int(share * report.labels)
    queue = _whole_queue(project)
    for look in issue_looks(queue):
        if report.looks >= limit:
            break
        _look(project, look, frames, by_frame, report, reviewer)
    return report


def _whole_queue(project: Project) -> list[Issue]:
    issues: list[Issue] = []
    after: str | None = None
    while True:
        page = project.store.issues(states=(IssueState.OPEN,), limit=1000, after=after)
        issues += page.issues
        after = page.next
        if after is None:
            return issues


def _look(
    project: Project,
    look: Sequence[Issue],
    frames: Mapping[str, Frame],
    truth: Mapping[str, Sequence[Annotation]],
    report: ReplayReport,
    reviewer: str,
) -> None:
    """One look at one issue, or at the filmstrip of a group."""
    shown = [look[index] for index in np.unique(np.linspace(0, len(look) - 1, FILMSTRIP).astype(int))]
    verdicts = [judge_issue(project, issue, frames[issue.frame_id], truth[issue.frame_id]) for issue in shown]
    first, verdict = shown[0], verdicts[0]
    kinds = {entry.kind for entry in verdicts}
    together = len(look) > 1 and len(kinds) == 1
    report.looks += 1
    if verdict.kind is None:
        report.unclear[first.type.value] += 1
        kind = DecisionKind.SKIP
    else:
        kind = verdict.kind
        report.decided[first.type.value] += 1
        report.right[first.type.value] += kind is not DecisionKind.KEEP
    if together and kind is DecisionKind.DELETE_LABEL:
        others = (
            judge_issue(project, issue, frames[issue.frame_id], truth[issue.frame_id]) for issue in look
        )
        report.wrongly_deleted += sum(entry.kind is DecisionKind.KEEP for entry in others)
    decision = _decision(first, verdict, kind, frames[first.frame_id], together, reviewer)
    try:
        outcome = decide(project.store, decision)
    except (ConflictError, NotFoundError):
        return  # An earlier look has dealt with it already.
    report.labels_changed += len(outcome.labels)
    report.accepted += decision.kind is DecisionKind.APPLY
    report.drawn += decision.kind in (DecisionKind.EDIT, DecisionKind.ADD)


def judge_issue(project: Project, issue: Issue, frame: Frame, truth: Sequence[Annotation]) -> Verdict:
    """What a careful person would do, given the reviewed labels of the frame and its labels as they are now."""
    if issue.type is IssueType.BAD_FRAME:
        return Verdict(DecisionKind.KEEP)
    labels = project.store.annotations(source=project.config.labels.working, frame_ids=[frame.id])
    meant = _assign(labels, truth)
    if issue.annotation_id is None:
        return _judge_missing(issue, truth, {entry.id for entry in meant.values()})
    label = next((entry for entry in labels if entry.id == issue.annotation_id), None)
    if label is None:
        return Verdict(None)
    return _judge_label(label, meant.get(label.id), frame, truth)


def _judge_missing(issue: Issue, truth: Sequence[Annotation], labelled: set[str]) -> Verdict:
    overlaps = _overlaps([issue.proposal.bbox_xyxy or issue.bbox_xyxy or (0, 0, 1, 1)], truth)[0]
    for index in np.argsort(-overlaps):
        if overlaps[index] < SAME_OBJECT:
            break
        if not truth[index].counts:
            return Verdict(None)
        if truth[index].id not in labelled:
            return Verdict(DecisionKind.ADD, truth[index])
    return Verdict(DecisionKind.KEEP)


def _judge_label(
    label: Annotation, truth: Annotation | None, frame: Frame, every: Sequence[Annotation]
) -> Verdict:
    if truth is None:
        near = _overlaps([label.bbox_xyxy], every)[0]
        ignored = any(
            overlap >= SAME_OBJECT and not entry.counts for overlap, entry in zip(near, every, strict=True)
        )
        return Verdict(None if ignored else DecisionKind.DELETE_LABEL)
    if not truth.counts:
        return Verdict(None)
    if truth.label != label.label:
        return Verdict(DecisionKind.RELABEL, truth)
    if _overlaps([label.bbox_xyxy], [truth])[0, 0] < GOOD_BOX:
        return Verdict(DecisionKind.EDIT, truth)
    if label.mask is not None and truth.mask is not None:
        outlines = [to_rle(mask, frame.height, frame.width) for mask in (label.mask, truth.mask)]
        if rle_iou(outlines[:1], outlines[1:])[0, 0] < GOOD_MASK:
            return Verdict(DecisionKind.EDIT, truth)
    return Verdict(DecisionKind.KEEP, truth)


def _assign(labels: Sequence[Annotation], truth: Sequence[Annotation]) -> dict[str, Annotation]:
    """Which object each label means, one to one, by the best overlap in all; the same class counts a little more."""
    if not labels or not truth:
        return {}
    overlaps = _overlaps([label.bbox_xyxy for label in labels], truth)
    same = np.array([[label.label == entry.label for entry in truth] for label in labels])
    rows, columns = linear_sum_assignment(-(overlaps + 0.2 * same * (overlaps > 0)))
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return {labels[row].id: truth[column] for row, column in pairs if overlaps[row, column] >= SAME_OBJECT}


def _overlaps(boxes: Sequence[tuple[float, float, float, float]], truth: Sequence[Annotation]) -> FloatArray:
    return box_iou(
        np.array(boxes, float), np.array([entry.bbox_xyxy for entry in truth], float).reshape(-1, 4)
    )


def _decision(
    issue: Issue, verdict: Verdict, kind: DecisionKind, frame: Frame, together: bool, reviewer: str
) -> Decision:
    """The decision as stored: the proposal where it is as good as what the person would draw."""
    name = hashlib.sha256(f"{reviewer}/{issue.id}".encode()).hexdigest()[:32]
    truth, proposal = verdict.truth, issue.proposal
    if kind is DecisionKind.DELETE_LABEL and proposal.kind is ProposalKind.DELETE_LABEL:
        return Decision(name, DecisionKind.APPLY, reviewer, issue_id=issue.id, group=together)
    if kind in (DecisionKind.KEEP, DecisionKind.SKIP, DecisionKind.DELETE_LABEL) or truth is None:
        return Decision(
            name, kind, reviewer, issue_id=issue.id, group=together and kind is not DecisionKind.SKIP
        )
    if kind is DecisionKind.RELABEL:
        return Decision(name, kind, reviewer, issue_id=issue.id, label=truth.label)
    if _as_good(issue, truth, frame):
        return Decision(name, DecisionKind.APPLY, reviewer, issue_id=issue.id)
    return Decision(
        name,
        kind,
        reviewer,
        issue_id=issue.id,
        label=truth.label if kind is DecisionKind.ADD else None,
        bbox_xyxy=truth.bbox_xyxy,
        mask=truth.mask,
    )


def _as_good(issue: Issue, truth: Annotation, frame: Frame) -> bool:
    proposal = issue.proposal
    if proposal.kind not in (ProposalKind.EDIT, ProposalKind.ADD) or proposal.bbox_xyxy is None:
        return False
    if proposal.kind is ProposalKind.ADD and proposal.label != truth.label:
        return False
    if _overlaps([proposal.bbox_xyxy], [truth])[0, 0] < ACCEPT:
        return False
    if truth.mask is None:
        return True
    if proposal.mask is None:
        return False
    outlines = [to_rle(mask, frame.height, frame.width) for mask in (proposal.mask, truth.mask)]
    return bool(rle_iou(outlines[:1], outlines[1:])[0, 0] >= GOOD_MASK)
