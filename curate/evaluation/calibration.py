"""Whether a score means what it says: of detections with score .7, are 70 % right?"""

from __future__ import annotations

import numpy as np

from curate.evaluation.results import Calibration, CalibrationBin
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["calibration", "calibration_error", "reliability_sums"]

_BINS = 10
_FROM = 0.05


def calibration(scores: FloatArray, true: BoolArray, false: BoolArray) -> Calibration:
    """Reliability of the scores of detections (D,) in ten bins (Guo et al., On Calibration, 2017).

    Detections below .05 are left out: there are thousands, nobody looks at them, and they would drown the rest.

    Args:
        scores: In [0, 1].
        true: Right, at IoU .5.
        false: Wrong; what is neither was ignored.
    """
    counted = (true | false) & (scores >= _FROM)
    values, right = scores[counted], true[counted]
    where = np.minimum((values * _BINS).astype(int), _BINS - 1)
    bins, error = [], 0.0
    for index in range(_BINS):
        mine = where == index
        count = int(mine.sum())
        score = float(values[mine].mean()) if count else None
        precision = float(right[mine].mean()) if count else None
        bins.append(CalibrationBin(index / _BINS, (index + 1) / _BINS, count, score, precision))
        if score is not None and precision is not None:
            error += count / len(values) * abs(score - precision)
    return Calibration(tuple(bins), error if len(values) else None)


def reliability_sums(
    scores: FloatArray, true: BoolArray, false: BoolArray, blocks: IntArray, count: int
) -> FloatArray:
    """(3, B, 10) detections, sum of their scores, number right: per block and bin, as `calibration` takes them.

    Args:
        scores: (D,) in [0, 1].
        true: (D,) right.
        false: (D,) wrong.
        blocks: (D,) block of each.
        count: B.
    """
    counted = (true | false) & (scores >= _FROM)
    where = blocks[counted] * _BINS + np.minimum((scores[counted] * _BINS).astype(int), _BINS - 1)
    values = (np.ones(int(counted.sum())), scores[counted], true[counted].astype(float))
    return np.stack([np.bincount(where, value, count * _BINS).reshape(count, _BINS) for value in values])


def calibration_error(sums: FloatArray, weights: FloatArray) -> FloatArray:
    """(R,) expected calibration error for weightings (R, B) of the blocks; NaN without detections.

    Args:
        sums: As `reliability_sums` gives them.
        weights: How often each block is there.
    """
    number, scores, right = np.einsum("rb,kbn->krn", weights, sums)
    total = number.sum(1)
    gap = np.abs(scores - right).sum(1)
    return np.asarray(np.divide(gap, total, out=np.full(len(total), np.nan), where=total > 0))
