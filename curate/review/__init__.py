"""Review: decisions as one transaction each, undo, files of decisions, progress."""

from curate.review.decide import DecisionOutcome, decide, redo_last, undo_last
from curate.review.files import ApplyReport, FailedLine, apply_decisions, export_decisions
from curate.review.progress import ReviewProgress, TypeProgress, expected_errors, review_progress

__all__ = [
    "ApplyReport",
    "DecisionOutcome",
    "FailedLine",
    "ReviewProgress",
    "TypeProgress",
    "apply_decisions",
    "decide",
    "expected_errors",
    "export_decisions",
    "redo_last",
    "review_progress",
    "undo_last",
]
