"""A project whose queue waits to be put into a new order: the whole of `curate rerank`, database included."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from curate.annotations import Decision, DecisionKind, Issue, IssueType, Proposal, ProposalKind
from curate.bench.store_fill import LABELS_A_FRAME, fill, frame_digest
from curate.issues import SPECS, prior_calibrators
from curate.review import decide
from curate.workflows.project import Project
from curate.workflows.rerank import keep_practised, rerank

__all__ = ["reranked_queue"]

_KINDS = (IssueType.SPURIOUS, IssueType.BAD_LOCATION, IssueType.WRONG_CLASS, IssueType.INACCURATE_MASK)
_EVERY = 3
_DECISIONS = 200


def reranked_queue(labels: int, folder: Path) -> Callable[[], int]:
    """A scanned project in `folder` with so many labels and a batch of decisions, and the call that learns from them.

    Args:
        labels: Every third has an issue, as after a scan of the sample; its evidence is random: all ranks change.
        folder: Empty.
    """
    project = Project.create(folder / "site", ["person", "car"])
    frames = -(-labels // LABELS_A_FRAME)
    fill(project.state_dir / "crossguard.db", 0, frames, math.inf)
    project.store.upsert_issues(_issues(labels))
    keep_practised(project, prior_calibrators())
    for number, issue in enumerate(project.store.issues(limit=_DECISIONS).issues):
        kind = DecisionKind.KEEP if number % 3 else DecisionKind.DELETE_LABEL
        decide(project.store, Decision(uuid.uuid4().hex, kind, "bench", issue_id=issue.id))
    return lambda: rerank(project)


def _issues(labels: int) -> Iterator[Issue]:
    rng = np.random.default_rng(0)
    for number in range(0, labels, _EVERY):
        kind = _KINDS[number // _EVERY % len(_KINDS)]
        probability = float(rng.uniform(0.05, 1))
        yield Issue(
            id=hashlib.sha256(f"issue {number}".encode()).hexdigest()[:32],
            type=kind,
            frame_id=frame_digest(number // LABELS_A_FRAME)[:32],
            annotation_id=f"cheap:{number + 1}",
            bbox_xyxy=(10.0, 10.0, 50.5, 100.25),
            label="person",
            severity=0.9 * probability,
            probability=probability,
            explanation="The detectors of the other folds see nothing here (0.03).",
            evidence=dict(zip(SPECS[kind].names, rng.random(len(SPECS[kind].names)).tolist(), strict=True)),
            proposal=Proposal(ProposalKind.DELETE_LABEL),
        )
