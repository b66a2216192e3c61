"""Learning curves as tables: chosen by a pattern, smoothed, thinned, with a scale that outliers do not spoil."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from curate.types import FloatArray
from curate.workflows.run_history import RunCurves

__all__ = ["AXES", "CurveOptions", "curve_scale", "curve_table", "matching_metrics", "smoothed"]

AXES = {"step": "Step", "relative": "Relative", "wall": "Clock"}
_MOST_POINTS = 800
"""Points a curve: more than a chart has pixels."""
_FIRST = ("validation", "loss/total")


@dataclass(frozen=True)
class CurveOptions:
    """How curves are shown.

    Attributes:
        axis: One of `AXES`.
        smoothing: In [0, 1): weight of the past in the running mean.
        log: Logarithmic scale; values that are not above 0 are left out.
        outliers: Whether the scale leaves outliers out of sight.
    """

    axis: str = "step"
    smoothing: float = 0.6
    log: bool = False
    outliers: bool = True


def matching_metrics(curves: Sequence[RunCurves], pattern: str) -> list[str]:
    """Names of the metrics that a regular expression is found in, the most telling first.

    Raises:
        re.error: It is no regular expression.
    """
    wanted = re.compile(pattern, re.IGNORECASE)
    names = {name for curve in curves for name in curve.values if wanted.search(name)}
    return sorted(names, key=lambda name: (name not in _FIRST, name == "learning_rate", name))


def smoothed(values: FloatArray, weight: float) -> FloatArray:
    """(P,) running mean with exponential weights, without the bias of its start (as TensorBoard draws it).

    Args:
        values: (P,); what is not finite is passed over and stays as it is.
        weight: Of the past, in [0, 1).
    """
    result = np.array(values, float)
    level = total = 0.0
    for at, value in enumerate(result.tolist()):
        if not np.isfinite(value):
            continue
        level = weight * level + (1 - weight) * value
        total = weight * total + (1 - weight)
        result[at] = level / total
    return result


def curve_table(curves: Sequence[RunCurves], metric: str, options: CurveOptions) -> pd.DataFrame:
    """One row per point: run, step, at (on the axis), value (as written), smooth.

    Smoothing looks at all points; then each curve is thinned to at most 800.
    """
    parts = []
    for curve in curves:
        if metric not in curve.values:
            continue
        values = curve.values[metric]
        smooth = smoothed(values, options.smoothing)
        keep = np.isfinite(values)
        if options.log:
            keep &= (values > 0) & (smooth > 0)
        rows = np.flatnonzero(keep)
        rows = (
            rows[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_POINTS)).round().astype(int))]
            if len(rows)
            else rows
        )
        steps, seconds = curve.steps[metric][rows], curve.seconds[metric][rows]
        at: object = steps
        if options.axis == "relative":
            at = seconds
        elif options.axis == "wall":
            at = [
                datetime.fromtimestamp(curve.run.created_at + (0.0 if np.isnan(s) else s), UTC)
                for s in seconds
            ]
        parts.append(
            pd.DataFrame(
                {"run": curve.run.id, "step": steps, "at": at, "value": values[rows], "smooth": smooth[rows]}
            )
        )
    if not parts:
        return pd.DataFrame({name: [] for name in ("run", "step", "at", "value", "smooth")})
    return pd.concat(parts, ignore_index=True)


def curve_scale(table: pd.DataFrame, options: CurveOptions) -> tuple[float, float] | None:
    """Ends of the value axis; None when there is nothing to draw.

    Without outliers they are the 1st and 99th percentile of the values as written, widened to hold every smoothed
    curve's last value.
    """
    if table.empty:
        return None
    values = table["value"].to_numpy(float)
    if options.outliers:
        low, high = np.quantile(values, 0.01), np.quantile(values, 0.99)
        ends = table.groupby("run")["smooth"].last().to_numpy(float)
        low, high = min(low, ends.min()), max(high, ends.max())
    else:
        low, high = values.min(), values.max()
    if options.log:
        return float(low * 0.95), float(high * 1.05)
    margin = 0.04 * max(high - low, abs(high) * 1e-3, 1e-9)
    return float(low - margin), float(high + margin)
