"""How the review goes: what was decided, how right the queue was, what is left."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from curate.annotations import DecisionKind, IssueState, IssueType
from curate.store import Store

__all__ = ["ReviewProgress", "TypeProgress", "expected_errors", "pace", "review_progress"]

_PACE_DECISIONS = 200
_PAUSE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class TypeProgress:
    """One issue type.

    Attributes:
        type: Which.
        open: Issues that wait.
        skipped: Issues put off.
        corrected: Issues decided in any way but keep: errors that the queue found.
        kept: Issues decided by keep: false alarms.
        obsolete: Issues that no longer stand.
        precision: corrected / (corrected + kept); None before the first.
        expected: Errors expected among the open ones: the sum of their probabilities.
    """

    type: IssueType
    open: int
    skipped: int
    corrected: int
    kept: int
    obsolete: int
    precision: float | None
    expected: float


@dataclass(frozen=True, slots=True)
class ReviewProgress:
    """The whole queue; see `TypeProgress`.

    Attributes:
        types: One entry for each type that ever occurred, by name.
        open: Sum over the types, as the next five.
        skipped: Put off.
        corrected: Errors found.
        kept: False alarms.
        precision: corrected / (corrected + kept); None before the first.
        expected: Errors expected among the open issues.
        seconds_per_decision: Mean time between the last decisions, pauses of over two minutes left out; None
            before the second. A mean, because a fast hand's decisions arrive several at a time.
    """

    types: tuple[TypeProgress, ...]
    open: int
    skipped: int
    corrected: int
    kept: int
    precision: float | None
    expected: float
    seconds_per_decision: float | None


def review_progress(store: Store, reviewer: str | None = None) -> ReviewProgress:
    """Where the review stands.

    Args:
        store: The store.
        reviewer: Whose pace to measure; None for all together. Everything else is about the whole queue.
    """
    counts = {(count.type, count.state): count for count in store.issue_counts()}
    kept: dict[IssueType, int] = {}
    corrected: dict[IssueType, int] = {}
    for tally in store.decision_tallies():
        side = kept if tally.kind is DecisionKind.KEEP else corrected
        side[tally.type] = side.get(tally.type, 0) + tally.count

    def number(kind: IssueType, state: IssueState) -> int:
        return counts[kind, state].count if (kind, state) in counts else 0

    types = []
    for kind in sorted({kind for kind, _ in counts}):
        right, wrong = corrected.get(kind, 0), kept.get(kind, 0)
        waiting = counts.get((kind, IssueState.OPEN))
        types.append(
            TypeProgress(
                kind,
                open=number(kind, IssueState.OPEN),
                skipped=number(kind, IssueState.SKIPPED),
                corrected=right,
                kept=wrong,
                obsolete=number(kind, IssueState.OBSOLETE),
                precision=_share(right, wrong),
                expected=waiting.expected if waiting else 0.0,
            )
        )
    right, wrong = sum(corrected.values()), sum(kept.values())
    return ReviewProgress(
        tuple(types),
        open=sum(entry.open for entry in types),
        skipped=sum(entry.skipped for entry in types),
        corrected=right,
        kept=wrong,
        precision=_share(right, wrong),
        expected=sum(entry.expected for entry in types),
        seconds_per_decision=pace(store, reviewer),
    )


def expected_errors(store: Store, limit: int = 50) -> float:
    """How many errors the next `limit` open issues of the queue are expected to hold."""
    return sum(issue.probability for issue in store.issues(limit=limit).issues)


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None


def pace(store: Store, reviewer: str | None) -> float | None:
    """Mean seconds between the last decisions of somebody, or of all; pauses left out; None before the second."""
    times = sorted(store.decision_times(_PACE_DECISIONS, reviewer))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    working = [gap for gap in gaps if gap <= _PAUSE_SECONDS]
    return fmean(working) if working else None
