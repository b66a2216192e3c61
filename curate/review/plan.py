"""What a decision will change, worked out before anything is written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from curate.annotations import (
    GOLD_SOURCE,
    Annotation,
    Decision,
    DecisionKind,
    Frame,
    Issue,
    IssueState,
    Mask,
    ProposalKind,
    replace,
)
from curate.errors import ConflictError, DataError
from curate.geometry.boxes import clip_boxes
from curate.review.conflict import IssueHeld, LabelChanged, issue_decided
from curate.review.validate import checked_flags, checked_label, checked_shape, checked_track
from curate.store import (
    DecisionEffects,
    FrameEffect,
    GoldState,
    IssueEffect,
    IssueStatus,
    LabelEffect,
    Revision,
    Store,
)
from curate.types import BoxTuple

__all__ = ["Plan", "PlannedLabel", "Planner", "add_obsolete", "when"]

_WAITING = (IssueState.OPEN, IssueState.SKIPPED)


@dataclass(frozen=True)
class PlannedLabel:
    """One revision to append; see `Store.append_revision`."""

    annotation: Annotation
    parent: int | None
    deleted: bool = False
    restores: int | None = None


@dataclass
class Plan:
    """Everything that one decision will change."""

    labels: list[PlannedLabel] = field(default_factory=list)
    issues: list[IssueEffect] = field(default_factory=list)
    frames: list[FrameEffect] = field(default_factory=list)
    left_open: list[str] = field(default_factory=list)
    undone: dict[str, str | None] = field(default_factory=dict)
    """Decision id -> the undo that takes it back, or None when it stands again."""

    def effects(self) -> DecisionEffects:
        """The plan as the record that is stored with the decision."""
        labels = tuple(
            LabelEffect(
                planned.annotation.id,
                planned.parent,
                0 if planned.parent is None else planned.parent + 1,
                planned.deleted,
            )
            for planned in self.labels
        )
        return DecisionEffects(labels, tuple(self.issues), tuple(self.frames), tuple(self.left_open))


class Planner:
    """Plans every decision except undo, from what the store holds inside the open transaction."""

    def __init__(
        self, store: Store, decision: Decision, classes: Sequence[str] | None, source: str | None
    ) -> None:
        site = store.site()
        self._store = store
        self._decision = decision
        self._classes = site.classes if classes is None else tuple(classes)
        self._source = site.working_source if source is None else source
        self._item = f"decision {decision.id}"
        self._plan = Plan()
        self._touched: set[str] = set()
        self._frames: dict[str, Frame] = {}

    def plan(self) -> Plan:
        """Work it out.

        Raises:
            NotFoundError: The issue, label or frame does not exist.
            ConflictError: Somebody else decided the issue or changed the label or the frame.
            DataError: The decision is incomplete or its content impossible.
        """
        decision = self._decision
        if decision.issue_id is None:
            if decision.kind in (DecisionKind.APPLY, DecisionKind.SKIP) or decision.group:
                what = "a group decision" if decision.group else decision.kind.value
                raise DataError(f"{what} needs an issue", item=self._item)
            self._decide(None)
        else:
            anchor = self._store.issue_status(decision.issue_id)
            self._expect_waiting(anchor)
            self._decide(anchor)
            for status in self._others(anchor) if decision.group else ():
                self._decide(status, follows=True)
        self._expect_no_frozen_gold()
        add_obsolete(self._store, decision.id, self._plan)
        return self._plan

    def _expect_no_frozen_gold(self) -> None:
        """A frozen test set stays what it was: its labels only change while a revision of it is open."""
        if not any(planned.annotation.source == GOLD_SOURCE for planned in self._plan.labels):
            return
        golds = self._store.gold_sets()
        if golds and golds[-1].state is GoldState.FROZEN:
            raise ConflictError(
                "this label belongs to the frozen gold set",
                item=self._item,
                hint="`curate gold revise` opens a revision in which it can be corrected",
            )

    def _others(self, anchor: IssueStatus) -> list[IssueStatus]:
        group_id = anchor.issue.group_id
        if group_id is None:
            raise DataError("this issue belongs to no group", item=f"issue {anchor.issue.id}")
        if self._decision.annotation_id is not None:
            raise DataError("a group decision takes its labels from the issues", item=self._item)
        members = self._store.issue_statuses(group_id=group_id, states=(IssueState.OPEN,))
        return [status for status in members if status.issue.id != anchor.issue.id]

    def _expect_waiting(self, status: IssueStatus) -> None:
        item = f"issue {status.issue.id}"
        if status.issue.state not in _WAITING and status.decision_id is not None:
            made = self._store.decision(status.decision_id).decision
            message = (
                f"{made.reviewer} decided this issue already: {made.kind.value}, {when(made.created_at)}"
            )
            if status.issue.state is not IssueState.DECIDED:
                message = f"the issue no longer stands ({made.kind.value} by {made.reviewer})"
            raise issue_decided(self._store, self._decision, status, message)
        if status.issue.state not in _WAITING:
            raise ConflictError("the issue no longer stands", item=item, hint="take the next one")
        lease = self._store.lease_of(status.issue.id)
        if lease is not None and lease.reviewer != self._decision.reviewer:
            raise IssueHeld(
                f"{lease.reviewer} is looking at this issue, until {when(lease.expires_at)}",
                by=lease.reviewer,
                until=lease.expires_at,
                item=item,
                hint="take the next one",
            )

    def _decide(self, status: IssueStatus | None, *, follows: bool = False) -> None:
        """Plan one issue, or the free edit. `follows`: it comes along with its group."""
        kind = self._decision.kind
        if status is not None and follows and self._is_held(status.issue.id):
            self._plan.left_open.append(status.issue.id)
            return
        if status is None or kind is DecisionKind.SKIP:
            if kind is not DecisionKind.SKIP:
                self._act(None)
        elif status.issue.annotation_id not in self._touched:
            if follows and self._is_stale(status):
                self._plan.left_open.append(status.issue.id)
                return
            if not follows and self._decision.expected_revision is None and self._is_stale(status):
                last = self._store.last_revision(str(status.issue.annotation_id))
                raise LabelChanged(
                    f"the label changed since the scan ({_who(last)})",
                    item=f"issue {status.issue.id}",
                    hint=f"scan again, or confirm with expected_revision {last.annotation.revision}",
                    decision=self._decision,
                    seen=self._revision_seen(status),
                    theirs=last,
                )
            self._act(status.issue, follows=follows)
        if status is not None:
            after = IssueState.SKIPPED if kind is DecisionKind.SKIP else IssueState.DECIDED
            self._plan.issues.append(
                IssueEffect(status.issue.id, status.issue.state, after, status.decision_id, self._decision.id)
            )

    def _revision_seen(self, status: IssueStatus) -> Annotation | None:
        history = self._store.revisions(str(status.issue.annotation_id))
        return history[status.annotation_revision or 0].annotation

    def _is_held(self, issue_id: str) -> bool:
        lease = self._store.lease_of(issue_id)
        return lease is not None and lease.reviewer != self._decision.reviewer

    def _is_stale(self, status: IssueStatus) -> bool:
        if status.issue.annotation_id is None or status.annotation_revision is None:
            return False
        last = self._store.last_revision(status.issue.annotation_id)
        if last.annotation.revision == status.annotation_revision:
            return False
        history = self._store.revisions(status.issue.annotation_id)
        return last.content_of != history[status.annotation_revision].content_of

    def _act(self, issue: Issue | None, *, follows: bool = False) -> None:
        decision = self._decision
        kind, label, box, mask = decision.kind, decision.label, decision.bbox_xyxy, decision.mask
        if kind is DecisionKind.APPLY and issue is not None:
            proposal = issue.proposal
            if proposal.kind is ProposalKind.NONE:
                raise DataError("this issue proposes nothing to apply", item=f"issue {issue.id}")
            kind = DecisionKind(proposal.kind.value)
            label, box, mask = proposal.label, proposal.bbox_xyxy, proposal.mask
            if kind is DecisionKind.EDIT and mask is None:
                mask = ()
            if box is not None:
                box = self._clipped(box, issue.frame_id)
        if kind is DecisionKind.ADD:
            self._add(issue, label, box, mask)
        elif kind is DecisionKind.EXCLUDE_FRAME:
            self._exclude(issue, follows=follows)
        else:
            self._change(kind, self._label_of(issue, follows=follows), label, box, mask)

    def _label_of(self, issue: Issue | None, *, follows: bool) -> Annotation | None:
        """The label concerned; None when a `keep` concerns none."""
        decision = self._decision
        annotation_id = decision.annotation_id or (issue.annotation_id if issue else None)
        if annotation_id is None:
            if decision.kind is DecisionKind.KEEP and issue is not None:
                return None
            raise DataError(f"{decision.kind.value} needs a label", item=self._item)
        last, expected = self._store.last_revision(annotation_id), decision.expected_revision
        if expected is not None and not follows and expected != last.annotation.revision:
            # Content counts, not the number: after an undo the reviewer still sees what is there.
            history = self._store.revisions(annotation_id)
            seen = history[expected].content_of if 0 <= expected < len(history) else None
            if seen != last.content_of:
                raise LabelChanged(
                    f"the label was changed in the meantime ({_who(last)}):"
                    f" you saw revision {expected}, now it is {last.annotation.revision}",
                    item=f"annotation {annotation_id}",
                    hint="look at it again",
                    decision=decision,
                    seen=None if seen is None else history[expected].annotation,
                    theirs=last,
                )
        if last.deleted:
            raise ConflictError(f"the label was deleted ({_who(last)})", item=f"annotation {annotation_id}")
        return last.annotation

    def _change(
        self,
        kind: DecisionKind,
        before: Annotation | None,
        label: str | None,
        box: BoxTuple | None,
        mask: Mask | None,
    ) -> None:
        if before is None or kind is DecisionKind.KEEP:
            return
        self._touched.add(before.id)
        if kind is DecisionKind.DELETE_LABEL:
            self._plan.labels.append(PlannedLabel(before, before.revision, deleted=True))
            return
        after = before
        if kind is DecisionKind.RELABEL or label is not None:
            after = replace(after, label=checked_label(label, self._classes, self._item))
        if kind is DecisionKind.EDIT:
            flags = checked_flags(self._decision.flags, self._item)
            box, mask = checked_shape(box, mask, self._frame(before.frame_id), self._item)
            track = checked_track(self._decision.track_id, self._item)
            if box is None and mask is None and label is None and track is None and not flags:
                raise DataError("edit needs a box, a mask, a class, a track or flags", item=self._item)
            after = replace(
                after,
                bbox_xyxy=after.bbox_xyxy if box is None else box,
                mask=after.mask if mask is None else mask or None,
                track_id=after.track_id if track is None else track,
                **flags,
            )
        if after != before:
            # The source's confidence was in what it said, not in what a person made of it.
            self._plan.labels.append(PlannedLabel(replace(after, score=None), before.revision))

    def _add(self, issue: Issue | None, label: str | None, box: BoxTuple | None, mask: Mask | None) -> None:
        decision = self._decision
        frame_id = issue.frame_id if issue else decision.frame_id
        if frame_id is None:
            raise DataError("add needs a frame", item=self._item)
        if label is None and issue is not None:
            label = issue.label
        name = checked_label(label, self._classes, self._item)
        box, mask = checked_shape(box, mask, self._frame(frame_id), self._item)
        if box is None:
            raise DataError("add needs a box or a mask", item=self._item)
        seed = f"{decision.id}:{issue.id if issue else ''}"
        new = Annotation(
            id=decision.annotation_id or hashlib.sha256(seed.encode()).hexdigest()[:32],
            frame_id=frame_id,
            label=name,
            bbox_xyxy=box,
            mask=mask or None,
            source=self._source,
            track_id=checked_track(decision.track_id, self._item),
            **checked_flags(decision.flags, self._item),
        )
        if self._store.has_annotation(new.id):
            raise ConflictError("a label with this id is there already", item=f"annotation {new.id}")
        self._plan.labels.append(PlannedLabel(new, None))

    def _exclude(self, issue: Issue | None, *, follows: bool) -> None:
        frame_id = issue.frame_id if issue else self._decision.frame_id
        if frame_id is None:
            raise DataError("exclude_frame needs a frame", item=self._item)
        if any(effect.frame_id == frame_id for effect in self._plan.frames):
            return
        if self._frame(frame_id).excluded:
            if follows:
                return
            raise ConflictError("the frame is excluded already", item=f"frame {frame_id}")
        self._plan.frames.append(FrameEffect(frame_id, before=False, after=True))

    def _clipped(self, box: BoxTuple, frame_id: str) -> BoxTuple:
        """A proposal comes from a detector, whose boxes may reach over the edge of the frame."""
        frame = self._frame(frame_id)
        x1, y1, x2, y2 = clip_boxes(np.asarray(box, float), frame.width, frame.height).tolist()
        return (x1, y1, x2, y2)

    def _frame(self, frame_id: str) -> Frame:
        if frame_id not in self._frames:
            self._frames[frame_id] = self._store.frame(frame_id)
        return self._frames[frame_id]


def add_obsolete(store: Store, decision_id: str, plan: Plan) -> None:
    """Add to the plan that waiting issues of deleted labels and excluded frames become obsolete."""
    seen = {effect.issue_id for effect in plan.issues}
    gone: list[IssueStatus] = []
    for planned in plan.labels:
        if planned.deleted:
            gone += store.issue_statuses(annotation_id=planned.annotation.id, states=_WAITING)
    for effect in plan.frames:
        if effect.after:
            gone += store.issue_statuses(frame_id=effect.frame_id, states=_WAITING)
    for status in gone:
        if status.issue.id not in seen:
            seen.add(status.issue.id)
            plan.issues.append(
                IssueEffect(
                    status.issue.id, status.issue.state, IssueState.OBSOLETE, status.decision_id, decision_id
                )
            )


def when(timestamp: float) -> str:
    """A Unix time for messages, in UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _who(revision: Revision) -> str:
    return f"by {revision.actor}, {when(revision.created_at)}"
