"""Whether a score means what it says: of detections with score .7, are 70 % right?"""

from __future__ import annotations

import numpy as np

from curate.evaluation.results import Calibration, CalibrationBin
from curate.types import BoolArray, FloatArray

__all__ = ["calibration"]

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
