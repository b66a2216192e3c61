"""Figures at an operating point, from the one matching rule: counts, false alarms, confusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.evaluation.gold import GoldArrays
from curate.evaluation.matching import Matches
from curate.evaluation.overlaps import DetectionArrays, Pairs
from curate.evaluation.results import Curve, FalseAtRecall, OperatingPoint
from curate.evaluation.settings import MATCH_IOU
from curate.types import BoolArray, FloatArray, IntArray

__all__ = [
    "confusion_matrix",
    "curve_points",
    "false_at_recalls",
    "operating_point",
    "thresholds",
]

_MAX_POINTS = 200


def operating_point(score: float, true: int, false: int, positives: int) -> OperatingPoint:
    """Precision and recall from counts at one score."""
    return OperatingPoint(
        score=score,
        true=true,
        false=false,
        missed=positives - true,
        precision=true / (true + false) if true + false else None,
        recall=true / positives if positives else None,
    )


def thresholds(
    scores: FloatArray, true: BoolArray, false: BoolArray
) -> tuple[FloatArray, IntArray, IntArray]:
    """Each distinct score as a threshold, falling, with the true and false positives at or above it."""
    order = np.argsort(-scores, kind="stable")
    order = order[true[order] | false[order]]
    falling = scores[order]
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True)) if len(order) else np.zeros(0, np.int64)
    hits = np.cumsum(true[order], dtype=np.int64)
    alarms = np.cumsum(false[order], dtype=np.int64)
    return falling[last], hits[last], alarms[last]


def false_at_recalls(
    scores: FloatArray,
    true: BoolArray,
    false: BoolArray,
    positives: int,
    frames: int,
    recalls: Sequence[float],
) -> tuple[FalseAtRecall, ...]:
    """False positives per frame at the highest threshold that reaches each recall."""
    limits, hits, alarms = thresholds(scores, true, false)
    result = []
    for recall in recalls:
        reached = np.flatnonzero(hits / positives >= recall) if positives else np.zeros(0, np.int64)
        if not len(reached):
            best = hits[-1] / positives if positives and len(hits) else 0.0
            reason = f"the recall ends at {best:.3f}" if positives else "no gold object counts"
            result.append(FalseAtRecall(recall, None, None, None, reason))
            continue
        at = int(reached[0])
        precision = float(hits[at] / (hits[at] + alarms[at]))
        result.append(FalseAtRecall(recall, float(alarms[at] / frames), float(limits[at]), precision))
    return tuple(result)


def curve_points(scores: FloatArray, true: BoolArray, false: BoolArray, positives: int, frames: int) -> Curve:
    """The precision-recall curve, thinned evenly to 200 points; empty without objects or detections."""
    limits, hits, alarms = thresholds(scores, true, false)
    if not positives or not len(limits):
        return Curve((), (), (), ())
    keep = np.unique(np.linspace(0, len(limits) - 1, min(len(limits), _MAX_POINTS)).round().astype(int))
    limits, hits, alarms = limits[keep], hits[keep], alarms[keep]
    return Curve(
        tuple(limits.tolist()),
        tuple((hits / positives).tolist()),
        tuple((hits / (hits + alarms)).tolist()),
        tuple((alarms / frames).tolist()),
    )


def confusion_matrix(
    gold: GoldArrays, detections: DetectionArrays, pairs: Pairs, matches: Matches, score: float, classes: int
) -> IntArray:
    """(C + 1, C + 1) counts: row = gold class, column = detected class; last = nothing.

    Matches of the rule come first. Then each false positive, by falling score, takes the unfound object of
    ANOTHER class that it overlaps most (IoU >= .5). The rest are missed, or on nothing.
    """
    found, false = matches.gold[0].copy(), matches.false[0] & (detections.scores >= score)
    found[detections.scores < score] = -1
    hits = np.flatnonzero(found >= 0)
    table = np.zeros((classes + 1, classes + 1), np.int64)
    np.add.at(table, (gold.label[found[hits]], detections.label[hits]), 1)
    free = matches.positives.copy()
    free[found[hits]] = False
    usable = (pairs.iou >= MATCH_IOU) & false[pairs.detection] & free[pairs.gold]
    usable &= detections.label[pairs.detection] != gold.label[pairs.gold]
    rows = np.flatnonzero(usable)
    rows = rows[
        np.lexsort((-pairs.iou[rows], pairs.detection[rows], -detections.scores[pairs.detection[rows]]))
    ]
    for detection, target in zip(pairs.detection[rows].tolist(), pairs.gold[rows].tolist(), strict=True):
        if false[detection] and free[target]:
            table[gold.label[target], detections.label[detection]] += 1
            false[detection] = free[target] = False
    table[:classes, classes] = np.bincount(gold.label[free], minlength=classes)
    table[classes, :classes] = np.bincount(detections.label[false], minlength=classes)
    return table
