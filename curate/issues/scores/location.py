"""Does the box fit? Scores for badly located, duplicated and jumping boxes, and for impossible geometry."""

from __future__ import annotations

import numpy as np

from curate.geometry.boxes import box_area, box_iou_pairwise
from curate.types import BoolArray, FloatArray, IntArray

__all__ = [
    "box_disagreement",
    "detection_disagreement",
    "duplicate_overlap",
    "elsewhere",
    "jitter_score",
    "misfit",
    "odd_size",
    "out_of_frame",
    "sliver",
]

# An IoU of 0.5 is as wrong as a box can be and still mean this object.
_WORST = 0.5


def box_disagreement(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(L,) 1 - IoU of two boxes, stretched: 0 = the same, 1 from IoU 0.5 down.

    Args:
        boxes: (L, 4) as labelled.
        others: (L, 4) where a detector, the foreground or the object's track would put the box; NaN rows
            give NaN.
    """
    others = np.asarray(others, float)
    known: BoolArray = np.asarray(np.isfinite(others).all(axis=1))
    iou = box_iou_pairwise(boxes, np.where(known[:, None], others, 0.0))
    return np.where(known, np.clip((1 - iou) / (1 - _WORST), 0, 1), np.nan)


def elsewhere(boxes: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """(L,) how much closer two independent boxes are to each other than the label is to either of them.

    0 where the label is as near to one of them as they are to each other, 1 from a difference in IoU of 0.4 on. Either
    of the two may be off by itself; that both are off in the same way is rare.

    Args:
        boxes: (L, 4) as labelled.
        first: (L, 4) where one source would put the box; NaN rows give NaN.
        second: (L, 4) where another one would.
    """
    known: BoolArray = np.asarray(np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1))
    a, b = (np.where(known[:, None], values, 0.0) for values in (first, second))
    nearest = np.maximum(box_iou_pairwise(boxes, a), box_iou_pairwise(boxes, b))
    return np.where(known, np.clip((box_iou_pairwise(a, b) - nearest) / 0.4, 0, 1), np.nan)


def detection_disagreement(iou: FloatArray, score: FloatArray) -> FloatArray:
    """(L,) (1 - IoU) x sqrt(confidence) of the matched detection, stretched as `box_disagreement`.

    Args:
        iou: (L,) IoU with the one-to-one matched out-of-sample detection, NaN without match.
        score: (L,) its confidence.
    """
    off = np.clip((1 - np.asarray(iou, float)) / (1 - _WORST), 0, 1)
    return np.asarray(off * np.sqrt(np.clip(score, 0, 1)))


def misfit(location_scores: FloatArray) -> FloatArray:
    """(L,) 1 - IoU that an out-of-sample detector predicts for the given box."""
    return np.asarray(1 - np.clip(np.asarray(location_scores, float), 0, 1))


def odd_size(size_z: FloatArray) -> FloatArray:
    """(L,) 0 for sizes within two robust standard deviations of what foot row and class expect, 1 from six.

    Args:
        size_z: (L, 2) z-scores of width and height; NaN when there is no expectation.
    """
    size_z = np.asarray(size_z, float)
    known = np.isfinite(size_z)
    worst = np.where(known, np.abs(size_z), 0.0).max(1)
    return np.asarray(np.where(known.any(axis=1), np.clip((worst - 2) / 4, 0, 1), np.nan))


def jitter_score(boxes: FloatArray, expected: FloatArray) -> FloatArray:
    """(L,) how much width and height differ from the track's: 0 = as expected, 1 from a factor of 1.65 on.

    Args:
        boxes: (L, 4).
        expected: (L, 4) box interpolated from the track's neighbours in time, NaN without.
    """
    boxes, expected = np.asarray(boxes, float), np.asarray(expected, float)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    usual = np.maximum(expected[:, 2:] - expected[:, :2], 1e-6)
    return np.asarray(np.clip(2 * np.abs(np.log(size / usual)).max(1), 0, 1))


def duplicate_overlap(iou: FloatArray, inside: FloatArray) -> FloatArray:
    """(L,) likeness of a label to another of its class on the frame: IoU, or half of how far it lies inside.

    Half a person boxed a second time has a small IoU with the whole, but lies inside it.

    Args:
        iou: (L,) with the other label.
        inside: (L,) share of the label's area inside the other.
    """
    return np.asarray(np.maximum(np.asarray(iou, float), 0.5 * np.asarray(inside, float)))


def sliver(boxes: FloatArray) -> FloatArray:
    """(L,) 1 for boxes that cannot hold an object: a side under 2 pixels or sides 12 : 1; 0 otherwise."""
    boxes = np.asarray(boxes, float)
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    ratio = size.max(1, initial=0) / np.maximum(size.min(1, initial=np.inf), 1e-6)
    return np.asarray(((size.min(1, initial=np.inf) < 2) | (ratio > 12)).astype(float))


def out_of_frame(boxes: FloatArray, widths: IntArray, heights: IntArray) -> FloatArray:
    """(L,) share of the box outside its frame; labels drawn a pixel over the edge get next to nothing.

    Args:
        boxes: (L, 4).
        widths: (L,) pixels of the label's frame.
        heights: (L,).
    """
    boxes = np.asarray(boxes, float)
    limits = np.column_stack([widths, heights, widths, heights]).astype(float)
    inside = np.clip(boxes, 0, limits)
    return np.asarray(1 - box_area(inside) / np.maximum(box_area(boxes), 1e-9))
