"""One decision, one transaction: decision, label revisions, states of issues, number of the client."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from curate.annotations import Decision, DecisionKind, replace
from curate.errors import ConflictError, DataError
from curate.review.plan import Plan, Planner, when
from curate.review.undo import find_redo, find_undo, plan_undo
from curate.store import DecisionRecord, FrameEffect, IssueEffect, LabelEffect, Role, Store
from curate.store.serialize import decision_to_dict

__all__ = ["DecisionOutcome", "decide", "redo_last", "undo_last"]


@dataclass(frozen=True, slots=True)
class DecisionOutcome:
    """What a decision changed.

    Attributes:
        decision: As stored, with its time; an undo names what it undoes.
        sequence: Order of arrival.
        labels: Labels with their revisions before and after.
        issues: Issues with their states before and after, those decided first.
        frames: Frames taken out or back in.
        left_open: Issues of the group that stay open: their label changed since the scan, or somebody else is
            looking at them.
        repeated: It had been delivered before, and nothing was changed now. Does not count in comparisons.
    """

    decision: Decision
    sequence: int
    labels: tuple[LabelEffect, ...]
    issues: tuple[IssueEffect, ...]
    frames: tuple[FrameEffect, ...]
    left_open: tuple[str, ...]
    repeated: bool = field(default=False, compare=False)


def decide(
    store: Store,
    decision: Decision,
    *,
    client_id: str | None = None,
    sequence: int | None = None,
    classes: Sequence[str] | None = None,
    source: str | None = None,
) -> DecisionOutcome:
    """Carry a decision out: all of it is saved when this returns, or nothing.

    * apply: do what the issue proposes. A proposed edit without a mask leaves the label without one.
    * keep: the label is right; the issue was a false alarm.
    * edit: box, mask, class or flags; what is None stays, `mask=()` takes the mask away, and a mask without a
      box brings its tight box.
    * relabel, add, delete_label, exclude_frame, skip: as they say. An added label gets the working source.
    * undo: revert a decision with all that it changed; the undo of an undo does it again.

    With `group` it goes for every open issue of the group, except those whose label changed since the scan.

    Args:
        store: The store.
        decision: What was decided. A second delivery of the same id changes nothing and has the same outcome.
        client_id: The browser whose outbox it came from, together with `sequence`.
        sequence: Its number in that outbox; acknowledged in the same transaction.
        classes: Allowed classes; None for the store's (`Store.set_site`).
        source: Label source of added labels; None for the store's working source.

    Raises:
        NotFoundError: The issue, label, frame or decision does not exist.
        AccessError: The project has users, and the reviewer is none of them or only a viewer.
        LabelChanged: Somebody changed the label since the revision that the reviewer saw (`expected_revision`), or
            since the scan (name its newest revision in `expected_revision` to confirm). It carries both versions.
        IssueDecided: Somebody decided the issue, or their decision made it fall away. It carries what they made of it.
        IssueHeld: Somebody has taken the issue (see `claim_issues`).
        ConflictError: The id belongs to another decision, or the label to the frozen gold set.
        DataError: The decision is incomplete, or its box, mask, class or flags are impossible.
    """
    if (client_id is None) != (sequence is None):
        raise DataError("client_id and sequence go together", item=f"decision {decision.id}")
    if not decision.id or not decision.reviewer:
        raise DataError("a decision needs an id and a reviewer", item=f"decision {decision.id}")
    with store.begin():
        store.expect_role(decision.reviewer, Role.REVIEWER)
        record = store.find_decision(decision.id)
        repeated = record is not None
        if record is None:
            record = _carry_out(store, decision, classes, source)
        else:
            _expect_same(decision, record)
        if client_id is not None and sequence is not None:
            store.set_ack(client_id, sequence)
    effects = record.effects
    return DecisionOutcome(
        record.decision,
        record.sequence,
        effects.labels,
        effects.issues,
        effects.frames,
        effects.left_open,
        repeated,
    )


def undo_last(store: Store, reviewer: str) -> DecisionOutcome:
    """Undo the reviewer's last decision that still stands.

    Raises:
        NotFoundError: There is none.
        ConflictError: Somebody else built on it since.
    """
    return decide(store, Decision(uuid.uuid4().hex, DecisionKind.UNDO, reviewer))


def redo_last(store: Store, reviewer: str) -> DecisionOutcome:
    """Take the reviewer's last undo back, unless a new decision came after it.

    Raises:
        NotFoundError: There is none.
        ConflictError: Somebody else built on it since.
    """
    with store.begin():
        undoes = find_redo(store, reviewer)
        return decide(store, Decision(uuid.uuid4().hex, DecisionKind.UNDO, reviewer, undoes=undoes))


def _carry_out(
    store: Store, decision: Decision, classes: Sequence[str] | None, source: str | None
) -> DecisionRecord:
    decision = replace(decision, created_at=decision.created_at or time.time())
    if decision.kind is DecisionKind.UNDO:
        decision = replace(decision, undoes=decision.undoes or find_undo(store, decision.reviewer))
        plan = plan_undo(store, decision)
    else:
        plan = Planner(store, decision, classes, source).plan()
    return _write(store, decision, plan)


def _write(store: Store, decision: Decision, plan: Plan) -> DecisionRecord:
    record = store.add_decision(decision, plan.effects())
    for planned in plan.labels:
        store.append_revision(
            planned.annotation,
            parent=planned.parent,
            actor=decision.reviewer,
            decision_id=decision.id,
            deleted=planned.deleted,
            restores=planned.restores,
        )
    store.end_leases([effect.issue_id for effect in plan.issues])
    for effect in plan.issues:
        store.set_issue_state(effect.issue_id, effect.after, effect.decision_after)
    for change in plan.frames:
        store.set_frame_excluded(change.frame_id, change.after)
    for decision_id, undone_by in plan.undone.items():
        store.set_undone(decision_id, undone_by)
    return record


def _expect_same(decision: Decision, record: DecisionRecord) -> None:
    stored = decision_to_dict(record.decision)
    # The store fills in what was left out (the time, what an undo undoes); what was said must be the same. Which
    # revision was expected is no part of that: a delivery may have been stored with the newest one of its own maker.
    said = decision_to_dict(decision)
    said.pop("expected_revision", None)
    if any(stored.get(name) != value for name, value in said.items()):
        raise ConflictError(
            f"another decision of {record.decision.reviewer} has this id, {when(record.decision.created_at)}",
            item=f"decision {decision.id}",
            hint="every decision needs an id of its own",
        )
