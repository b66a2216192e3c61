"""How large a thing of each class is at each row of the ground: people further up are smaller.

A camera over flat ground shows height and width in proportion to the distance of the foot row (the box's
lower edge) from the horizon: linear in the row. Per class both lines are fitted robustly by Theil and Sen's
median of pairwise slopes (a quarter of the labels may be wrong); deviations are measured as ratios (logs).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from curate.errors import DataError
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["LEAST_LABELS", "SizeModel", "SizePrior"]

LEAST_LABELS = 8
"""A class with fewer usable labels is not known: its z-scores are 0."""
_MOST_PAIRS = 40_000
_LEAST_SHARE = 0.1
_LEAST_SPREAD = 0.04
"""Log units (4 %): less than this people differ by anyway."""


def _cut_by_border(boxes: FloatArray, frame_size: tuple[int, int]) -> BoolArray:
    """(N,) True for boxes (N, 4) that reach the border of a frame of this width and height, to a pixel."""
    wide, high = frame_size
    inside = (boxes[:, :2] > 1).all(1) & (boxes[:, 2] < wide - 1) & (boxes[:, 3] < high - 1)
    return np.asarray(~inside)


@dataclass(frozen=True, slots=True)
class SizeModel:
    """Height and width of one class against the foot row; pairs are (height, width).

    Attributes:
        intercept: Pixels at `row`.
        slope: Pixels per pixel of row.
        spread: Robust standard deviation of the rest, log units.
        row: Reference row (median of the fitted labels).
        rows: Lowest and highest fitted foot row; beyond it the model is held constant.
        count: Labels fitted.
    """

    intercept: tuple[float, float]
    slope: tuple[float, float]
    spread: tuple[float, float]
    row: float
    rows: tuple[float, float]
    count: int

    def predict(self, foot_rows: FloatArray) -> FloatArray:
        """(N, 2) expected log height and log width at foot rows (N,)."""
        offset = np.clip(np.asarray(foot_rows, float), *self.rows) - self.row
        level = np.asarray(self.intercept)
        # Where the line comes near the horizon it is held at a small size instead of 0 or less.
        sizes = np.maximum(level + offset[:, None] * np.asarray(self.slope), _LEAST_SHARE * level)
        return np.asarray(np.log(sizes))


@dataclass(frozen=True, slots=True)
class SizePrior:
    """Ground-row size prior of a site.

    Attributes:
        models: Class index -> model; classes with too few labels are absent.
    """

    models: Mapping[int, SizeModel] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        boxes: FloatArray,
        classes: IntArray,
        weights: FloatArray | None = None,
        *,
        frame_size: tuple[int, int] | None = None,
    ) -> SizePrior:
        """Fit one model per class with at least `LEAST_LABELS` usable labels.

        Args:
            boxes: (N, 4).
            classes: (N,) class index.
            weights: (N,) >= 0, trust in each label (the foreground fraction is a good one); 0 leaves it out.
            frame_size: Width and height: boxes that touch the border (cut objects) are left out when given.

        Raises:
            DataError: Lengths differ, or a number is not finite.
        """
        boxes, classes = _table(boxes, classes)
        trust = np.ones(len(boxes)) if weights is None else np.asarray(weights, float).reshape(-1)
        if len(trust) != len(boxes) or not np.isfinite(trust).all() or (trust < 0).any():
            raise DataError(f"expected {len(boxes)} finite weights >= 0, got {len(trust)}")
        usable = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (trust > 0)
        if frame_size is not None:
            usable &= ~_cut_by_border(boxes, frame_size)
        models = {}
        for index in np.unique(classes[usable]).tolist():
            members = usable & (classes == index)
            if members.sum() >= LEAST_LABELS:
                models[int(index)] = _fit_model(boxes[members], trust[members])
        return cls(models)

    def known(self, index: int) -> bool:
        """Whether this class had enough labels; if not, its z-scores are 0 and mean nothing."""
        return index in self.models

    def z_scores(
        self, boxes: FloatArray, classes: IntArray, *, frame_size: tuple[int, int] | None = None
    ) -> FloatArray:
        """(N, 2) signed deviations of log height and log width in robust standard deviations.

        0 for classes that are not `known`; +3: far too large for its place. NaN for boxes that the border of
        a frame of this width and height cuts, when it is given: nobody knows how large such a thing is.
        """
        boxes, classes = _table(boxes, classes)
        result = np.zeros((len(boxes), 2))
        for index, model in self.models.items():
            members = classes == index
            logs = _log_sizes(boxes[members])
            rest = logs - model.predict(boxes[members, 3])
            result[members] = rest / np.asarray(model.spread)
        if frame_size is not None:
            result[_cut_by_border(boxes, frame_size)] = np.nan
        return result

    def expected_size(self, foot_rows: FloatArray, index: int) -> FloatArray:
        """(N, 2) expected height and width in pixels at foot rows (N,); NaN when the class is not known."""
        rows = np.asarray(foot_rows, float).reshape(-1)
        if index not in self.models:
            return np.full((len(rows), 2), np.nan)
        return np.asarray(np.exp(self.models[index].predict(rows)))

    def to_json(self) -> str:
        """One JSON object, class index -> model."""
        fields = ("intercept", "slope", "spread", "row", "rows", "count")
        table = {str(k): {name: getattr(m, name) for name in fields} for k, m in self.models.items()}
        return json.dumps({"kind": "size_prior", "version": 1, "models": table}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> SizePrior:
        """The inverse of `to_json`.

        Raises:
            DataError: Not such JSON.
        """
        try:
            value = json.loads(text)
            if value["kind"] != "size_prior" or value["version"] != 1:
                raise ValueError(f"kind {value['kind']!r}, version {value['version']!r}")
            return cls({int(key): _model_from_json(entry) for key, entry in value["models"].items()})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"expected a size prior of version 1 as JSON, got {error!r}") from error


def _model_from_json(entry: Mapping[str, Any]) -> SizeModel:
    def pair(name: str) -> tuple[float, float]:
        first, second = (float(value) for value in entry[name])
        if not (math.isfinite(first) and math.isfinite(second)):
            raise ValueError(f"{name} is not finite")
        return (first, second)

    model = SizeModel(
        pair("intercept"),
        pair("slope"),
        pair("spread"),
        float(entry["row"]),
        pair("rows"),
        int(entry["count"]),
    )
    if min(*model.spread, *model.intercept) <= 0 or not math.isfinite(model.row):
        raise ValueError("spread and intercept must be > 0 and row finite")
    return model


def _table(boxes: FloatArray, classes: IntArray) -> tuple[FloatArray, IntArray]:
    boxes, classes = np.asarray(boxes, float).reshape(-1, 4), np.asarray(classes, np.int64).reshape(-1)
    if len(boxes) != len(classes) or not np.isfinite(boxes).all():
        raise DataError(f"expected one class per finite box, got {len(classes)} for {len(boxes)} boxes")
    return boxes, classes


def _log_sizes(boxes: FloatArray) -> FloatArray:
    """(N, 2) log height and log width, at least half a pixel."""
    return np.asarray(np.log(np.maximum((boxes[:, 2:] - boxes[:, :2])[:, ::-1], 0.5)))


def _weighted_median(values: FloatArray, weights: FloatArray) -> float:
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(running, 0.5 * running[-1])])


def _fit_model(boxes: FloatArray, weights: FloatArray) -> SizeModel:
    rows, logs = boxes[:, 3], _log_sizes(boxes)
    middle = _weighted_median(rows, weights)
    first, second = _pairs(len(rows))
    span = rows[second] - rows[first]
    # Pairs at nearly one row say nothing about the slope; far ones say most.
    apart = np.abs(span) > max(1.0, 0.02 * float(np.ptp(rows)))
    pair_weights = (weights[first] * weights[second] * np.abs(span))[apart]
    lines = []
    for sizes in np.exp(logs).T:
        slope = 0.0
        if apart.any():
            slope = _weighted_median((sizes[second] - sizes[first])[apart] / span[apart], pair_weights)
        lines.append((_weighted_median(sizes - slope * (rows - middle), weights), slope))
    (high, high_slope), (wide, wide_slope) = lines
    level = (max(high, 0.5), max(wide, 0.5))
    limits = (float(rows.min()), float(rows.max()))
    draft = SizeModel(level, (high_slope, wide_slope), (1.0, 1.0), middle, limits, len(rows))
    rest = np.abs(logs - draft.predict(rows))
    spread = [max(1.4826 * _weighted_median(values, weights), _LEAST_SPREAD) for values in rest.T]
    return replace(draft, spread=(spread[0], spread[1]))


def _pairs(count: int) -> tuple[IntArray, IntArray]:
    """All pairs of labels, or a fixed sample of them when there are many."""
    if count * (count - 1) // 2 <= _MOST_PAIRS:
        first, second = np.triu_indices(count, 1)
        return first, second
    rng = np.random.default_rng(count)
    first = rng.integers(0, count, _MOST_PAIRS)
    return first, (first + rng.integers(1, count, _MOST_PAIRS)) % count
