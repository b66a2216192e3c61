"""THE matching rule of every figure, as COCO defines it, for all frames, classes and thresholds at once.

Per frame and class, detections go by falling score (ties: in the order given). Each takes the free object of
its class with the largest IoU at or above the threshold. Objects that count go first; only when there is none
may a detection fall on an object outside the subset at hand, or on a crowd, which any number may share; then
it counts neither way. What is left and was `absorbed` (ignored objects, regions, sizes) counts neither way
too. The rest are false positives, and objects that count and are free are missed.

Subsets (slices, moving, parked): objects outside the subset are ignored as above; an unmatched detection
counts against EVERY subset, because nobody can say which subset a thing that is not there belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.evaluation.gold import COUNTS, CROWD, GoldArrays
from curate.evaluation.overlaps import DetectionArrays, Pairs
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["THRESHOLDS", "Matches", "match"]

THRESHOLDS: FloatArray = np.linspace(0.5, 0.95, 10)
"""COCO's IoU thresholds."""


@dataclass(frozen=True)
class Matches:
    """Outcome for T thresholds and D detections.

    Attributes:
        gold: (T, D) int, the object that counts (inside the subset) which the detection found, or -1.
        ignored: (T, D) bool, the detection counts neither way. False positives are the rest.
        positives: (G,) bool, the objects that count.
    """

    gold: IntArray
    ignored: BoolArray
    positives: BoolArray

    @property
    def true(self) -> BoolArray:
        """(T, D) true positives."""
        return np.asarray(self.gold >= 0)

    @property
    def false(self) -> BoolArray:
        """(T, D) false positives."""
        return np.asarray((self.gold < 0) & ~self.ignored)


def match(
    gold: GoldArrays,
    detections: DetectionArrays,
    pairs: Pairs,
    absorb: BoolArray,
    *,
    thresholds: FloatArray = THRESHOLDS,
    subset: BoolArray | None = None,
    usable: BoolArray | None = None,
) -> Matches:
    """Match by the rule of this module.

    Args:
        gold: G objects.
        detections: D detections in their canonical order.
        pairs: Their overlaps.
        absorb: (D,) from `absorbed`.
        thresholds: (T,) IoU thresholds.
        subset: (G,) objects to score; None for all.
        usable: (G,) objects that can be matched at all (those with a mask); None for all.
    """
    here = np.ones(len(gold.kind), bool) if usable is None else usable
    positives = (gold.kind == COUNTS) & here
    if subset is not None:
        positives &= subset
    limits = np.minimum(thresholds, 1 - 1e-10)
    same = (detections.label[pairs.detection] == gold.label[pairs.gold]) & (pairs.iou >= limits.min())
    at, to, iou = pairs.detection[same], pairs.gold[same], pairs.iou[same]
    # Within a detection's pairs the last valid one wins: objects that count, then IoU, then later objects.
    order = np.lexsort((to, iou, positives[to], at))
    at, to, iou = at[order], to[order], iou[order]
    chosen = np.full((len(thresholds), len(detections)), -1, np.int64)
    free = np.ones((len(thresholds), len(gold.kind)), bool)
    crowd = gold.kind == CROWD
    for first, counts in _rounds(detections, at):
        rows = np.concatenate([np.arange(a, a + n) for a, n in zip(first, counts, strict=True)])
        valid = (iou[rows] >= limits[:, None]) & (free[:, to[rows]] | crowd[to[rows]])
        starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
        best = np.maximum.reduceat(np.where(valid, np.arange(len(rows)), -1), starts, axis=1)
        step, slot = np.nonzero(best >= 0)
        taken = to[rows[best[step, slot]]]
        chosen[step, at[first][slot]] = taken
        free[step, taken] = False
    hit = np.where(chosen >= 0, positives[chosen] if len(positives) else False, False)
    ignored = (chosen >= 0) & ~hit
    ignored |= (chosen < 0) & absorb
    return Matches(np.where(hit, chosen, -1), np.asarray(ignored), positives)


def _rounds(detections: DetectionArrays, at: IntArray) -> list[tuple[IntArray, IntArray]]:
    """Rounds of detections that cannot compete: the k-th best with any pair of each frame and class.

    Args:
        detections: In canonical order, so that a frame's class is one run, best first.
        at: (M,) detections of the pairs, rising.

    Returns:
        Per round the first pair and the number of pairs of each of its detections.
    """
    if not len(at):
        return []
    unique, first, counts = np.unique(at, return_index=True, return_counts=True)
    group = np.stack([detections.frame[unique], detections.label[unique]])
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(group) != 0).any(axis=0)]))
    rank = np.arange(len(unique)) - np.repeat(starts, np.diff(np.append(starts, len(unique))))
    return [(first[rank == k], counts[rank == k]) for k in range(int(rank.max()) + 1)]
