"""Somebody else was there first: conflicts with both versions in them."""

from __future__ import annotations

from typing import Any

from curate.annotations import Annotation, Decision, IssueState
from curate.errors import ConflictError
from curate.store import IssueStatus, Revision, Store
from curate.store.serialize import annotation_to_dict, decision_to_dict

__all__ = ["IssueDecided", "IssueHeld", "LabelChanged", "issue_decided"]


class LabelChanged(ConflictError):
    """The label is not what the reviewer saw. Nothing was saved.

    Show both and ask: to go on, decide again with `expected_revision` = `theirs.annotation.revision` (a decision with
    an id of its own); to give way, drop the decision.

    Attributes:
        decision: What the reviewer wanted.
        seen: The label as they saw it; None where that revision never was.
        theirs: Its newest revision: the label now, who made it, when, and whether it was deleted.
    """

    def __init__(
        self,
        message: str,
        *,
        decision: Decision,
        seen: Annotation | None,
        theirs: Revision,
        file: object = None,
        item: object = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, file=file, item=item, hint=hint)
        self.decision = decision
        self.seen = seen
        self.theirs = theirs

    def to_dict(self) -> dict[str, Any]:
        """Both versions as JSON values, for a page that shows them side by side."""
        return {
            "message": self.message,
            "yours": decision_to_dict(self.decision),
            "seen": None if self.seen is None else annotation_to_dict(self.seen),
            "theirs": annotation_to_dict(self.theirs.annotation),
            "by": self.theirs.actor,
            "at": self.theirs.created_at,
            "deleted": self.theirs.deleted,
        }


class IssueDecided(ConflictError):
    """Somebody decided the issue before. Nothing was saved.

    Attributes:
        decision: What the reviewer wanted.
        made: What was decided; its id is what an undo names.
        alone: That decision settled this issue only, not a group: taking it back concerns nothing else.
        seen: The label as the reviewer saw it, where the issue has one and they said which revision that was.
        label: The label now: that of the issue, or the one that was added; None where there is none.
    """

    def __init__(
        self,
        message: str,
        *,
        decision: Decision,
        made: Decision,
        alone: bool,
        seen: Annotation | None,
        label: Revision | None,
        item: object = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, item=item, hint=hint)
        self.decision = decision
        self.made = made
        self.alone = alone
        self.seen = seen
        self.label = label


class IssueHeld(ConflictError):
    """Somebody else has taken the issue and not decided it yet. Nothing was saved.

    Attributes:
        by: Who.
        until: Unix time when their hold ends, unless they prolong it.
    """

    def __init__(self, message: str, *, by: str, until: float, item: object = None, hint: str = "") -> None:
        super().__init__(message, item=item, hint=hint)
        self.by = by
        self.until = until


def issue_decided(store: Store, decision: Decision, status: IssueStatus, message: str) -> IssueDecided:
    """The conflict with the decision that stands on an issue.

    Args:
        store: The store.
        decision: What the reviewer wanted.
        status: The issue with its decision.
        message: What happened, in words.
    """
    record = store.decision(str(status.decision_id))
    settled = [effect for effect in record.effects.issues if effect.after is IssueState.DECIDED]
    added = [effect.annotation_id for effect in record.effects.labels if effect.before is None]
    label_id = status.issue.annotation_id or next(iter(added), None)
    history = [] if label_id is None else store.revisions(label_id)
    expected = decision.expected_revision
    known = status.issue.annotation_id is not None and expected is not None and 0 <= expected < len(history)
    return IssueDecided(
        message,
        decision=decision,
        made=record.decision,
        alone=len(settled) <= 1,
        seen=history[expected].annotation if known and expected is not None else None,
        label=history[-1] if history else None,
        item=f"issue {status.issue.id}",
        hint="undo that decision to decide anew",
    )
