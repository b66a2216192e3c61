"""What to expect of the queue: "the next 50 hold about 31 errors, between 15 and 47"; and whether that holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.types import FloatArray, IntArray

__all__ = ["Forecast", "Reliability", "expected_errors", "reliability"]

_Z90 = 1.645
# Probabilities of one queue err together (same camera, same calibration): a common error of 0.8 in log-odds is added
# to the binomial spread, as far as promises were off on the data that finders are tuned on (docs/finders.md).
_COMMON = 0.8


@dataclass(frozen=True)
class Forecast:
    """Errors among the next items.

    Attributes:
        items: How many items the forecast is about; fewer than asked for when the queue is shorter.
        errors: Expected number.
        low: Lower end of the 90 % interval.
        high: Upper end.
    """

    items: int
    errors: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"the next {self.items} hold about {self.errors:.0f} errors, "
            f"between {self.low:.0f} and {self.high:.0f}"
        )


def expected_errors(probabilities: FloatArray, n: int | None = None) -> Forecast:
    """Expected number of errors among the first n items of the queue, with a 90 % interval.

    The number of errors is Poisson-binomial (mean: sum of p, variance: sum of p (1 - p)); to that comes an
    error of the calibration that all items share, taken as 0.8 in log-odds.

    Args:
        probabilities: (N,) P(error) in queue order; items of one look counted once (`review_gain`).
        n: Items to look at; None = all.
    """
    chosen = np.nan_to_num(np.asarray(probabilities, float), nan=0.0)[:n]
    mean = float(chosen.sum())
    spread = float((chosen * (1 - chosen)).sum())
    # d(sum of p) / d(common shift of the log-odds) is sum of p (1 - p) as well.
    half = _Z90 * float(np.sqrt(spread + (_COMMON * spread) ** 2))
    count = len(chosen)
    return Forecast(count, mean, max(0.0, mean - half), min(float(count), mean + half))


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be trusted, on rows that nothing was learned from.

    Attributes:
        brier: Mean squared error of the probabilities, 0 = perfect.
        error: Expected calibration error: mean distance of predicted and observed rate over the bins.
        predicted: (B,) mean probability of each filled bin.
        observed: (B,) share of errors in it.
        counts: (B,) rows in it.
    """

    brier: float
    error: float
    predicted: FloatArray
    observed: FloatArray
    counts: IntArray


def reliability(probabilities: FloatArray, truth: IntArray, *, bins: int = 10) -> Reliability:
    """Brier score and reliability curve over bins of equal width.

    Args:
        probabilities: (N,) in [0, 1], of rows that the classifier did not learn from.
        truth: (N,) 0 or 1.
        bins: Number of bins.
    """
    values, hits = np.asarray(probabilities, float), np.asarray(truth, float)
    if not len(values):
        none = np.zeros(0)
        return Reliability(0.0, 0.0, none, none, np.zeros(0, np.int64))
    at = np.minimum((values * bins).astype(int), bins - 1)
    counts = np.bincount(at, minlength=bins)
    filled = counts > 0
    predicted = np.bincount(at, values, bins)[filled] / counts[filled]
    observed = np.bincount(at, hits, bins)[filled] / counts[filled]
    off = float((np.abs(predicted - observed) * counts[filled]).sum() / len(values))
    return Reliability(float(((values - hits) ** 2).mean()), off, predicted, observed, counts[filled])
