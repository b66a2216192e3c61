"""Somebody changed this: the conflict with both versions in it."""

from __future__ import annotations

from typing import Any

from curate.annotations import Annotation, Decision
from curate.errors import ConflictError
from curate.store import Revision
from curate.store.serialize import annotation_to_dict, decision_to_dict

__all__ = ["LabelChanged"]


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
