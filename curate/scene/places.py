"""Places where boxes recur: parked vehicles, standing people, and the ghosts that a detector sees there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from curate.errors import DataError
from curate.geometry.boxes import box_iou
from curate.types import FloatArray, IntArray

__all__ = ["PlaceMap", "recurring_places"]


@dataclass(frozen=True, slots=True)
class PlaceMap:
    """Boxes grouped by place: N boxes, P places, places numbered from the most frequent to the rarest.

    Attributes:
        place: (N,) int in [0, P).
        boxes: (P, 4) robust box of each place (median of its members, side by side).
        count: (P,) boxes.
        frames: (P,) different frames.
        share: (P,) in [0, 1], frames / all frames given.
        first: (P,) time of the first box, seconds.
        last: (P,) time of the last box, seconds.
        stillness: (P,) in [0, 1], median IoU of the members with the place's box; 0 for a single box. A thing
            that stands has 0.85 and more, a busy pavement about the IoU limit of the grouping plus 0.1.
        persistence: (P,) in [0, 1], share of the frames between first and last in which it is there; 0 for a
            single frame.
    """

    place: IntArray
    boxes: FloatArray
    count: IntArray
    frames: IntArray
    share: FloatArray
    first: FloatArray
    last: FloatArray
    stillness: FloatArray
    persistence: FloatArray

    def __len__(self) -> int:
        return len(self.count)

    @property
    def span(self) -> FloatArray:
        """(P,) seconds from first to last."""
        return np.asarray(self.last - self.first)

    def standing(self, *, least_frames: int = 5, least_stillness: float = 0.8) -> IntArray:
        """Places of things that stand, most frequent first: the static-object ledger."""
        found = (self.frames >= least_frames) & (self.stillness >= least_stillness)
        return np.flatnonzero(found)


def recurring_places(
    boxes: FloatArray,
    frame_idx: IntArray,
    times: FloatArray,
    *,
    iou: float = 0.5,
    frame_count: int | None = None,
) -> PlaceMap:
    """Group boxes that lie at the same place, whatever their class and frame.

    The place with the most boxes takes all free boxes with at least `iou` to it, then the next. Boxes that
    are nearly equal are merged on a grid first and candidates come from a k-d tree, so that 100,000 boxes
    take seconds, also when most of them are one parked car.

    Args:
        boxes: (N, 4).
        frame_idx: (N,) number of the frame of each box.
        times: (N,) seconds of the frame of each box.
        iou: In (0, 1): how near a box must be to its place.
        frame_count: Frames looked at, with or without boxes; the number of different `frame_idx` when None.

    Raises:
        DataError: Lengths differ, or a box or time is not finite.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    frame_idx = np.asarray(frame_idx, np.int64).reshape(-1)
    times = np.asarray(times, float).reshape(-1)
    if not len(boxes) == len(frame_idx) == len(times):
        raise DataError(f"expected equal lengths, got {len(boxes)}, {len(frame_idx)} and {len(times)}")
    if not (np.isfinite(boxes).all() and np.isfinite(times).all()):
        raise DataError("boxes and times must be finite numbers")
    if not 0 < iou < 1:
        raise ValueError(f"iou must lie between 0 and 1, got {iou}")
    if not len(boxes):
        none, zero = np.zeros(0), np.zeros(0, np.int64)
        return PlaceMap(zero, np.zeros((0, 4)), zero, zero, none, none, none, none, none)
    cell = _merge_equal(boxes, (1 - iou) / 8)
    place = _lead(boxes, cell, iou)[cell]
    return _summary(boxes, frame_idx, times, place, frame_count)


def _merge_equal(boxes: FloatArray, step: float) -> IntArray:
    """(N,) number of the grid cell of each box; boxes of a cell differ by about `step` of their size."""
    sizes = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    level = np.round(np.log(sizes) / step)
    # The grid of the centres is as coarse as the (rounded) size of the box.
    centre = np.round((boxes[:, :2] + boxes[:, 2:]) / 2 / (np.exp(level * step) * step))
    keys = np.concatenate([level, centre], axis=1).astype(np.int64)
    _, cell = np.unique(keys, axis=0, return_inverse=True)
    return np.asarray(cell, np.int64).reshape(-1)


def _group_medians(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """(count, K) lower median of each column of values (N, K) within each group 0..count-1."""
    sizes = np.bincount(groups, minlength=count)
    middles = np.concatenate([[0], np.cumsum(sizes)[:-1]]) + np.maximum(sizes - 1, 0) // 2
    columns = [column[np.lexsort((column, groups))][middles] for column in values.T]
    return np.stack(columns, axis=1)


def _lead(boxes: FloatArray, cell: IntArray, iou: float) -> IntArray:
    """(cells,) place of each cell: leaders in the order of their boxes take what is near and free."""
    count = int(cell.max()) + 1
    weight = np.bincount(cell, minlength=count)
    middle = _group_medians(boxes, cell, count)
    centres = (middle[:, :2] + middle[:, 2:]) / 2
    sides = middle[:, 2:] - middle[:, :2]
    tree = cKDTree(centres)
    # Two boxes of IoU t: no side is longer than 1/t times the other's, so no centre is further than this.
    reach = max(1 - iou, (1 / iou - 1) / 2) * np.maximum(sides.max(1), 1e-3)
    place = np.full(count, -1, np.int64)
    number = 0
    for leader in np.argsort(-weight, kind="stable").tolist():
        if place[leader] >= 0:
            continue
        near = np.asarray(tree.query_ball_point(centres[leader], reach[leader] * 1.4143), np.int64)
        near = near[place[near] < 0]
        taken = near[box_iou(middle[leader][None], middle[near])[0] >= iou]
        place[taken] = number
        place[leader] = number
        number += 1
    return place


def _summary(
    boxes: FloatArray, frame_idx: IntArray, times: FloatArray, place: IntArray, frame_count: int | None
) -> PlaceMap:
    """Number the places by frequency and describe them."""
    count = np.bincount(place)
    rank = np.empty(len(count), np.int64)
    rank[np.argsort(-count, kind="stable")] = np.arange(len(count))
    place, count = rank[place], np.sort(count)[::-1]
    places = len(count)
    robust = _group_medians(boxes, place, places)
    own = robust[place]
    low, high = np.maximum(boxes[:, :2], own[:, :2]), np.minimum(boxes[:, 2:], own[:, 2:])
    inter = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) + np.prod(own[:, 2:] - own[:, :2], axis=1)
    overlap = inter / np.maximum(areas - inter, 1e-9)
    all_frames, ordinal = np.unique(frame_idx, return_inverse=True)
    pairs = np.unique(np.stack([place, ordinal], axis=1), axis=0)
    frames = np.bincount(pairs[:, 0], minlength=places)
    first, last = np.full(places, np.inf), np.full(places, -np.inf)
    np.minimum.at(first, place, times)
    np.maximum.at(last, place, times)
    early, late = np.full(places, len(all_frames)), np.full(places, -1)
    np.minimum.at(early, place, ordinal)
    np.maximum.at(late, place, ordinal)
    between = late - early + 1
    total = len(all_frames) if frame_count is None else max(frame_count, len(all_frames))
    several = frames > 1
    return PlaceMap(
        place=place,
        boxes=robust,
        count=count,
        frames=frames,
        share=frames / total,
        first=first,
        last=last,
        stillness=np.where(several, _group_medians(overlap[:, None], place, places)[:, 0], 0.0),
        persistence=np.where(several, frames / between, 0.0),
    )
