"""How far reviewers agree on a share of the issues that two of them judge, and what each of them did."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import Decision, DecisionKind, Issue, IssueState, IssueType, replace
from curate.errors import ConflictError, DataError
from curate.geometry.boxes import box_iou
from curate.review.progress import pace
from curate.store import DoubleJudgement, Opinion, Role, Store
from curate.types import BoxTuple

__all__ = [
    "NOTHING",
    "Agreement",
    "ReviewerStats",
    "agreement",
    "agreement_by_pair",
    "give_opinion",
    "reviewer_stats",
    "second_queue",
]

NOTHING = "nothing"
"""What stands where somebody deletes a label, leaves the frame out, or finds nothing missing."""
_PAGE = 1000
_NO_VERDICT = (DecisionKind.SKIP, DecisionKind.UNDO, DecisionKind.ADD)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two verdicts on the same issues.

    Attributes:
        issues: Issues with a decision that stands and a second opinion.
        same_verdict: Share on which both said the same: keep, delete, relabel to the same class, ...
        same_side: Share on which both said "an error", or both "no error".
        kappa: Cohen's kappa of error against no error: 1 perfect, 0 no better than chance. None where both always
            said the same one thing, and before the first issue. (Cohen 1960, Educational and Psychological
            Measurement 20, 37-46.)
        classes: What stands there by the one and by the other, a class or `NOTHING`, and how often; the most
            frequent first. By pair, the one is the first of the pair.
        shapes: Issues after which both leave a box, and both boxes are known: an opinion "edit" says no shape.
        mean_iou: Mean overlap of these two boxes, 0..1. None without any.
    """

    issues: int
    same_verdict: float | None
    same_side: float | None
    kappa: float | None
    classes: tuple[tuple[str, str, int], ...] = ()
    shapes: int = 0
    mean_iou: float | None = None


@dataclass(frozen=True, slots=True)
class ReviewerStats:
    """What one reviewer did.

    Attributes:
        reviewer: Who.
        decisions: Decisions that stand, undos not counted.
        kept: Of them keep: false alarms of the queue.
        corrected: Of them corrections.
        skipped: Of them put off.
        undone: Decisions that were taken back.
        opinions: Second opinions given.
        agreement: With others, on issues that both judged; as `Agreement.same_side`. None without any.
        seconds_per_decision: See `curate.review.progress.pace`.
        first: Unix time of the first decision.
        last: Of the last one.
    """

    reviewer: str
    decisions: int
    kept: int
    corrected: int
    skipped: int
    undone: int
    opinions: int
    agreement: float | None
    seconds_per_decision: float | None
    first: float | None
    last: float | None


def second_queue(store: Store, reviewer: str, *, share: float = 0.1, limit: int = 16) -> list[Issue]:
    """Decided issues that this reviewer should judge too, as if they were open.

    Which ones follows from the issue's id, so that all reviewers get the same share. Own decisions are left out, and
    what the reviewer gave an opinion on already.

    Args:
        store: The store.
        reviewer: Who will judge.
        share: Of the decided issues, 0..1.
        limit: At most so many.

    Raises:
        DataError: `share` is outside 0..1.
        AccessError: See `decide`.
    """
    if not 0 <= share <= 1:
        raise DataError(f"a share lies in 0..1, got {share}", item="share")
    store.expect_role(reviewer, Role.REVIEWER)
    done = {opinion.issue_id for opinion in store.opinions(reviewer)}
    found: list[Issue] = []
    after: str | None = None
    while len(found) < limit:
        page = store.issues((IssueState.DECIDED,), limit=_PAGE, after=after)
        drawn = [issue for issue in page.issues if _draw(issue.id) < share and issue.id not in done]
        by = store.deciders(issue.id for issue in drawn)
        found += [
            replace(issue, state=IssueState.OPEN) for issue in drawn if by.get(issue.id, reviewer) != reviewer
        ]
        after = page.next
        if after is None:
            break
    return found[:limit]


def give_opinion(
    store: Store, issue_id: str, reviewer: str, kind: DecisionKind, label: str | None = None
) -> Opinion:
    """Say what you would have decided. It changes nothing but the measure of agreement.

    Args:
        store: The store.
        issue_id: A decided issue, from `second_queue`.
        reviewer: Who.
        kind: Any verdict but skip, undo and add.
        label: The class, for relabel.

    Raises:
        ConflictError: The issue is not decided, or by this reviewer, or they gave an opinion already.
        DataError: Not a verdict on an issue.
        AccessError: See `decide`.
    """
    if kind in _NO_VERDICT or (kind is DecisionKind.RELABEL and not label):
        raise DataError(
            "an opinion is keep, apply, edit, delete_label, exclude_frame, or relabel with a class"
        )
    with store.begin():
        store.expect_role(reviewer, Role.REVIEWER)
        made = _first(store, issue_id)
        if made is None:
            raise ConflictError("the issue is not decided", item=f"issue {issue_id}")
        if made.reviewer == reviewer:
            raise ConflictError("this is your own decision", item=f"issue {issue_id}")
        return store.put_opinion(issue_id, reviewer, kind, label)


def agreement(store: Store, reviewer: str | None = None) -> Agreement:
    """Agreement on all issues judged twice, or on those that one reviewer judged, first or second."""
    return _agreement(store.double_judgements(), reviewer)


def agreement_by_pair(store: Store) -> dict[tuple[str, str], Agreement]:
    """Agreement of every two people who judged the same issues, whoever was first; by their names."""
    pairs: dict[tuple[str, str], list[DoubleJudgement]] = {}
    for both in store.double_judgements():
        one, other = sorted((both.first.reviewer, both.second.reviewer))
        pairs.setdefault((one, other), []).append(both)
    return {pair: _agreement(pairs[pair], None, pair[0]) for pair in sorted(pairs)}


def _agreement(judged: Sequence[DoubleJudgement], reviewer: str | None, one: str | None = None) -> Agreement:
    """Of those that `reviewer` judged, None for all; what `one` said stands first, None for what was decided."""
    outcomes = []
    for both in judged:
        if reviewer in (None, both.first.reviewer, both.second.reviewer):
            first = _decided(both.issue, both.first)
            second = _outcome(both.issue, both.second.kind, both.second.label)
            outcomes.append((second, first) if both.second.reviewer == one else (first, second))
    if not outcomes:
        return Agreement(0, None, None, None)
    verdicts = [(first.verdict, second.verdict) for first, second in outcomes]
    classes = Counter((first.label, second.label) for first, second in outcomes)
    overlaps = [
        float(box_iou(np.array([first.box]), np.array([second.box]))[0, 0])
        for first, second in outcomes
        if first.box is not None and second.box is not None
    ]
    sides = [(first == "keep", second == "keep") for first, second in verdicts]
    total = len(verdicts)
    observed = sum(a == b for a, b in sides) / total
    kept = [sum(side[at] for side in sides) / total for at in (0, 1)]
    chance = kept[0] * kept[1] + (1 - kept[0]) * (1 - kept[1])
    same = sum(a == b for a, b in verdicts) / total
    return Agreement(
        total,
        same,
        observed,
        None if chance == 1 else (observed - chance) / (1 - chance),
        tuple(
            (*pair, count) for pair, count in sorted(classes.items(), key=lambda item: (-item[1], item[0]))
        ),
        len(overlaps),
        sum(overlaps) / len(overlaps) if overlaps else None,
    )


def reviewer_stats(store: Store) -> list[ReviewerStats]:
    """What everybody did who decided anything or gave an opinion, by name."""
    tallies = store.reviewer_tallies()
    given = Counter(opinion.reviewer for opinion in store.opinions())
    judged = store.double_judgements()
    result = []
    for name in sorted({tally.reviewer for tally in tallies} | set(given)):
        mine = [tally for tally in tallies if tally.reviewer == name and tally.kind is not DecisionKind.UNDO]
        standing = {tally.kind: tally.count - tally.undone for tally in mine}
        kept = standing.get(DecisionKind.KEEP, 0)
        skipped = standing.get(DecisionKind.SKIP, 0)
        total = sum(standing.values())
        result.append(
            ReviewerStats(
                reviewer=name,
                decisions=total,
                kept=kept,
                corrected=total - kept - skipped,
                skipped=skipped,
                undone=sum(tally.undone for tally in mine),
                opinions=given[name],
                agreement=_agreement(judged, name).same_side,
                seconds_per_decision=pace(store, name),
                first=min((tally.first for tally in mine), default=None),
                last=max((tally.last for tally in mine), default=None),
            )
        )
    return result


def _draw(issue_id: str) -> float:
    """A number in [0, 1) that is always the same for one issue."""
    return int(hashlib.sha256(f"second {issue_id}".encode()).hexdigest()[:8], 16) / 2**32


def _first(store: Store, issue_id: str) -> Decision | None:
    """The decision that stands behind a decided issue."""
    status = store.issue_status(issue_id)
    if status.issue.state is not IssueState.DECIDED or status.decision_id is None:
        return None
    return store.decision(status.decision_id).decision


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A verdict in one word, and what stands at the place of the issue by it: class and box, as far as known."""

    verdict: str
    label: str
    box: BoxTuple | None


def _outcome(issue: Issue, kind: DecisionKind, label: str | None) -> _Outcome:
    """What a verdict means; to apply a proposal is to do what it says."""
    proposal = issue.proposal
    name, box = kind.value, issue.bbox_xyxy
    if kind is DecisionKind.APPLY:
        name, label = proposal.kind.value, proposal.label
        box = proposal.bbox_xyxy or box
    verdict = f"{name} {label}" if name == "relabel" else name
    missing = issue.type is IssueType.MISSING and name == "keep"
    if name in ("delete_label", "exclude_frame") or missing or box is None:
        return _Outcome(verdict, NOTHING, None)
    there = label if name in ("relabel", "add") and label else issue.label or NOTHING
    return _Outcome(verdict, there, None if kind is DecisionKind.EDIT else box)


def _decided(issue: Issue, decision: Decision) -> _Outcome:
    """The same for a decision, which also says what was drawn."""
    found = _outcome(issue, decision.kind, decision.label)
    if decision.kind in (DecisionKind.EDIT, DecisionKind.ADD) and decision.bbox_xyxy is not None:
        return replace(found, box=decision.bbox_xyxy)
    return found
