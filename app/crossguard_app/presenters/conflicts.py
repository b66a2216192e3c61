"""What the editor needs to show two versions side by side: theirs, and what the reviewer saw when making their own."""

from __future__ import annotations

from typing import Any

from crossguard_app.presenters.shapes import label_values
from crossguard_app.presenters.wording import VERDICTS
from curate.errors import ConflictError
from curate.review import IssueDecided, IssueHeld, LabelChanged
from curate.store import Revision

__all__ = ["conflict_values"]


def conflict_values(error: ConflictError) -> dict[str, Any] | None:
    """Both versions as plain values; None where there is nothing to choose between.

    The reviewer's own version is not among them: the browser has the operations that make it out of `seen`.

    Returns:
        {"kind", "by", "at", "words", "label_id", "seen", "theirs", "revision"}, for a decided issue also
        {"undoes"}: the decision that has to be taken back first, where that concerns nothing else. `theirs` is None
        where there is no label (any more). For a kind "held" there are "by" and "at", the end of the hold.
    """
    if isinstance(error, IssueHeld):
        return {"kind": "held", "by": error.by, "at": error.until}
    if isinstance(error, LabelChanged):
        return _versions(error.theirs) | {
            "kind": "label",
            "by": error.theirs.actor,
            "at": error.theirs.created_at,
            "words": "label deleted" if error.theirs.deleted else "label changed",
            "seen": None if error.seen is None else label_values(error.seen),
        }
    if isinstance(error, IssueDecided):
        return _versions(error.label) | {
            "kind": "issue",
            "by": error.made.reviewer,
            "at": error.made.created_at,
            "words": VERDICTS[error.made.kind],
            "verdict": error.made.kind.value,
            "undoes": error.made.id if error.alone else None,
            "seen": None if error.seen is None else label_values(error.seen),
        }
    return None


def _versions(theirs: Revision | None) -> dict[str, Any]:
    if theirs is None:
        return {"label_id": None, "theirs": None, "revision": None}
    return {
        "label_id": theirs.annotation.id,
        "theirs": None if theirs.deleted else label_values(theirs.annotation),
        "revision": theirs.annotation.revision,
    }
