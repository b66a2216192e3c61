"""Takes a browser's outbox in: each operation is one decision, applied once, whatever is delivered twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from crossguard_app.presenters.conflicts import conflict_values
from curate.annotations import Decision, DecisionKind, replace
from curate.errors import AccessError, ConflictError, CurateError, DataError, NotFoundError
from curate.review import DecisionOutcome, decide
from curate.store import Role
from curate.store.serialize import decision_from_dict
from curate.types import is_storable
from curate.workflows.coverage import mark_covered, unmark_covered
from curate.workflows.gold import GOLD_SOURCE
from curate.workflows.project import Project

__all__ = ["Refusal", "SyncResult", "take_in"]

_FIELDS = (
    "id",
    "kind",
    "issue_id",
    "frame_id",
    "annotation_id",
    "label",
    "bbox_xyxy",
    "mask",
    "flags",
    "track_id",
    "expected_revision",
    "group",
    "undoes",
)
_LOOKS = ("seen", "unseen")
"""Operations that say whether somebody looked at a frame: no decision on a label."""


_LARGEST_NUMBER = 2**53
"""JavaScript counts exactly up to here."""


@dataclass(frozen=True)
class Refusal:
    """An operation that is not applied, and why; no words for one that falls with its batch.

    Attributes:
        id: Of the operation.
        number: In the outbox of its page.
        message: Why, in words.
        conflict: Both versions, where somebody else was there first: see `conflict_values`.
        follows: The refused operation that it was built on.
    """

    id: str
    number: int
    message: str
    conflict: Mapping[str, Any] | None = None
    follows: str | None = None


class _BuiltOnRefusedError(ConflictError):
    """The change before it, of the same page to the same label, was refused."""

    def __init__(self, follows: str) -> None:
        super().__init__("the change before it was not saved")
        self.follows = follows


@dataclass
class SyncResult:
    """What came of an outbox.

    Attributes:
        client: The browser's page.
        acknowledged: Everything up to this number is settled: stored or refused.
        applied: Operations newly stored.
        refused: Operations that cannot be applied.
        reopened: Issue that an undo of an earlier page's decision opened again.
        trouble: Why it stopped short of the end, in words; the browser keeps the rest and sends it again.
    """

    client: str = ""
    acknowledged: int = 0
    applied: int = 0
    refused: list[Refusal] = field(default_factory=list)
    reopened: str | None = None
    trouble: str = ""


def take_in(
    project: Project,
    reviewer: str,
    outbox: Mapping[str, Any] | None,
    refused: Sequence[Refusal] = (),
) -> SyncResult:
    """Apply what is new in an outbox, in its order.

    A refused operation is acknowledged with its reason; when the store itself fails (busy, disk full), nothing of
    this delivery is saved or acknowledged.

    Args:
        project: The project.
        reviewer: Who decides.
        outbox: {"client": str, "operations": [...], "known": int} as the browser holds it, or None when it has said
            nothing. `known` is the number that it knows to be acknowledged.
        refused: Refusals that the browser will be told of yet.
    """
    if outbox is None:
        return SyncResult()
    operations = _checked(outbox)
    if operations is None:
        return SyncResult(
            trouble="Not saved: what came from this browser is no list of edits. Reload the page."
        )
    client = outbox.get("client", "")[:64]
    result = SyncResult(client)
    if not client:
        return result
    known = 0
    try:
        known = result.acknowledged = project.store.ack(client)
        fresh = [
            operation
            for operation in operations
            if operation["n"] > known or _is_untold(project, operation, outbox, refused)
        ]
        if fresh:
            # One transaction, as one wait for the disk: a hundred decisions then cost little more than one.
            with project.store.begin():
                _apply_all(project, reviewer, fresh, result)
    except CurateError as error:
        # Nothing of it was saved; what was refused on the way is looked at again.
        return SyncResult(client, known, trouble=f"Not saved yet, it stays in this browser: {error}")
    return result


def _is_untold(
    project: Project, operation: Mapping[str, Any], outbox: Mapping[str, Any], refused: Sequence[Refusal]
) -> bool:
    """Whether it was refused, and the server ended before the browser heard of it: then it is asked anew."""
    told = outbox.get("known")
    if not isinstance(told, int) or operation["n"] <= told or operation.get("kind") in _LOOKS:
        return False
    name = str(operation.get("id", ""))
    return all(entry.id != name for entry in refused) and project.store.find_decision(name) is None


def _apply_all(
    project: Project, reviewer: str, fresh: Sequence[Mapping[str, Any]], result: SyncResult
) -> None:
    # What one action of the reviewer changed comes as neighbours of one batch: all of it or nothing.
    for _, batch in groupby(fresh, key=lambda operation: operation.get("batch") or operation.get("n")):
        _apply(project, reviewer, list(batch), result)


def _checked(outbox: Any) -> list[Mapping[str, Any]] | None:
    """The operations, if this is an outbox at all: any program may send something in the browser's place."""
    if not isinstance(outbox, Mapping):
        return None
    client, operations = outbox.get("client", ""), outbox.get("operations", ())
    if not isinstance(client, str) or not is_storable(client) or not isinstance(operations, list | tuple):
        return None
    for operation in operations:
        number = operation.get("n") if isinstance(operation, Mapping) else None
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < _LARGEST_NUMBER:
            return None
    return list(operations)


def _apply(project: Project, reviewer: str, batch: Sequence[Mapping[str, Any]], result: SyncResult) -> None:
    last = int(batch[-1]["n"])
    applied, reopened = 0, None
    current = batch[0]
    try:
        with project.store.begin():
            for operation in batch:
                current = operation
                outcome = _carry_out(project, reviewer, operation, result.client)
                applied += outcome is not None and not outcome.repeated
                if outcome is not None and operation.get("undoes") is None and outcome.issues:
                    reopened = outcome.issues[0].issue_id if operation["kind"] == "undo" else reopened
    except (AccessError, ConflictError, NotFoundError, DataError) as error:
        project.store.set_ack(result.client, last)
        result.refused += [_refusal(operation, error, operation is current) for operation in batch]
        result.acknowledged = max(last, result.acknowledged)
        return
    result.acknowledged = max(last, result.acknowledged)
    result.applied += applied
    result.reopened = reopened or result.reopened


def _refusal(operation: Mapping[str, Any], error: CurateError, is_cause: bool) -> Refusal:
    name, number = str(operation.get("id", "")), int(operation["n"])
    if not is_cause:
        return Refusal(name, number, "")
    if isinstance(error, _BuiltOnRefusedError):
        return Refusal(name, number, error.message, follows=error.follows)
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    return Refusal(
        name, number, message, conflict_values(error) if isinstance(error, ConflictError) else None
    )


def _carry_out(
    project: Project, reviewer: str, operation: Mapping[str, Any], client: str
) -> DecisionOutcome | None:
    number = int(operation["n"])
    if operation.get("kind") in _LOOKS:
        project.store.expect_role(reviewer, Role.REVIEWER)
        frame_id = str(operation.get("frame_id"))
        if not is_storable(frame_id):
            raise NotFoundError("no such frame", item="operation")
        frame = project.store.frame(frame_id)
        note = mark_covered if operation["kind"] == "seen" else unmark_covered
        note(project, _source(project, operation), [frame.id])
        project.store.set_ack(client, number)
        return None
    decision = _built_on(project, operation, _decision(operation, reviewer))
    return _decide(project, decision, client, number, _source(project, operation))


def _built_on(project: Project, operation: Mapping[str, Any], decision: Decision) -> Decision:
    """The decision, expecting what the page's own change before it made of the label.

    The page cannot count revisions for changes that are under way: were one refused, the next would fit by its number
    what somebody else had made in between.
    """
    follows = operation.get("follows")
    if not isinstance(follows, str):
        return decision
    record = project.store.find_decision(follows)
    if record is None:
        raise _BuiltOnRefusedError(follows)
    label = decision.annotation_id
    if label is None and decision.issue_id is not None:
        label = project.store.issue(decision.issue_id).annotation_id
    made = [effect.after for effect in record.effects.labels if effect.annotation_id == label]
    return replace(decision, expected_revision=made[-1]) if made else decision


def _source(project: Project, operation: Mapping[str, Any]) -> str:
    """Which labels an added one belongs to: the working ones, or those of the gold set."""
    return GOLD_SOURCE if operation.get("source") == GOLD_SOURCE else project.config.labels.working


def _decision(operation: Mapping[str, Any], reviewer: str) -> Decision:
    given = {name: operation[name] for name in _FIELDS if operation.get(name) not in (None, "")}
    if given.get("kind") == DecisionKind.UNDO.value:
        given = {name: given[name] for name in ("id", "kind", "undoes") if name in given}
    return decision_from_dict(given | {"reviewer": reviewer}, item="operation")


def _decide(project: Project, decision: Decision, client: str, number: int, source: str) -> DecisionOutcome:
    options: dict[str, Any] = {
        "client_id": client,
        "sequence": number,
        "classes": project.config.classes,
        "source": source,
    }
    try:
        return decide(project.store, decision, **options)
    except ConflictError:
        # Nobody is in conflict with themselves: the browser's count of revisions may lag behind its own edits.
        newest = _own_newest(project, decision)
        if newest is None or newest == decision.expected_revision:
            raise
        return decide(project.store, replace(decision, expected_revision=newest), **options)


def _own_newest(project: Project, decision: Decision) -> int | None:
    """The newest revision of the label concerned if this reviewer made it, else None."""
    label = decision.annotation_id
    if label is None and decision.issue_id is not None:
        label = project.store.issue(decision.issue_id).annotation_id
    if label is None or decision.kind in (DecisionKind.UNDO, DecisionKind.ADD):
        return None
    last = project.store.last_revision(label)
    return last.annotation.revision if last.actor == decision.reviewer and not last.deleted else None
