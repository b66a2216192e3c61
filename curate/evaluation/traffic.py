"""What a traffic engineer asks: what is found at a bearable number of false alarms, and how wrong the counts are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import shapely

from curate.annotations import Frame
from curate.evaluation.gold import COUNTS
from curate.evaluation.matching import Matches
from curate.evaluation.operating import thresholds
from curate.evaluation.results import CountError, RecallAtAlarms
from curate.evaluation.scorer import Scorer
from curate.types import BoolArray, FloatArray, IntArray, Ring

__all__ = [
    "absolute_count_errors",
    "count_errors",
    "looks_per_hour",
    "place_count_errors",
    "recall_at_alarms",
    "standing_in",
]


def looks_per_hour(frames: Sequence[Frame]) -> float | None:
    """Frames an hour of footage gives at the gold set's pace: 3600 by the median step within a clip; None without."""
    steps: list[float] = []
    for clip in {frame.clip for frame in frames}:
        times = sorted(frame.captured_at for frame in frames if frame.clip == clip)
        steps += np.diff(times).tolist()
    positive = [step for step in steps if step > 0]
    return 3600.0 / float(np.median(positive)) if positive else None


def recall_at_alarms(
    scores: FloatArray,
    true: BoolArray,
    false: BoolArray,
    positives: int,
    frames: int,
    per_hour: float | None,
    limits: Sequence[float],
) -> tuple[RecallAtAlarms, ...]:
    """The largest recall with at most so many false alarms an hour.

    Args:
        scores: (D,) of the detections.
        true: (D,) true positives.
        false: (D,) false positives.
        positives: Objects that count.
        frames: Frames of the gold set.
        per_hour: Frames of an hour; None when nobody knows.
        limits: False alarms an hour.
    """
    if per_hour is None or not positives:
        reason = "the frames have no times" if positives else "no gold object counts"
        return tuple(RecallAtAlarms(limit, None, None, reason) for limit in limits)
    falling, hits, alarms = thresholds(scores, true, false)
    rows = []
    for limit in limits:
        fits = np.flatnonzero(alarms / frames * per_hour <= limit)
        if len(fits):
            rows.append(RecallAtAlarms(limit, float(hits[fits[-1]] / positives), float(falling[fits[-1]])))
        else:
            rows.append(RecallAtAlarms(limit, 0.0, None, "the best-scored detection is a false alarm"))
    return tuple(rows)


def _per_frame(
    scorer: Scorer, matches: Matches, shown: BoolArray, members: BoolArray
) -> tuple[IntArray, IntArray]:
    """(F,) objects that count and detections shown, of given detections (D,) and objects (G,)."""
    count = scorer.gold.frames
    gold = np.bincount(scorer.gold.frame[members & (scorer.gold.kind == COUNTS)], minlength=count)
    counted = shown & (matches.true[0] | matches.false[0])
    return gold, np.bincount(scorer.detections.frame[counted], minlength=count)


def absolute_count_errors(scorer: Scorer, matches: Matches, label: int | None) -> FloatArray:
    """(F,) |detections - objects| of every frame at the operating score; of one class, or of each class added up."""
    classes = (
        [label]
        if label is not None
        else sorted({*scorer.gold.label.tolist(), *scorer.detections.label.tolist()})
    )
    shown = scorer.detections.scores >= scorer.settings.score
    total = np.zeros(scorer.gold.frames)
    for entry in classes:
        gold, found = _per_frame(
            scorer, matches, shown & (scorer.detections.label == entry), scorer.gold.label == entry
        )
        total += np.abs(found - gold)
    return total


def place_count_errors(scorer: Scorer, matches: Matches, label: int, ring: Ring) -> FloatArray:
    """(F,) |detections - objects| of a class in a polygon at the operating score."""
    mine = (scorer.detections.scores >= scorer.settings.score) & (scorer.detections.label == label)
    mine &= standing_in(ring, scorer.detections.boxes)
    there = (scorer.gold.label == label) & standing_in(ring, scorer.gold.boxes)
    gold, found = _per_frame(scorer, matches, mine, there)
    return np.asarray(np.abs(found - gold), float)


def count_errors(
    scorer: Scorer, matches: Matches, classes: Sequence[str], regions: Mapping[str, Ring]
) -> dict[str, CountError]:
    """Counts per frame at the operating score, by class, and by region and class ("crossing: person").

    A thing stands in a region when its foot (the middle of the box's lower edge) does. What is ignored on both sides
    (policy, regions) counts on neither.

    Args:
        scorer: A run.
        matches: At IoU .5.
        classes: Class names.
        regions: Name -> polygon.
    """
    shown = scorer.detections.scores >= scorer.settings.score
    everywhere = (np.ones(len(scorer.detections), bool), np.ones(len(scorer.gold.kind), bool))
    places = {"": everywhere}
    for name, ring in regions.items():
        places[f"{name}: "] = (
            standing_in(ring, scorer.detections.boxes),
            standing_in(ring, scorer.gold.boxes),
        )
    result = {}
    for place, (found_here, gold_here) in places.items():
        for label, klass in enumerate(classes):
            mine = shown & found_here & (scorer.detections.label == label)
            gold, found = _per_frame(scorer, matches, mine, gold_here & (scorer.gold.label == label))
            error = found - gold
            result[f"{place}{klass}"] = CountError(
                float(gold.mean()), float(found.mean()), float(error.mean()), float(np.abs(error).mean())
            )
    return result


def standing_in(ring: Ring, boxes: FloatArray) -> BoolArray:
    """(N,) whether the foot of each box (N, 4) lies in a polygon."""
    area = shapely.make_valid(shapely.Polygon(ring))
    return np.asarray(shapely.intersects_xy(area, (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]), bool)
