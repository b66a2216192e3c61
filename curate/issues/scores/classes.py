"""Is it the right class, and does it look like its class at all?"""

from __future__ import annotations

import numpy as np

from curate.types import FloatArray, IntArray

__all__ = ["class_doubt", "neighbour_doubt", "outlier_score", "seen_as_other", "track_minority"]


def class_doubt(class_probs: FloatArray, classes: IntArray) -> FloatArray:
    """(L,) share of the object's probability that goes to other classes, times the probability of an object.

    The product keeps boxes on nothing out: there, no class is right, and `spurious` is the finding.

    Args:
        class_probs: (L, C + 1) of an out-of-sample detector on the label's own box, background last.
        classes: (L,) labelled class.
    """
    probs = np.asarray(class_probs, float)
    objects = 1 - probs[:, -1]
    own = probs[np.arange(len(probs)), classes]
    return np.asarray(np.clip(1 - own / np.maximum(objects, 1e-9), 0, 1) * objects)


def seen_as_other(own: FloatArray, other: FloatArray) -> FloatArray:
    """(L,) how much better detections of another class cover the box than those of its own.

    Args:
        own: (L,) largest IoU x score of a detection with the labelled class.
        other: (L,) the same over all other classes.
    """
    return np.asarray(np.clip(np.asarray(other, float) - np.asarray(own, float), 0, 1))


def neighbour_doubt(agreement: FloatArray) -> FloatArray:
    """(L,) 1 - share of the nearest crops, from another time and track, with the same class."""
    return np.asarray(1 - np.asarray(agreement, float))


def outlier_score(percentile: FloatArray) -> FloatArray:
    """(L,) 0 for the nearer 90 % of the crops of a class, rising to 1 for the farthest.

    Args:
        percentile: (L,) rank of the crop's distance to its class, 0..1.
    """
    return np.asarray(np.clip((np.asarray(percentile, float) - 0.9) / 0.1, 0, 1))


def track_minority(tracks: IntArray, classes: IntArray) -> FloatArray:
    """(L,) share of the label's track that has another class than the label.

    A track of fewer than three labels says nothing: NaN.

    Args:
        tracks: (L,) number of the track, from 0.
        classes: (L,).
    """
    if not len(tracks):
        return np.zeros(0)
    width = int(np.max(classes)) + 1
    _, pair, pair_counts = np.unique(
        np.asarray(tracks) * width + np.asarray(classes), return_inverse=True, return_counts=True
    )
    length = np.bincount(tracks)[tracks]
    return np.where(length >= 3, 1 - pair_counts[pair.ravel()] / length, np.nan)
