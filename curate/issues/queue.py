"""One ranked queue of issues: what a person should look at, best first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from curate.annotations import Issue, IssueType
from curate.geometry.boxes import box_iou
from curate.issues.calibrate import Calibrators
from curate.issues.explain import explain, facts
from curate.issues.inputs import FinderInputs
from curate.issues.proposals import candidate_proposal, frame_proposal, label_proposal
from curate.issues.ranking import KINDS, Ranking, rank
from curate.issues.scoring import Scored, score
from curate.issues.settings import FinderSettings
from curate.types import BoxTuple, FloatArray

__all__ = ["find_issues", "issue_id", "issue_looks", "rank_issues", "review_gain"]

_SAME_PLACE = 0.5
# Missing candidates on one place of a frame fall into one cell of this share of their size.
_CELL = 0.5


def find_issues(
    inputs: FinderInputs,
    classes: Sequence[str],
    settings: FinderSettings | None = None,
    *,
    calibrators: Calibrators | None = None,
    known: Iterable[Issue] = (),
) -> list[Issue]:
    """Everything worth a look, best first.

    Args:
        inputs: Tables and evidence.
        classes: Class names, in the order of the indices.
        settings: How the queue is made; None = defaults.
        calibrators: What was learned; None = the documented priors.
        known: Issues of earlier scans in any state. A missing object found again at the place of an earlier
            issue keeps that issue's id, so that what was decided does not come back.

    Returns:
        Issues sorted by severity. A label has at most one; the issues of one group stand together.

    Raises:
        DataError: Tables and class list do not fit each other.
    """
    return rank_issues(score(inputs, classes, settings, calibrators), known=known)


def rank_issues(scored: Scored, *, known: Iterable[Issue] = (), limit: int | None = None) -> list[Issue]:
    """The queue of scored labels, candidates and frames; see `find_issues`.

    Args:
        scored: From `score`, or from `score_evidence` after new decisions.
        known: Issues of earlier scans.
        limit: Write out only so many issues, the best: ranking 100,000 labels takes a fraction of a second,
            describing them all does not.
    """
    ranking = rank(scored)
    ranking = ranking if limit is None else ranking.where(np.arange(len(ranking)) < limit)
    names = _group_names(scored, ranking)
    earlier = _by_frame(known)
    used: set[str] = set()
    columns = (getattr(ranking, name) for name in ("kinds", "rows", "probabilities", "severities", "sizes"))
    issues = []
    for number, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        kind, row, probability, severity, size = values
        finding = _Finding(KINDS[kind], row, probability, severity, size, names.get(number))
        if finding.kind is IssueType.MISSING:
            issues.append(_missing_issue(scored, finding, earlier, used))
        elif finding.kind is IssueType.BAD_FRAME:
            issues.append(_frame_issue(scored, finding))
        else:
            issues.append(_label_issue(scored, finding))
    return issues


class _Finding(NamedTuple):
    kind: IssueType
    row: int
    probability: float
    severity: float
    size: int
    group_id: str | None


def issue_id(kind: IssueType, frame_id: str, what: str) -> str:
    """32 hex digits that stay the same as long as type, frame and label (with revision) or place do."""
    return hashlib.sha256(f"{kind.value}|{frame_id}|{what}".encode()).hexdigest()[:32]


def _box(values: FloatArray) -> BoxTuple:
    x1, y1, x2, y2 = (float(value) for value in values)
    return (x1, y1, x2, y2)


def _group_names(scored: Scored, ranking: Ranking) -> dict[int, str]:
    """Position in the ranking -> name of its group, for those that have one.

    The name comes from type, class and the group's middle box, so that it stays from scan to scan.
    """
    evidence = scored.evidence
    members: dict[tuple[int, int], list[int]] = {}
    for position in np.flatnonzero(ranking.groups >= 0).tolist():
        key = (int(ranking.kinds[position]), int(ranking.groups[position]))
        members.setdefault(key, []).append(position)
    names: dict[int, str] = {}
    taken: set[str] = set()
    for (kind, _), positions in members.items():
        missing = KINDS[kind] is IssueType.MISSING
        table = evidence.candidates if missing else evidence.inputs.labels
        rows = ranking.rows[positions]
        place = np.round(np.median(np.asarray(table.boxes, float)[rows], axis=0) / 4).astype(int).tolist()
        what, again = f"{int(table.classes[rows[0]])}|{place}", 1
        name = issue_id(KINDS[kind], "group", what)
        while name in taken:
            name, again = issue_id(KINDS[kind], "group", f"{what}+{again}"), again + 1
        taken.add(name)
        names.update(dict.fromkeys(positions, name))
    return names


def _label_issue(scored: Scored, finding: _Finding) -> Issue:
    evidence, row = scored.evidence, finding.row
    labels = evidence.inputs.labels
    numbers = facts(scored, finding.kind, row)
    proposal = label_proposal(finding.kind, row, evidence)
    label = evidence.context.classes[int(labels.classes[row])]
    frame = evidence.inputs.frames.ids[int(labels.frames[row])]
    return Issue(
        id=issue_id(finding.kind, frame, f"{labels.ids[row]}@{int(labels.revisions[row])}"),
        type=finding.kind,
        frame_id=frame,
        annotation_id=labels.ids[row],
        bbox_xyxy=_box(labels.boxes[row]),
        label=label,
        severity=finding.severity,
        probability=finding.probability,
        explanation=explain(finding.kind, label, numbers, other=proposal.label or ""),
        evidence=numbers,
        proposal=proposal,
        group_id=finding.group_id,
    )


def _missing_issue(
    scored: Scored, finding: _Finding, earlier: Mapping[str, list[Issue]], used: set[str]
) -> Issue:
    evidence, row = scored.evidence, finding.row
    candidates = evidence.candidates
    box, frame = _box(candidates.boxes[row]), evidence.inputs.frames.ids[int(candidates.frames[row])]
    name = _earlier_id(earlier.get(frame, []), box, used) or _fresh_id(frame, box, used)
    used.add(name)
    label = evidence.context.classes[int(candidates.classes[row])]
    numbers = facts(scored, IssueType.MISSING, row)
    return Issue(
        id=name,
        type=IssueType.MISSING,
        frame_id=frame,
        annotation_id=None,
        bbox_xyxy=box,
        label=label,
        severity=finding.severity,
        probability=finding.probability,
        explanation=explain(IssueType.MISSING, label, numbers),
        evidence=numbers,
        proposal=candidate_proposal(row, evidence),
        group_id=finding.group_id,
    )


def _by_frame(known: Iterable[Issue]) -> dict[str, list[Issue]]:
    result: dict[str, list[Issue]] = {}
    for issue in known:
        if issue.type is IssueType.MISSING and issue.bbox_xyxy is not None:
            result.setdefault(issue.frame_id, []).append(issue)
    return result


def _earlier_id(earlier: Sequence[Issue], box: BoxTuple, used: set[str]) -> str | None:
    free = [issue for issue in earlier if issue.id not in used]
    if not free:
        return None
    overlap = box_iou(np.array(box), np.array([issue.bbox_xyxy for issue in free], float))[0]
    best = int(overlap.argmax())
    return free[best].id if overlap[best] >= _SAME_PLACE else None


def _fresh_id(frame: str, box: BoxTuple, used: set[str]) -> str:
    x1, y1, x2, y2 = box
    wide, high = max(4.0, (x2 - x1) * _CELL), max(4.0, (y2 - y1) * _CELL)
    place = f"{round((x1 + x2) / 2 / wide)},{round((y1 + y2) / 2 / high)}"
    name, again = issue_id(IssueType.MISSING, frame, place), 1
    while name in used:
        name, again = issue_id(IssueType.MISSING, frame, f"{place}+{again}"), again + 1
    return name


def _frame_issue(scored: Scored, finding: _Finding) -> Issue:
    frames = scored.evidence.inputs.frames
    numbers = facts(scored, IssueType.BAD_FRAME, finding.row)
    words = frames.health.verdicts
    said = ", ".join(words[finding.row]) if words is not None else ""
    return Issue(
        id=issue_id(IssueType.BAD_FRAME, frames.ids[finding.row], "frame"),
        type=IssueType.BAD_FRAME,
        frame_id=frames.ids[finding.row],
        annotation_id=None,
        bbox_xyxy=None,
        label=None,
        severity=finding.severity,
        probability=finding.probability,
        explanation=explain(IssueType.BAD_FRAME, "", numbers, other=said),
        evidence=numbers,
        proposal=frame_proposal(),
    )


def issue_looks(issues: Sequence[Issue]) -> list[list[Issue]]:
    """The queue as looks: a group is one, in the place of its first member."""
    looks: list[list[Issue]] = []
    at: dict[str, int] = {}
    for issue in issues:
        if issue.group_id is None:
            looks.append([issue])
        elif issue.group_id in at:
            looks[at[issue.group_id]].append(issue)
        else:
            at[issue.group_id] = len(looks)
            looks.append([issue])
    return looks


def review_gain(issues: Sequence[Issue]) -> FloatArray:
    """(K,) errors expected to be settled after each of the K looks, cumulative.

    Every look costs the same; one at a group settles all its members if the group is an error.
    """
    gain = [sum(issue.probability for issue in look) for look in issue_looks(issues)]
    return np.cumsum(np.asarray(gain, float))
