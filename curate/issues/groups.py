"""One standing object, one decision: labels and candidates of the same fixture share a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueType
from curate.issues.inputs import PlaceEvidence
from curate.issues.scoring import Scored
from curate.issues.spec import SPECS
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["Groups", "candidate_groups", "label_groups", "pool_probabilities"]

# Median IoU of a place's boxes with its middle box: people who walk through leave about 0.6.
_STILL = 0.7
_VERY_STILL = 0.8
_EMPTY = 0.5
_LIKELY = 0.5


@dataclass(frozen=True)
class Groups:
    """Which rows stand and fall together.

    Attributes:
        ids: (N,) number of the group, -1 for a row alone.
        sizes: (N,) rows in the group, 1 for a row alone.
    """

    ids: IntArray
    sizes: IntArray


def label_groups(scored: Scored) -> Groups:
    """Labels of one class that stand on one place in the same way, frame after frame.

    A label belongs to its place's group only if its own box looks like the empty scene too: somebody who walks
    past the tripod is not decided together with it. Where the foreground is unknown, or the class may stand
    still, the boxes must agree more closely.
    """
    evidence = scored.evidence
    names = SPECS[IssueType.SPURIOUS].names
    low = evidence.features[IssueType.SPURIOUS].values[:, names.index("low_foreground")]
    member = _fixture(evidence.context.places, low) & evidence.inputs.labels.judged
    return _number(evidence.context.places.ids, member, evidence.context.settings.group_size)


def candidate_groups(scored: Scored) -> Groups:
    """The same for candidates of a missing label: a parked car that is not labelled on 80 frames.

    Those that are more likely an error than not and those that are not make a group each: where somebody stands on
    one frame, and nobody on forty others, the forty say nothing about the one.
    """
    evidence = scored.evidence
    names = SPECS[IssueType.MISSING].names
    low = 1 - evidence.features[IssueType.MISSING].values[:, names.index("foreground")]
    places = evidence.candidates.places
    likely = np.asarray(scored.probabilities[IssueType.MISSING]) >= _LIKELY
    ids = 2 * np.asarray(places.ids) + likely
    return _number(ids, _fixture(places, low), evidence.context.settings.group_size)


def _fixture(places: PlaceEvidence, low_foreground: FloatArray) -> BoolArray:
    known = np.isfinite(low_foreground)
    empty = np.where(known, low_foreground, 0.0) >= _EMPTY
    stillness = np.asarray(places.stillness, float)
    still = np.where(known, (stillness >= _STILL) & empty, stillness >= _VERY_STILL)
    return np.asarray(still & (np.asarray(places.ids) >= 0))


def _number(places: IntArray, member: BoolArray, least: int) -> Groups:
    ids, sizes = np.full(len(places), -1, np.int64), np.ones(len(places), np.int64)
    rows = np.flatnonzero(member)
    if len(rows):
        _, at, count = np.unique(np.asarray(places)[rows], return_inverse=True, return_counts=True)
        enough = count[at.ravel()] >= least
        ids[rows[enough]] = at.ravel()[enough]
        sizes[rows[enough]] = count[at.ravel()][enough]
    return Groups(ids, sizes)


def pool_probabilities(probabilities: FloatArray, groups: Groups) -> FloatArray:
    """(N,) probabilities in which each group has one: the mean of its members' log-odds.

    What one frame leaves open, the other frames of the same fixture may tell.
    """
    rows = np.flatnonzero(groups.ids >= 0)
    result = np.array(probabilities, float)
    if len(rows):
        clipped = np.clip(result[rows], 1e-6, 1 - 1e-6)
        logits = np.log(clipped / (1 - clipped))
        total = np.bincount(groups.ids[rows], logits)
        mean = total[groups.ids[rows]] / groups.sizes[rows]
        result[rows] = 1 / (1 + np.exp(-mean))
    return result
