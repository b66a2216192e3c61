"""Boxes of different frames that stand on the same place of the picture."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from curate.geometry.boxes import box_iou_pairwise
from curate.issues.inputs import PlaceEvidence
from curate.types import FloatArray, IntArray

__all__ = ["cluster_boxes", "recurring"]

_POSITION = 0.25
_SIZE = 0.35


def _cells(boxes: FloatArray, classes: IntArray) -> IntArray:
    """(N, 5) integer cell of class, size and centre; a cell is about a quarter of a box wide."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    level = np.round(np.log(size) / _SIZE)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    return np.column_stack([classes, level, np.round(centre / (np.exp(level * _SIZE) * _POSITION))]).astype(
        np.int64
    )


def cluster_boxes(boxes: FloatArray, classes: IntArray, *, iou: float = 0.5) -> IntArray:
    """Number the places of boxes (N, 4) of classes (N,).

    Boxes are put into fine cells first; then the fullest cell becomes a place and takes all cells of its
    class whose box has IoU >= `iou` with its own, and so on. Neighbours come from a k-d tree, so the cost grows
    with the occupied cells, whose number the picture limits, times those near each.

    Args:
        boxes: (N, 4).
        classes: (N,) ints; places never mix classes.
        iou: In (0, 1].

    Returns:
        (N,) place of each box, from 0.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if not len(boxes):
        return np.zeros(0, np.int64)
    cells, cell_of, counts = np.unique(
        _cells(boxes, np.asarray(classes)), axis=0, return_inverse=True, return_counts=True
    )
    cell_of = cell_of.ravel()
    order = np.argsort(cell_of, kind="stable")
    # Any box of a cell will do as its middle: the boxes of a cell hardly differ.
    middle = boxes[order[np.cumsum(counts) - counts + counts // 2]]
    return np.asarray(_lead(middle, cells[:, :3], counts, iou)[cell_of])


def _lead(middle: FloatArray, kinds: IntArray, counts: IntArray, iou: float) -> IntArray:
    """(cells,) place of each cell: the fullest cells lead and take what is near and still free."""
    a, b = _near_pairs(middle, kinds, iou)
    order = np.argsort(a, kind="stable")
    b = b[order]
    bounds = np.searchsorted(a[order], np.arange(len(middle) + 1)).tolist()
    place = np.full(len(middle), -1, np.int64)
    number = 0
    for leader in np.argsort(-counts, kind="stable").tolist():
        if place[leader] < 0:
            members = b[bounds[leader] : bounds[leader + 1]]
            place[members[place[members] < 0]] = number
            place[leader] = number
            number += 1
    return place


def _near_pairs(middle: FloatArray, kinds: IntArray, iou: float) -> tuple[IntArray, IntArray]:
    """All ordered pairs of boxes (N, 4) with IoU >= `iou`, class and size level (N, 3) given.

    Boxes are looked up by size level, so that a box only meets boxes of about its own size: for an IoU of t the
    sides differ by at most 1 : t and the centres by at most (1 - t) / (1 + t) of the longer side.
    """
    centres = (middle[:, :2] + middle[:, 2:]) / 2
    keys, at = np.unique(kinds, axis=0, return_inverse=True)
    order = np.argsort(at.ravel(), kind="stable")
    bounds = np.searchsorted(at.ravel()[order], np.arange(len(keys) + 1))
    members = [order[bounds[number] : bounds[number + 1]] for number in range(len(keys))]
    reach, levels = (1 - iou) / (1 + iou), int(np.ceil(-np.log(iou) / _SIZE))
    found = []
    for one in range(len(keys)):
        apart = np.abs(keys[one:] - keys[one])
        for two in (one + np.flatnonzero((apart[:, 0] == 0) & (apart[:, 1:].max(1) <= levels))).tolist():
            scale = np.exp((np.maximum(keys[one], keys[two])[1:] + 0.5) * _SIZE)
            trees = [cKDTree(centres[members[number]] / scale) for number in (one, two)]
            near = trees[0].sparse_distance_matrix(trees[1], reach + 1e-6, p=np.inf, output_type="ndarray")
            a, b = members[one][near["i"]], members[two][near["j"]]
            alike = box_iou_pairwise(middle[a], middle[b]) >= iou
            found.append((a[alike], b[alike]))
            if one != two:
                found.append((b[alike], a[alike]))
    return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])


def recurring(
    frames: IntArray, boxes: FloatArray, classes: IntArray, total_frames: int, *, iou: float = 0.5
) -> PlaceEvidence:
    """Where boxes stand, how often their place is taken and how still it is, from the boxes alone.

    Args:
        frames: (N,) frame of each box.
        boxes: (N, 4).
        classes: (N,).
        total_frames: Frames in all.
        iou: See `cluster_boxes`.

    Returns:
        One row per box; places never mix classes.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    ids = cluster_boxes(boxes, classes, iou=iou)
    if not len(ids):
        none = np.zeros(0)
        return PlaceEvidence(ids, ids, none, none)
    places = int(ids.max()) + 1
    counts = np.bincount(np.unique(np.column_stack([ids, frames]), axis=0)[:, 0], minlength=places)
    spread = box_iou_pairwise(_medians(boxes, ids, places)[ids], boxes)
    stillness = np.where(counts > 1, _medians(spread[:, None], ids, places)[:, 0], 0.0)
    return PlaceEvidence(ids, counts[ids], counts[ids] / max(total_frames, 1), stillness[ids])


def _medians(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """(count, K) lower median of each column of values (N, K) within each group 0 ... count - 1."""
    sizes = np.bincount(groups, minlength=count)
    at = np.cumsum(sizes) - sizes + (sizes - 1) // 2
    return np.stack([column[np.lexsort((column, groups))][at] for column in values.T], axis=1)
