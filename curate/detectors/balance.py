"""In which order frames are shown: every one once an epoch, those with rare classes more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.detectors.seeds import step_generator
from curate.types import FloatArray, IntArray

__all__ = ["EpochOrder", "repeat_factors"]

_STREAM = 1


def repeat_factors(classes: Sequence[IntArray], threshold: float) -> FloatArray:
    """How often each frame is shown an epoch, (F,), at least 1 (Gupta, Dollar and Girshick, LVIS, 2019).

    A class that is seen on a share f of the frames gets the factor max(1, sqrt(threshold / f)), a frame the largest
    factor of its classes. Frames count, not labels: a class with many labels on few frames is rare.

    Args:
        classes: Class indices of each frame's labels, (N_f,).
        threshold: In [0, 1]; classes on a smaller share of the frames count as rare. 0: none does.
    """
    factors = np.ones(len(classes))
    seen = [np.unique(labels) for labels in classes]
    share = np.bincount(np.concatenate([*seen, np.zeros(0, np.int64)])) / max(1, len(classes))
    for frame, labels in enumerate(seen):
        if len(labels):
            factors[frame] = max(1.0, float(np.sqrt(threshold / share[labels].min())))
    return factors


class EpochOrder:
    """The frames of a run one after the other; epochs run on into each other.

    Every epoch is a new permutation. Factors that are no whole numbers are rounded up in some epochs and down in
    others, so that every epoch has the same length and the mean is right (systematic sampling).

    Args:
        factors: How often each frame is shown an epoch, (F,), see `repeat_factors`.
        seed: Of the run.
    """

    def __init__(self, factors: FloatArray, seed: int) -> None:
        self._seed = seed
        self._length = round(float(factors.sum()))
        self._factors = factors * (self._length / factors.sum())
        self._plain = bool((factors == 1).all())
        self._epoch: tuple[int, IntArray] | None = None

    def frame(self, position: int) -> int:
        """Index of the frame at a position of the run, from 0."""
        epoch, place = divmod(position, self._length)
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = epoch, self._order(epoch)
        return int(self._epoch[1][place])

    def _order(self, epoch: int) -> IntArray:
        random = step_generator(self._seed, _STREAM, epoch)
        order = random.permutation(len(self._factors))
        if self._plain:
            return order
        ends = np.cumsum(self._factors[order])
        ends[-1] = self._length
        taken = np.floor(ends + random.random()).astype(np.int64)
        return random.permutation(np.repeat(order, np.diff(taken, prepend=0)))
