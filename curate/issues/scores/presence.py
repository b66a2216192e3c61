"""Is there an object at all? Scores for spurious labels and for candidates of missing ones."""

from __future__ import annotations

import numpy as np

from curate.types import BoolArray, FloatArray, IntArray

__all__ = [
    "background_doubt",
    "confidence",
    "empty_once",
    "low_foreground",
    "source_doubt",
    "standing",
    "typical_foreground",
    "unseen",
    "untracked",
]

_ENOUGH = 20
_OFTEN = 5
# A box that differs from the plate on this share of what is usual for its class is not suspicious at all.
_FULL = 0.6


def background_doubt(class_probs: FloatArray) -> FloatArray:
    """(L,) probability of background that an out-of-sample detector gives to the label's own box.

    Args:
        class_probs: (L, C + 1), the last column is background.
    """
    return np.asarray(np.asarray(class_probs, float)[:, -1])


def unseen(support: FloatArray) -> FloatArray:
    """(L,) 1 - IoU x confidence of the best out-of-sample detection, against what is usual.

    Args:
        support: (L,) largest IoU x score over the detections of the frame, 0 when there are none. The scale
            is its upper quartile, so that a detector with modest scores does not doubt everything.
    """
    support = np.asarray(support, float)
    usual = float(np.quantile(support, 0.75)) if len(support) >= _ENOUGH else 0.6
    return np.asarray(1 - np.clip(support / max(usual, 0.2), 0, 1))


def typical_foreground(foreground: FloatArray, classes: IntArray, still: BoolArray) -> FloatArray:
    """(L,) the foreground share that is usual for the label's class: the upper quartile over its labels.

    The upper quartile, because up to half of a cheap labeller's boxes may stand on empty background. Classes
    with fewer than 20 known values take the quartile of all moving classes, or 0.5.

    Args:
        foreground: (L,) shares, NaN when unknown.
        classes: (L,).
        still: (L,) True for classes that may stand still.
    """
    foreground = np.asarray(foreground, float)
    known = np.isfinite(foreground) & ~still
    overall = float(np.quantile(foreground[known], 0.75)) if known.sum() >= _ENOUGH else 0.5
    usual = np.full(len(foreground), max(overall, 0.15))
    for klass in np.flatnonzero(np.bincount(classes)):
        own = classes == klass
        rows = own & known
        if rows.sum() >= _ENOUGH:
            usual[own] = max(float(np.quantile(foreground[rows], 0.75)), 0.15)
    return usual


def low_foreground(foreground: FloatArray, usual: FloatArray, still: BoolArray) -> FloatArray:
    """(L,) 1 where the box looks like the empty scene, 0 from 60 % of the usual difference on.

    Args:
        foreground: (L,) share of the box that differs from the background plate.
        usual: (L,) `typical_foreground`.
        still: (L,) True for classes that may stand still: NaN there, since a parked car is in the plate.
    """
    low = 1 - np.clip(np.asarray(foreground, float) / (_FULL * usual), 0, 1)
    return np.where(still, np.nan, low)


def empty_once(foreground: FloatArray, usual: FloatArray, still: BoolArray, counts: IntArray) -> FloatArray:
    """(L,) 1 where a class that may stand has a box that looks like the empty scene, on one frame only.

    A parked car is in the plate, so it looks like the empty scene, too; but it is labelled there again and again.

    Args:
        foreground: (L,) share of the box that differs from the background plate.
        usual: (L,) `typical_foreground`.
        still: (L,) True for classes that may stand still: NaN for the others, see `low_foreground`.
        counts: (L,) frames with a box of the class at the same place; from five on nothing is suspicious.
    """
    low = 1 - np.clip(np.asarray(foreground, float) / (_FULL * usual), 0, 1)
    seldom = np.clip((_OFTEN - np.asarray(counts, float)) / (_OFTEN - 1), 0, 1)
    return np.where(still, low * seldom, np.nan)


def untracked(before: IntArray, after: IntArray) -> FloatArray:
    """(L,) 1 for a label without another of its object just before or after, 0.5 with one of them, 0 with both.

    NaN for all where less than half of the labels have both: there, frames are too far apart to link anything.

    Args:
        before: (L,) row of the label before, -1 without.
        after: (L,) row of the label after, -1 without.
    """
    sides = (np.asarray(before) >= 0).astype(float) + (np.asarray(after) >= 0)
    if not len(sides) or np.mean(sides == 2) < 0.5:
        return np.full(len(sides), np.nan)
    return np.asarray(1 - sides / 2)


def standing(shares: FloatArray, stillness: FloatArray, still: BoolArray) -> FloatArray:
    """(L,) how much the place behaves like a fixture: taken on many frames by always the same box.

    Args:
        shares: (L,) share of all frames with a box at this place.
        stillness: (L,) median IoU of the place's boxes with its middle box. From 0.6, as where people walk
            through, to 0.9, the jitter of a detector on a fixed thing.
        still: (L,) True for classes that may stand still: NaN there.
    """
    # A tenth of all frames is already long for somebody on a junction; half of them is a fixture.
    often = np.clip((np.asarray(shares, float) - 0.05) / 0.45, 0, 1)
    return np.where(still, np.nan, often * np.clip((np.asarray(stillness, float) - 0.6) / 0.3, 0, 1))


def source_doubt(source_scores: FloatArray) -> FloatArray:
    """(L,) 1 - confidence of the model that made the label, stretched: 0 from a confidence of 0.7 on."""
    return np.asarray(1 - np.clip(np.asarray(source_scores, float) / 0.7, 0, 1))


def confidence(scores: FloatArray, matched: FloatArray) -> FloatArray:
    """(N,) detection scores against the scores of detections that a label confirms; high = sure.

    Args:
        scores: (N,) in [0, 1].
        matched: (M,) scores of the detections that match a label; their upper quartile becomes 1. With fewer
            than 20 the scores stand as they are.
    """
    scale = float(np.quantile(matched, 0.75)) if len(matched) >= _ENOUGH else 1.0
    return np.asarray(np.clip(np.asarray(scores, float) / max(scale, 0.2), 0, 1))
