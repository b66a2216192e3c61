"""What an undo will change: old content comes back as new revisions, the issues open again."""

from __future__ import annotations

from curate.annotations import Decision, DecisionKind, IssueState
from curate.errors import ConflictError, NotFoundError
from curate.review.plan import Plan, PlannedLabel, add_obsolete, when
from curate.store import DecisionRecord, FrameEffect, IssueEffect, IssueStatus, Store

__all__ = ["find_redo", "find_undo", "plan_undo"]


def find_undo(store: Store, reviewer: str) -> str:
    """The reviewer's last decision that still stands.

    Raises:
        NotFoundError: There is none.
    """
    record = store.last_standing_decision(reviewer)
    if record is None:
        raise NotFoundError(f"nothing of {reviewer} is left to undo")
    return record.decision.id


def find_redo(store: Store, reviewer: str) -> str:
    """The reviewer's last undo that still stands and that no new decision came after.

    Raises:
        NotFoundError: There is none.
    """
    after: int | None = None
    while page := store.decisions(limit=50, reviewer=reviewer, after=after):
        for record in page:
            if record.decision.kind is not DecisionKind.UNDO:
                break
            root, depth = _root(store, record)
            if depth % 2 == 1 and root.undone_by == record.decision.id:
                return record.decision.id
        else:
            after = page[-1].sequence
            continue
        break
    raise NotFoundError(f"nothing of {reviewer} is left to redo")


def plan_undo(store: Store, decision: Decision) -> Plan:
    """Work out the undo of `decision.undoes`; of an undo it is the redo.

    Raises:
        NotFoundError: No such decision.
        ConflictError: It is undone already, or a later decision stands on the same label, issue or frame.
    """
    target = store.decision(str(decision.undoes))
    root, depth = _root(store, target)
    _expect_standing(store, target, root, depth)
    plan = Plan()
    plan.undone[root.decision.id] = decision.id if depth % 2 == 0 else None
    if depth:
        plan.undone[target.decision.id] = decision.id
    _revert_labels(store, target, plan)
    _revert_frames(store, target, plan)
    _revert_issues(store, target, plan)
    add_obsolete(store, decision.id, plan)
    return plan


def _root(store: Store, record: DecisionRecord) -> tuple[DecisionRecord, int]:
    """The decision at the bottom of a chain of undo and redo, and how many lie on top of it."""
    depth = 0
    while record.decision.kind is DecisionKind.UNDO:
        record = store.decision(str(record.decision.undoes))
        depth += 1
    return record, depth


def _expect_standing(store: Store, target: DecisionRecord, root: DecisionRecord, depth: int) -> None:
    item = f"decision {target.decision.id}"
    if depth % 2 == 0 and root.undone_by is not None:
        by = store.decision(root.undone_by).decision
        raise ConflictError(f"{by.reviewer} undid this already, {when(by.created_at)}", item=item)
    if depth % 2 == 1 and root.undone_by != target.decision.id:
        raise ConflictError("this undo was taken back already", item=item)


def _revert_labels(store: Store, target: DecisionRecord, plan: Plan) -> None:
    for effect in reversed(target.effects.labels):
        history = store.revisions(effect.annotation_id)
        last = history[-1]
        # The same content may stand under a later number, when later decisions were undone one by one.
        if last.content_of != history[effect.after].content_of:
            raise ConflictError(
                f"{last.actor} changed the label after this decision, {when(last.created_at)}",
                item=f"annotation {effect.annotation_id}",
                hint="undo the later decision first",
            )
        number = last.annotation.revision
        if effect.before is None:
            plan.labels.append(PlannedLabel(last.annotation, number, deleted=True))
        else:
            old = history[effect.before]
            plan.labels.append(PlannedLabel(old.annotation, number, old.deleted, old.content_of))


def _revert_frames(store: Store, target: DecisionRecord, plan: Plan) -> None:
    for effect in target.effects.frames:
        if store.frame(effect.frame_id).excluded != effect.after:
            raise ConflictError(
                "the frame was taken in or out after this decision",
                item=f"frame {effect.frame_id}",
                hint="undo the later decision first",
            )
        plan.frames.append(FrameEffect(effect.frame_id, before=effect.after, after=effect.before))


def _revert_issues(store: Store, target: DecisionRecord, plan: Plan) -> None:
    found = store.issue_statuses(effect.issue_id for effect in target.effects.issues)
    statuses = {status.issue.id: status for status in found}
    for effect in target.effects.issues:
        status = statuses[effect.issue_id]
        if status.decision_id not in (effect.decision_after, None):
            later = store.decision(status.decision_id).decision
            raise ConflictError(
                f"{later.reviewer} decided the issue after this decision, {when(later.created_at)}",
                item=f"issue {effect.issue_id}",
                hint="undo the later decision first",
            )
        state = effect.before
        if state in (IssueState.OPEN, IssueState.SKIPPED) and _is_moot(store, status, effect, plan):
            state = IssueState.OBSOLETE
        plan.issues.append(
            IssueEffect(
                effect.issue_id, status.issue.state, state, status.decision_id, effect.decision_before
            )
        )


def _is_moot(store: Store, status: IssueStatus, effect: IssueEffect, plan: Plan) -> bool:
    """Whether there is nothing left to ask: a scan dropped it, or its label or frame has gone otherwise."""
    if status.issue.state is IssueState.OBSOLETE and effect.after is not IssueState.OBSOLETE:
        return True
    frame_id, label_id = status.issue.frame_id, status.issue.annotation_id
    frames = {change.frame_id: change.after for change in plan.frames}
    if frames.get(frame_id, store.frame(frame_id).excluded):
        return True
    if label_id is None:
        return False
    labels = {planned.annotation.id: planned.deleted for planned in plan.labels}
    return labels[label_id] if label_id in labels else store.last_revision(label_id).deleted
