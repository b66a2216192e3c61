"""The queue learns between scans: decisions move the classifiers, and what waits is put into a new order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from curate.annotations import IssueType
from curate.errors import DataError
from curate.issues import SPECS, Calibrators, FinderSettings, decision_rows, learn_decisions
from curate.issues.ranking import severity_of
from curate.splits import time_blocks
from curate.store import Role, WaitingIssue
from curate.types import FloatArray
from curate.workflows.decided import decided_issues
from curate.workflows.files import read_json, write_json
from curate.workflows.picked import PICKED, is_picked
from curate.workflows.project import Project

__all__ = ["keep_practised", "rerank"]

_FILE = "practised.json"
# Probabilities that change by less are left alone: nobody would see it.
_NOTICEABLE = 0.005


def keep_practised(project: Project, practised: Calibrators) -> None:
    """Keep the classifiers as they are before any decision, for `rerank`."""
    write_json(project.cache_dir / _FILE, practised.to_dict())


def rerank(project: Project) -> int:
    """Learn from all decisions so far and give the issues that wait their new probability and rank.

    Nothing is looked at again: issues carry the evidence that raised them. What a reviewer has decided stays decided,
    what was skipped stays skipped, issues that a person picked by hand stay as they are.

    Args:
        project: A scanned project.

    Returns:
        How many issues changed their probability noticeably.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        DataError: There was no scan yet.
    """
    project.expect_role(Role.REVIEWER)
    kept = project.cache_dir / _FILE
    if not kept.exists():
        raise DataError("there is no queue to put in order", file=kept, hint="run `curate scan` first")
    practised = Calibrators.from_dict(read_json(kept))
    waiting = project.store.waiting_issues()
    evidence = _evidence(waiting)
    decided = [entry for entry in decided_issues(project) if not is_picked(entry[0])]
    frames = project.store.frames(ids=sorted({issue.frame_id for issue, _ in decided}))
    blocks = (
        time_blocks(
            np.array([frame.captured_at for frame in frames], float),
            [frame.clip for frame in frames],
            project.config.split.block_seconds,
        )
        if frames
        else np.zeros(0, np.int64)
    )
    block_of = {frame.id: int(block) for frame, block in zip(frames, blocks, strict=True)}
    learned = learn_decisions(
        practised, decision_rows(decided, block_of), {kind: values for kind, (_, values) in evidence.items()}
    )
    write_json(project.cache_dir / "calibration.json", learned.to_dict())
    ranks = _ranks(waiting, _pooled(waiting, _probabilities(learned, evidence, len(waiting))))
    # What was decided, or fell away, while this was worked out stays so; what came meanwhile stays where it is.
    return project.store.rank_issues(ranks) if ranks else 0


def _evidence(issues: Sequence[WaitingIssue]) -> dict[IssueType, tuple[list[int], FloatArray]]:
    """Per type the positions of its issues and their evidence (N, K); picked issues left out."""
    rows: dict[IssueType, list[int]] = defaultdict(list)
    for at, issue in enumerate(issues):
        if PICKED not in issue.evidence:
            rows[issue.type].append(at)
    return {
        kind: (found, _matrix(SPECS[kind].names, [issues[at] for at in found]))
        for kind, found in rows.items()
    }


def _matrix(names: Sequence[str], issues: Sequence[WaitingIssue]) -> FloatArray:
    return np.array([[issue.evidence.get(name, np.nan) for name in names] for issue in issues])


def _probabilities(
    learned: Calibrators, evidence: Mapping[IssueType, tuple[list[int], FloatArray]], count: int
) -> FloatArray:
    """(count,) new probabilities, NaN for issues that nothing is known about."""
    result = np.full(count, np.nan)
    for kind, (found, values) in evidence.items():
        result[found] = learned.probabilities(kind, values)
    return result


def _pooled(waiting: Sequence[WaitingIssue], probabilities: FloatArray) -> FloatArray:
    """The members of a group share the mean of their log-odds, as in the scan."""
    groups: dict[str, list[int]] = defaultdict(list)
    for at, issue in enumerate(waiting):
        if issue.group_id is not None:
            groups[issue.group_id].append(at)
    result = probabilities.copy()
    for members in groups.values():
        clipped = np.clip(probabilities[members], 1e-6, 1 - 1e-6)
        result[members] = 1 / (1 + np.exp(-np.mean(np.log(clipped / (1 - clipped)))))
    return result


def _ranks(waiting: Sequence[WaitingIssue], probabilities: FloatArray) -> dict[str, tuple[float, float]]:
    """Issue id -> new probability and severity, of those that changed noticeably."""
    before = np.array([issue.probability for issue in waiting])
    rows = np.flatnonzero(np.isfinite(probabilities) & (np.abs(probabilities - before) >= _NOTICEABLE))
    together = Counter(issue.group_id for issue in waiting if issue.group_id is not None)
    some = [waiting[row] for row in rows.tolist()]
    sizes = np.array([1 if issue.group_id is None else together[issue.group_id] for issue in some], np.int64)
    costs = FinderSettings().costs
    cost = np.array([costs.get(issue.type, 1.0) for issue in some])
    was, now = (severity_of(values[rows] * cost, sizes) for values in (before, probabilities))
    # What the label's other possible errors had added to its severity stays.
    rest = np.minimum((1 - np.array([issue.severity for issue in some])) / np.maximum(1 - was, 1e-9), 1.0)
    severities = 1 - (1 - now) * rest
    pairs = zip(probabilities[rows].tolist(), severities.tolist(), strict=True)
    return {issue.id: pair for issue, pair in zip(some, pairs, strict=True)}
