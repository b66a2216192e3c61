"""The figures of one run for any weighting of the time blocks, from curves computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from curate.evaluation.calibration import calibration_error, reliability_sums
from curate.evaluation.curves import (
    BlockCurve,
    average_precision,
    block_curve,
    false_per_frame,
    recall_at_false,
)
from curate.evaluation.error_kinds import errors_by_block
from curate.evaluation.matching import THRESHOLDS, Matches
from curate.evaluation.scopes import ALL, Scope, Scopes
from curate.evaluation.scorer import Scorer
from curate.evaluation.traffic import absolute_count_errors, place_count_errors
from curate.types import FloatArray, IntArray

__all__ = ["BlockFigures", "block_figures"]


@dataclass(frozen=True)
class _Point:
    """Counts per block at the operating point, each (B,), and the curve for false positives at a recall."""

    true: FloatArray
    false: FloatArray
    positives: FloatArray
    curve: BlockCurve | None


@dataclass(frozen=True)
class BlockFigures:
    """Curves and counts per scope.

    Attributes:
        classes: Class names.
        curves: (scope, "box" or "mask") -> per class ten curves, one per IoU threshold; a class as scope is
            read from "all".
        points: scope -> counts at the operating point.
        sums: scope -> figure -> (B,) sum over the block's frames of what is told by the frame: the count error
            |detections - objects|, errors of each kind.
        reliability: scope -> (3, B, 10) as `reliability_sums` gives it.
        frames: (B,) frames of each block.
        recalls: Recalls for false positives per frame.
        alarms: False alarms an hour -> false positives per frame, for the recall at them.
    """

    classes: tuple[str, ...]
    curves: Mapping[tuple[Scope, str], Sequence[Sequence[BlockCurve]]]
    points: Mapping[Scope, _Point]
    sums: Mapping[Scope, Mapping[str, FloatArray]]
    reliability: Mapping[Scope, FloatArray]
    frames: FloatArray
    recalls: tuple[float, ...]
    alarms: Mapping[float, float] = field(default_factory=dict)

    def under(self, weights: FloatArray) -> dict[Scope, dict[str, FloatArray]]:
        """Scope -> metric -> (R,) values for R weightings (R, B) of the blocks; NaN where undefined."""
        result: dict[Scope, dict[str, FloatArray]] = {scope: {} for scope in (*self.points, *self.sums)}
        for (scope, geometry), rows in self.curves.items():
            # (K, T, R) for K classes and T thresholds.
            values = np.array([[average_precision(curve, weights) for curve in curves] for curves in rows])
            result[scope].update(_ap_metrics(geometry, values))
            if scope == ALL:
                for label, name in enumerate(self.classes):
                    result[Scope("class", name)].update(_ap_metrics(geometry, values[[label]]))
        for scope, point in self.points.items():
            result[scope].update(self._point_metrics(point, weights))
        frames = weights @ self.frames
        for scope, sums in self.sums.items():
            result[scope].update({metric: (weights @ values) / frames for metric, values in sums.items()})
        for scope, bins in self.reliability.items():
            result[scope]["calibration_error"] = calibration_error(bins, weights)
        return result

    def _point_metrics(self, point: _Point, weights: FloatArray) -> dict[str, FloatArray]:
        true, false = weights @ point.true, weights @ point.false
        positives, shown = weights @ point.positives, true + false
        unknown = np.full_like(true, np.nan)
        result = {"recall": np.divide(true, positives, out=unknown.copy(), where=positives > 0)}
        if point.curve is not None:
            result["precision"] = np.divide(true, shown, out=unknown, where=shown > 0)
            alarms = false_per_frame(point.curve, weights, self.recalls, self.frames)
            for column, recall in enumerate(self.recalls):
                result[f"fppi@{recall:g}"] = alarms[:, column]
            found = recall_at_false(point.curve, weights, list(self.alarms.values()), self.frames)
            for column, limit in enumerate(self.alarms):
                result[f"recall@{limit:g}/h"] = found[:, column]
        return result


def _ap_metrics(geometry: str, values: FloatArray) -> dict[str, FloatArray]:
    """AP, AP50, AP75 (R,) from (K, T, R); a class without objects is left out of the mean, as in COCO."""
    present = ~np.isnan(values[:, 0])
    count = present.sum(axis=0)
    mean = np.where(present[:, None], values, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    return {
        f"{geometry}_ap": mean.mean(axis=0),
        f"{geometry}_ap50": mean[0],
        f"{geometry}_ap75": mean[5],
    }


def block_figures(
    scorer: Scorer, scopes: Scopes, blocks: IntArray, *, masks: bool, per_hour: float | None = None
) -> BlockFigures:
    """Match one run and cut its curves by block.

    Args:
        scorer: The run.
        scopes: What is told apart.
        blocks: (F,) block of each frame, 0 .. B - 1.
        masks: Whether masks are compared too.
        per_hour: Frames of an hour; None leaves out what is told by the hour.
    """
    count, classes = int(blocks.max()) + 1, scopes.classes
    curves: dict[tuple[Scope, str], list[list[BlockCurve]]] = {}
    points: dict[Scope, _Point] = {}
    for scope in (ALL, *scopes.parts):
        subset = scopes.subset(scorer, scope)
        for geometry in ("box", "mask") if masks else ("box",):
            outside = scopes.outside(scorer, scope, masks=geometry == "mask")
            matches = scorer.matches(masks=geometry == "mask", subset=subset, outside=outside)
            curves[scope, geometry] = [
                _class_curves(scorer, matches, label, blocks, count) for label in range(len(classes))
            ]
            if geometry == "box":
                points[scope] = _point(scorer, matches, None, blocks, count, curve=scope == ALL)
            if geometry == "box" and scope == ALL:
                whole = matches
                for label, name in enumerate(classes):
                    points[Scope("class", name)] = _point(scorer, matches, label, blocks, count, curve=True)
    frames = np.bincount(blocks, minlength=count).astype(float)
    limits = scorer.settings.alarms_per_hour if per_hour is not None else ()
    alarms = {limit: limit / per_hour for limit in limits if per_hour is not None}
    return BlockFigures(
        classes,
        curves,
        points,
        _sums(scorer, scopes, whole, blocks, count),
        _reliability(scorer, classes, whole, blocks, count),
        frames,
        scorer.settings.recalls,
        alarms,
    )


def _sums(
    scorer: Scorer, scopes: Scopes, matches: Matches, blocks: IntArray, count: int
) -> dict[Scope, dict[str, FloatArray]]:
    """What is told by the frame, added up by block: errors of each kind, of counts (also by approach)."""
    errors = errors_by_block(
        scorer.gold, scorer.detections, scorer.pairs, matches, scorer.settings.score, blocks
    )
    result: dict[Scope, dict[str, FloatArray]] = {}
    named = {ALL: None, **{Scope("class", name): label for label, name in enumerate(scopes.classes)}}
    for scope, label in named.items():
        result[scope] = {
            "count_error": _summed(absolute_count_errors(scorer, matches, label), blocks, count),
            **{
                f"errors@{kind}": np.bincount(
                    block if label is None else block[klass == label], minlength=count
                ).astype(float)
                for kind, (block, klass) in errors.items()
            },
        }
    for scope, (ring, label) in scopes.counted_places().items():
        values = place_count_errors(scorer, matches, label, ring)
        result[scope] = {"count_error": _summed(values, blocks, count)}
    return result


def _reliability(
    scorer: Scorer, classes: Sequence[str], matches: Matches, blocks: IntArray, count: int
) -> dict[Scope, FloatArray]:
    found, where = scorer.detections, blocks[scorer.detections.frame]
    true, false = matches.true[0], matches.false[0]
    result = {ALL: reliability_sums(found.scores, true, false, where, count)}
    for label, name in enumerate(classes):
        mine = found.label == label
        result[Scope("class", name)] = reliability_sums(found.scores, true & mine, false & mine, where, count)
    return result


def _positives(
    scorer: Scorer, matches: Matches, label: int | None, blocks: IntArray, count: int
) -> FloatArray:
    members = matches.positives if label is None else matches.positives & (scorer.gold.label == label)
    return np.bincount(blocks[scorer.gold.frame[members]], minlength=count).astype(float)


def _class_curves(
    scorer: Scorer, matches: Matches, label: int, blocks: IntArray, count: int
) -> list[BlockCurve]:
    mine = scorer.detections.label == label
    scores, where = scorer.detections.scores[mine], blocks[scorer.detections.frame[mine]]
    positives = _positives(scorer, matches, label, blocks, count)
    true, false = matches.true[:, mine], matches.false[:, mine]
    return [block_curve(scores, true[step], false[step], where, positives) for step in range(len(THRESHOLDS))]


def _point(
    scorer: Scorer, matches: Matches, label: int | None, blocks: IntArray, count: int, *, curve: bool
) -> _Point:
    found = scorer.detections
    mine = np.ones(len(found), bool) if label is None else found.label == label
    where = blocks[found.frame]
    true, false = matches.true[0], matches.false[0]
    shown = mine & (found.scores >= scorer.settings.score)
    positives = _positives(scorer, matches, label, blocks, count)
    whole = block_curve(found.scores[mine], true[mine], false[mine], where[mine], positives, whole_ties=True)
    return _Point(
        np.bincount(where[true & shown], minlength=count).astype(float),
        np.bincount(where[false & shown], minlength=count).astype(float),
        positives,
        whole if curve else None,
    )


def _summed(values: FloatArray, blocks: IntArray, count: int) -> FloatArray:
    """Values of frames added up by block."""
    return np.asarray(np.bincount(blocks, values, count), float)
