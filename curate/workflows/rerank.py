"""The queue learns between scans: decisions move the classifiers, and what waits is put into a new order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from curate.annotations import Issue, IssueState, IssueType
from curate.errors import DataError
from curate.issues import SPECS, Calibrators, FinderSettings, decision_rows, learn_decisions
from curate.issues.ranking import severity_of
from curate.splits import time_blocks
from curate.store import IssueStatus, Role
from curate.types import FloatArray
from curate.workflows.decided import decided_issues
from curate.workflows.files import read_json, write_json
from curate.workflows.picked import is_picked
from curate.workflows.project import Project

__all__ = ["keep_practised", "rerank"]

_FILE = "practised.json"
_WAITING = (IssueState.OPEN, IssueState.SKIPPED)
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
    waiting = project.store.issue_statuses(states=_WAITING)
    evidence = _evidence([status.issue for status in waiting])
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
    probabilities = _pooled(waiting, _probabilities(learned, evidence, len(waiting)))
    return _store(project, waiting, probabilities)


def _evidence(issues: Sequence[Issue]) -> dict[IssueType, tuple[list[int], FloatArray]]:
    """Per type the positions of its issues and their evidence (N, K); picked issues left out."""
    rows: dict[IssueType, list[int]] = defaultdict(list)
    for at, issue in enumerate(issues):
        if not is_picked(issue):
            rows[issue.type].append(at)
    return {
        kind: (
            found,
            np.array([[issues[at].evidence.get(name, np.nan) for name in SPECS[kind].names] for at in found]),
        )
        for kind, found in rows.items()
    }


def _probabilities(
    learned: Calibrators, evidence: Mapping[IssueType, tuple[list[int], FloatArray]], count: int
) -> FloatArray:
    """(count,) new probabilities, NaN for issues that nothing is known about."""
    result = np.full(count, np.nan)
    for kind, (found, values) in evidence.items():
        result[found] = learned.probabilities(kind, values)
    return result


def _pooled(waiting: Sequence[IssueStatus], probabilities: FloatArray) -> FloatArray:
    """The members of a group share the mean of their log-odds, as in the scan."""
    groups: dict[str, list[int]] = defaultdict(list)
    for at, status in enumerate(waiting):
        if status.issue.group_id is not None:
            groups[status.issue.group_id].append(at)
    result = probabilities.copy()
    for members in groups.values():
        clipped = np.clip(probabilities[members], 1e-6, 1 - 1e-6)
        result[members] = 1 / (1 + np.exp(-np.mean(np.log(clipped / (1 - clipped)))))
    return result


def _store(project: Project, waiting: Sequence[IssueStatus], probabilities: FloatArray) -> int:
    """Write the waiting issues back; none of them is dropped, and those decided meanwhile stay decided."""
    costs = FinderSettings().costs
    sizes = Counter(status.issue.group_id for status in waiting if status.issue.group_id is not None)
    changed, issues = 0, []
    for status, probability in zip(waiting, probabilities.tolist(), strict=True):
        issue = status.issue
        if np.isfinite(probability) and abs(probability - issue.probability) >= _NOTICEABLE:
            size = np.array([1 if issue.group_id is None else sizes[issue.group_id]])
            cost = costs.get(issue.type, 1.0)
            before, now = severity_of(
                np.array([issue.probability, probability]) * cost, np.repeat(size, 2)
            ).tolist()
            # What the label's other possible errors had added to its severity stays.
            rest = min((1 - issue.severity) / max(1 - before, 1e-9), 1.0)
            issue = replace(issue, probability=probability, severity=1 - (1 - now) * rest)
            changed += 1
        issues.append(issue)
    seen = {
        status.issue.annotation_id: status.annotation_revision
        for status in waiting
        if status.issue.annotation_id is not None and status.annotation_revision is not None
    }
    if changed:
        # What was decided, or fell away, while this was worked out stays so; what came meanwhile stays where it is.
        with project.store.begin():
            still = {status.issue.id for status in project.store.issue_statuses(states=_WAITING)}
            project.store.upsert_issues([issue for issue in issues if issue.id in still], seen, whole=False)
    return changed
