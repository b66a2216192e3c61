"""Review: decisions as one transaction each, undo, files of decisions, progress."""

from curate.review.agreement import (
    NOTHING,
    Agreement,
    ReviewerStats,
    agreement,
    agreement_by_pair,
    give_opinion,
    reviewer_stats,
    second_queue,
)
from curate.review.claims import claim_issues, release_issues
from curate.review.conflict import IssueDecided, IssueHeld, LabelChanged
from curate.review.decide import DecisionOutcome, decide, redo_last, undo_last
from curate.review.files import ApplyReport, FailedLine, apply_decisions, export_decisions
from curate.review.progress import ReviewProgress, TypeProgress, expected_errors, review_progress

__all__ = [
    "NOTHING",
    "Agreement",
    "ApplyReport",
    "DecisionOutcome",
    "FailedLine",
    "IssueDecided",
    "IssueHeld",
    "LabelChanged",
    "ReviewProgress",
    "ReviewerStats",
    "TypeProgress",
    "agreement",
    "agreement_by_pair",
    "apply_decisions",
    "claim_issues",
    "decide",
    "expected_errors",
    "export_decisions",
    "give_opinion",
    "redo_last",
    "release_issues",
    "review_progress",
    "reviewer_stats",
    "second_queue",
    "undo_last",
]
