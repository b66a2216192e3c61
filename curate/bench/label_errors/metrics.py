"""How a ranking is judged, ties and unreachable errors included.

Ties are what a random order within them gives on average, so that a tool with a yes-or-no answer is neither
favoured nor punished by the order of the rows.
"""

from __future__ import annotations

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from curate.types import BoolArray, FloatArray

__all__ = ["auroc", "average_precision", "found_share", "precision_at"]


def average_precision(scores: FloatArray, truth: BoolArray, *, unreachable: int = 0) -> float:
    """Area under precision over recall (the step sum of scikit-learn), NaN without errors.

    Args:
        scores: (N,) high = more likely an error; equal scores enter as one step.
        truth: (N,) True for an error.
        unreachable: Errors that no item stands for: they are never found and lower the recall.
    """
    hits = int(np.asarray(truth, bool).sum())
    if hits + unreachable == 0:
        return float("nan")
    if hits == 0:
        return 0.0
    return float(average_precision_score(truth, _finite(scores))) * hits / (hits + unreachable)


def auroc(scores: FloatArray, truth: BoolArray) -> float:
    """Chance that an error has a higher score than a right item, ties half; NaN without one of the two."""
    truth = np.asarray(truth, bool)
    if truth.all() or not truth.any():
        return float("nan")
    return float(roc_auc_score(truth, _finite(scores)))


def precision_at(scores: FloatArray, truth: BoolArray, count: int) -> float:
    """Share of errors among the first `count` items (of all items if there are fewer); NaN without items."""
    looked = min(count, len(scores))
    return _hits(scores, truth, looked) / looked if looked else float("nan")


def found_share(scores: FloatArray, truth: BoolArray, looks: int, errors: int) -> float:
    """Share of all `errors` that are found after the first `looks` items; NaN without errors."""
    return _hits(scores, truth, min(looks, len(scores))) / errors if errors else float("nan")


def _finite(scores: FloatArray) -> FloatArray:
    """Scores with NaN (the tool says nothing) below every other."""
    values = np.asarray(scores, float)
    known = values[np.isfinite(values)]
    low, high = (known.min() - 1, known.max() + 1) if len(known) else (0.0, 0.0)
    return np.asarray(np.nan_to_num(values, nan=low, neginf=low, posinf=high))


def _hits(scores: FloatArray, truth: BoolArray, count: int) -> float:
    """Errors expected among the first `count` items when equal scores are in random order."""
    if count <= 0:
        return 0.0
    values, hits = _finite(scores), np.asarray(truth, bool)
    last = np.sort(values)[::-1][count - 1]
    above, level = values > last, values == last
    return float(hits[above].sum() + hits[level].mean() * (count - above.sum()))
