"""Is the picture itself fit to train on?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.types import BoolArray, FloatArray

__all__ = [
    "blur_score",
    "duplicate_frame_score",
    "exposure_score",
    "frozen_score",
    "moved_for_good",
    "moved_score",
    "verdict_score",
]


def _robust_z(values: FloatArray, floor: float) -> FloatArray:
    """(F,) distance from the median in robust standard deviations, at least `floor` each."""
    known = values[np.isfinite(values)]
    if len(known) < 5:
        return np.zeros(len(values))
    middle = float(np.median(known))
    spread = max(1.4826 * float(np.median(np.abs(known - middle))), floor)
    return np.asarray(np.where(np.isfinite(values), (values - middle) / spread, 0.0))


def blur_score(sharpness: FloatArray) -> FloatArray:
    """(F,) 0 for the usual sharpness of this camera, 1 for a frame eight robust deviations below it.

    The logarithm is compared, and a deviation is at least 10 %: the traffic itself changes the sharpness.

    Args:
        sharpness: (F,) focus measure >= 0, high = sharp. Fewer than five frames say nothing: 0.
    """
    z = _robust_z(np.log(np.maximum(np.asarray(sharpness, float), 1e-6)), 0.1)
    return np.asarray(np.clip((-z - 3) / 5, 0, 1))


def exposure_score(brightness: FloatArray) -> FloatArray:
    """(F,) 1 for frames that are black or burnt out, 0 from grey level 30 to 225.

    Night is no error, so this is absolute: only where nothing can be seen.

    Args:
        brightness: (F,) mean grey level, 0..255.
    """
    level = np.asarray(brightness, float)
    return np.asarray(np.clip(np.maximum((30 - level) / 20, (level - 225) / 20), 0, 1))


def frozen_score(change: FloatArray) -> FloatArray:
    """(F,) 1 where the picture did not change at all, 0 from a tenth of the usual change on.

    Even an empty road changes by sensor noise; a frame that does not is a repeated one.

    Args:
        change: (F,) mean absolute difference to the frame before in grey levels; NaN for the first.
    """
    change = np.asarray(change, float)
    known = change[np.isfinite(change)]
    usual = float(np.median(known)) if len(known) else 1.0
    return np.asarray(np.clip(1 - change / max(0.1 * usual, 1e-3), 0, 1))


def duplicate_frame_score(distance: FloatArray, change: FloatArray | None) -> FloatArray:
    """(F,) 1 for an exact copy of an earlier frame, 0 from half of the usual change on.

    Args:
        distance: (F,) grey-level difference to the nearest earlier frame, NaN without.
        change: (F,) difference to the frame before, which tells what is usual; None: 2 grey levels.
    """
    known = np.zeros(0) if change is None else np.asarray(change, float)[np.isfinite(change)]
    usual = float(np.median(known)) if len(known) else 2.0
    score = np.clip(1 - np.asarray(distance, float) / max(0.5 * usual, 1e-3), 0, 1)
    return np.where(np.isfinite(score), score, 0.0)


def moved_score(shift: FloatArray) -> FloatArray:
    """(F,) 0 up to a shift of 2 pixels against the plate, 1 from 10 on.

    Args:
        shift: (F,) pixels.
    """
    return np.asarray(np.clip((np.abs(np.asarray(shift, float)) - 2) / 8, 0, 1))


def moved_for_good(moved: FloatArray, clips: Sequence[str]) -> BoolArray:
    """(F,) True for the frames of recordings of which more than half show the camera moved: it stands elsewhere there.

    Args:
        moved: (F,) from `moved_score`.
        clips: F recordings.
    """
    _, clip = np.unique(np.asarray(clips, dtype=object).astype(str), return_inverse=True)
    clip = clip.ravel()
    count = np.maximum(np.bincount(clip), 1)
    share = np.bincount(clip, np.nan_to_num(np.asarray(moved, float)) > 0) / count
    return np.asarray(share[clip] > 0.5) if len(clip) else np.zeros(0, bool)


def verdict_score(verdicts: Sequence[Sequence[str]]) -> FloatArray:
    """(F,) 1 where an earlier step has found something certain (any word), else 0."""
    return np.array([float(bool(words)) for words in verdicts])
