"""P(error) of every type for every label, candidate and frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueType
from curate.issues.calibrate import Calibrators, prior_calibrators
from curate.issues.candidates import Candidates
from curate.issues.context import Context, build_context
from curate.issues.features import Features, build_features
from curate.issues.inputs import FinderInputs
from curate.issues.settings import FinderSettings
from curate.types import FloatArray

__all__ = ["Evidenced", "Scored", "gather", "score", "score_evidence"]


@dataclass(frozen=True)
class Evidenced:
    """Everything computed before a probability: it stays the same when only the calibrators change.

    Attributes:
        inputs: What was read.
        context: What labels and detections say about each other.
        candidates: The pool for `missing`.
        features: Evidence per type.
    """

    inputs: FinderInputs
    context: Context
    candidates: Candidates
    features: Mapping[IssueType, Features]


@dataclass(frozen=True)
class Scored:
    """Probabilities with everything behind them.

    Attributes:
        evidence: What they were computed from.
        probabilities: Per type (N,) P(error) of each label (`missing`: candidate, `bad_frame`: frame); 0 where
            the type does not apply to the row.
        notes: Per type how its probabilities came about, or why the type does not apply.
    """

    evidence: Evidenced
    probabilities: Mapping[IssueType, FloatArray]
    notes: Mapping[IssueType, str]


def gather(inputs: FinderInputs, classes: Sequence[str], settings: FinderSettings | None = None) -> Evidenced:
    """Match, link, place and compare everything: the part that takes time.

    Raises:
        DataError: Tables and class list do not fit each other.
    """
    context = build_context(inputs, classes, settings or FinderSettings())
    features, candidates = build_features(inputs, context)
    return Evidenced(inputs, context, candidates, features)


def score_evidence(evidence: Evidenced, calibrators: Calibrators | None = None) -> Scored:
    """Probabilities from gathered evidence: fast, so that every batch of decisions can re-rank the queue.

    Args:
        evidence: From `gather`.
        calibrators: What was learned; None = the documented priors.
    """
    calibrators = calibrators or prior_calibrators()
    probabilities, notes = {}, {}
    for kind, table in evidence.features.items():
        probability = calibrators.probabilities(kind, table.values)
        probabilities[kind] = np.where(table.applies, probability, 0.0)
        notes[kind] = f"does not apply: {table.reason}" if table.reason else calibrators.model(kind).reason
    return Scored(evidence, probabilities, notes)


def score(
    inputs: FinderInputs,
    classes: Sequence[str],
    settings: FinderSettings | None = None,
    calibrators: Calibrators | None = None,
) -> Scored:
    """`gather` and `score_evidence` in one."""
    return score_evidence(gather(inputs, classes, settings), calibrators)
