"""The order of the queue as arrays: which findings, how severe, decided together with which others."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from curate.annotations import IssueType
from curate.issues.groups import Groups, candidate_groups, label_groups, pool_probabilities
from curate.issues.scoring import Scored
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["KINDS", "Ranking", "rank", "severity_of"]

KINDS: tuple[IssueType, ...] = tuple(IssueType)
_LABEL_KINDS = tuple(kind for kind in KINDS if kind not in (IssueType.MISSING, IssueType.BAD_FRAME))
_SECOND = 0.5
_POOLED = (IssueType.SPURIOUS, IssueType.WRONG_CLASS)


@dataclass(frozen=True)
class Ranking:
    """Q findings, best first.

    Attributes:
        kinds: (Q,) index into `KINDS`.
        rows: (Q,) row of the label table; of the candidates for `missing`; of the frames for `bad_frame`.
        probabilities: (Q,) P(error), pooled over the group.
        severities: (Q,) 0..1, falling.
        groups: (Q,) number of the group (unique within the kind), -1 alone.
        sizes: (Q,) findings that one decision settles.
    """

    kinds: IntArray
    rows: IntArray
    probabilities: FloatArray
    severities: FloatArray
    groups: IntArray
    sizes: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, chosen: IntArray | BoolArray) -> Ranking:
        """Some of the findings, by position or mask."""
        return Ranking(
            self.kinds[chosen], self.rows[chosen], self.probabilities[chosen], self.severities[chosen],
            self.groups[chosen], self.sizes[chosen],
        )  # fmt: skip


def rank(scored: Scored) -> Ranking:
    """Choose each label's likeliest error, pool groups, and sort by severity.

    Severity is s = probability x cost for one finding, raised by half of what the label's second likeliest error
    adds, and 1 - (1 - s) ^ (1 + s log2(n) / 4) for a group of n:
    one look that settles 60 labels comes before one that settles one. The lift grows with s, so that a large
    group that is hardly an error does not push single errors back.
    """
    settings = scored.evidence.context.settings
    labels = _labels(scored)
    parts = [labels, _missing(scored, labels), _frames(scored)]
    joined = Ranking(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))
    joined = joined.where(joined.probabilities >= settings.min_probability)
    order = np.lexsort((joined.rows, -joined.probabilities, joined.groups, joined.kinds, -joined.severities))
    joined = joined.where(order)
    return joined.where(_position_within(joined.kinds) < settings.max_per_type)


_FIELDS = ("kinds", "rows", "probabilities", "severities", "groups", "sizes")


def _position_within(values: IntArray) -> IntArray:
    """(N,) how many equal values come before each."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.searchsorted(ordered, ordered, "left")
    position = np.empty(len(values), np.int64)
    position[order] = np.arange(len(values)) - first
    return position


def _make(
    scored: Scored,
    kinds: IntArray,
    rows: IntArray,
    probabilities: FloatArray,
    groups: IntArray,
    sizes: IntArray,
) -> Ranking:
    settings = scored.evidence.context.settings
    cost = np.array([settings.costs.get(kind, 1.0) for kind in KINDS])[kinds]
    return Ranking(kinds, rows, probabilities, severity_of(probabilities * cost, sizes), groups, sizes)


def severity_of(single: FloatArray, sizes: IntArray) -> FloatArray:
    """(N,) severity of findings of severity `single` each that one look settles together with `sizes` in all."""
    return np.asarray(1 - (1 - single) ** (1 + single * np.log2(np.maximum(sizes, 1)) / 4))


def _labels(scored: Scored) -> Ranking:
    evidence = scored.evidence
    rows = np.arange(len(evidence.inputs.labels))
    groups = label_groups(scored)
    table = [
        pool_probabilities(scored.probabilities[kind], groups)
        if kind in _POOLED
        else scored.probabilities[kind]
        for kind in _LABEL_KINDS
    ]
    # Type by type: the likeliest so far, and what comes second to it.
    best, first, second = np.zeros(len(rows), np.int64), np.full(len(rows), -1.0), np.full(len(rows), -1.0)
    for number, (kind, probabilities) in enumerate(zip(_LABEL_KINDS, table, strict=True)):
        weighted = probabilities * evidence.context.settings.costs.get(kind, 1.0)
        best[weighted > first] = number
        second = np.maximum(second, np.minimum(first, weighted))
        first = np.maximum(first, weighted)
    # A fixture that is more likely false than not is decided as a whole, whatever else its boxes suffer from.
    spurious = _LABEL_KINDS.index(IssueType.SPURIOUS)
    best[(groups.ids >= 0) & (table[spurious] >= 0.5)] = spurious
    kinds = np.array([KINDS.index(kind) for kind in _LABEL_KINDS])[best]
    pooled = np.isin(kinds, [KINDS.index(kind) for kind in _POOLED])
    ids = np.where(pooled, groups.ids, -1)
    sizes = _together(ids, kinds)
    ids = np.where(sizes > 1, ids, -1)
    ranking = _make(scored, kinds, rows, np.choose(best, table), ids, sizes)
    # A label that may be wrong in two ways is worth a look sooner; half, since the ways are not independent.
    # The members of a group stay together: they keep the severity of the group.
    raised = np.where(ids < 0, 1 - _SECOND * second, 1.0)
    severities = 1 - (1 - ranking.severities) * raised
    return replace(ranking, severities=severities).where(evidence.inputs.labels.judged)


def _together(ids: IntArray, kinds: IntArray) -> IntArray:
    """(N,) rows of the same group with the same finding; 1 for a row alone."""
    sizes = np.ones(len(ids), np.int64)
    rows = np.flatnonzero(ids >= 0)
    if len(rows):
        _, at, count = np.unique(
            ids[rows] * len(KINDS) + kinds[rows], return_inverse=True, return_counts=True
        )
        sizes[rows] = count[at.ravel()]
    return sizes


def _missing(scored: Scored, labels: Ranking) -> Ranking:
    candidates = scored.evidence.candidates
    groups = candidate_groups(scored)
    probabilities = pool_probabilities(scored.probabilities[IssueType.MISSING], groups)
    kinds = np.full(len(candidates), KINDS.index(IssueType.MISSING))
    ranking = _make(scored, kinds, np.arange(len(candidates)), probabilities, groups.ids, groups.sizes)
    return ranking.where(~_explained(scored, labels, probabilities))


def _explained(scored: Scored, labels: Ranking, probabilities: FloatArray) -> BoolArray:
    """(N,) True for a detection beside a badly placed label of its own: that is the label's issue already."""
    evidence = scored.evidence
    on_label = np.zeros(len(evidence.inputs.labels))
    on_label[labels.rows] = labels.probabilities
    detections = evidence.candidates.detections
    result = np.zeros(len(detections), bool)
    rows = np.flatnonzero(detections >= 0)
    label = evidence.context.matched_label[detections[rows]]
    rows, label = rows[label >= 0], label[label >= 0]
    least = evidence.context.settings.min_probability
    result[rows] = (on_label[label] >= 0.5 * probabilities[rows]) & (on_label[label] >= least)
    return result


def _frames(scored: Scored) -> Ranking:
    probabilities = scored.probabilities[IssueType.BAD_FRAME]
    count = len(probabilities)
    kinds = np.full(count, KINDS.index(IssueType.BAD_FRAME))
    alone: Groups = Groups(np.full(count, -1, np.int64), np.ones(count, np.int64))
    return _make(scored, kinds, np.arange(count), probabilities, alone.ids, alone.sizes)
