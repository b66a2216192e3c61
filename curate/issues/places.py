"""Boxes of different frames that stand on the same place of the picture."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from curate.geometry.boxes import box_area, box_iou_pairwise
from curate.issues.inputs import PlaceEvidence
from curate.issues.pairs import iter_sorted_windows, spread_keys, stable_order
from curate.types import FloatArray, IntArray

__all__ = ["cluster_boxes", "frames_of", "recurring"]

_POSITION = 0.25
_SIZE = 0.35
# So many of the fullest cells are looked at first, then twice as many, and so on.
_FIRST = 4096
# A window spans at most about twice so many bands of the picture.
_BANDS = 64
_FEW = 32_768
_BITS = 62


def cluster_boxes(boxes: FloatArray, classes: IntArray, *, iou: float = 0.5) -> IntArray:
    """Number the places of boxes (N, 4) of classes (N,).

    Boxes are put into fine cells first; then the fullest cell becomes a place and takes all cells of its
    class whose box has IoU >= `iou` with its own, and so on. Only cells that lead look for their neighbours, so
    the cost grows with the places, whose number the picture limits, times the cells near each.

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
    classes = np.asarray(classes, np.int64)
    keys = _cell_keys(boxes, classes)
    order = stable_order(keys)
    begins = np.flatnonzero(np.diff(keys[order], prepend=-1))
    counts = np.diff(begins, append=len(keys))
    # Any box of a cell will do as its middle: the boxes of a cell hardly differ.
    middle = order[begins + counts // 2]
    fullest = stable_order(-counts)
    leads = np.empty(len(counts), np.int64)
    leads[fullest] = _lead(boxes.take(middle[fullest], axis=0), classes[middle[fullest]], iou)
    places = np.empty(len(boxes), np.int64)
    places[order] = np.repeat(leads, counts)
    return places


def _cell_keys(boxes: FloatArray, classes: IntArray) -> IntArray:
    """(N,) number of each box's cell of class, size and centre; a cell is about a quarter of a box wide."""
    x1, y1, x2, y2 = boxes.T
    columns = [classes]
    for low, high in ((x1, x2), (y1, y2)):
        columns.append(np.round(np.log(np.maximum(high - low, 1e-6)) / _SIZE).astype(np.int64))
    for level, low, high in ((columns[1], x1, x2), (columns[2], y1, y2)):
        step = np.exp(level * _SIZE) * _POSITION
        columns.append(np.round((low + high) / 2 / step).astype(np.int64))
    keys = np.zeros(len(boxes), np.int64)
    for column in columns:
        numbers, span = column - column.min(), int(column.max()) - int(column.min()) + 1
        if int(keys.max()).bit_length() + span.bit_length() > _BITS:
            numbers, keys = (np.unique(each, return_inverse=True)[1].ravel() for each in (numbers, keys))
            span = int(numbers.max()) + 1
        keys = keys * span + numbers
    return keys


def _lead(boxes: FloatArray, classes: IntArray, iou: float) -> IntArray:
    """(N,) place of each of N cells, the fullest first: they lead and take what is near and still free."""
    place = np.full(len(boxes), -1, np.int64)
    free, size, number = np.arange(len(boxes)), _FIRST, 0
    while len(free):
        some = min(size, len(free))
        pairs = list(_near(boxes.take(free, axis=0), classes[free], some, iou))
        a, b = (np.concatenate(column) for column in zip(*pairs, strict=True))
        leads = _first_come(a, b, some)
        owner = np.full(len(free), some)
        taken = leads[a]
        np.minimum.at(owner, b[taken], a[taken])
        owner[:some][leads] = np.flatnonzero(leads)
        numbers = number + np.cumsum(leads) - 1
        mine = owner < some
        place[free[mine]] = numbers[owner[mine]]
        free, size, number = free[~mine], 2 * size, number + int(leads.sum())
    return place


def _first_come(a: IntArray, b: IntArray, count: int) -> np.ndarray:
    """(count,) True for cells that no leader before them takes; of neighbours a and b (P,) those within count."""
    inner = (a < b) & (b < count)
    leads = [True] * count
    a, b = a[inner], b[inner]
    order = np.argsort(a)
    for one, other in zip(a[order].tolist(), b[order].tolist(), strict=True):
        if leads[one]:
            leads[other] = False
    return np.array(leads, bool)


def _near(
    boxes: FloatArray, classes: IntArray, count: int, iou: float
) -> Iterator[tuple[IntArray, IntArray]]:
    """Pairs of one of the first `count` boxes and another box of its class with IoU >= `iou`, in chunks.

    For an IoU of t the sides differ by at most 1 : t, and centres are apart by at most (1 - t) / (1 + t) of the mean
    side. Boxes are sorted by class, by bands of the picture, and along x within a band.
    """
    x1, y1, x2, y2 = boxes.T
    x, y, share = (x1 + x2) / 2, (y1 + y2) / 2, (1 - iou) / (1 + iou) / 2 + 1e-6
    away_x, away_y = (share * np.maximum(high - low, 0) for low, high in ((x1, x2), (y1, y2)))
    wide, reach = (away[:count] + np.minimum(away[:count] / iou, away.max()) for away in (away_x, away_y))
    # Narrow bands let in less that is not near; few boxes are looked up sooner in fewer, wider ones.
    part = 0.5 if len(boxes) > _FEW else 2.0
    band = max(float(np.median(reach)) * part, float(reach.max()) / _BANDS, 1e-6)
    rows = np.floor(y / band)
    base, bands = rows.min(), rows.max() - rows.min() + 1
    limits = float(x.min()), float(x.max())
    (keys,) = spread_keys(classes * bands + rows - base, (x,), *limits)
    order = np.argsort(keys)
    first = np.maximum(np.floor((y[:count] - reach) / band), base)
    spans = (np.minimum(np.floor((y[:count] + reach) / band), base + bands - 1) - first + 1).astype(np.int64)
    query = np.repeat(np.arange(count), spans)
    at = np.arange(len(query)) - np.repeat(np.cumsum(spans) - spans, spans) + first[query]
    ends = x[query] - wide[query] - 0.1, x[query] + wide[query] + 0.1
    low, high = spread_keys(classes[query] * bands + at - base, ends, *limits)
    along = np.argsort(low)
    low, high, query = low.take(along) - 0.1, high.take(along) + 0.1, query.take(along)
    near_y, near_away = y.take(query), away_y.take(query)
    far_y, far_away = y.take(order), away_y.take(order)
    sides = np.ascontiguousarray(boxes.T)
    area = box_area(boxes)
    for window, there in iter_sorted_windows(keys.take(order), low, high):
        apart = np.abs(near_y.take(window) - far_y.take(there))
        keep = np.flatnonzero(apart <= near_away.take(window) + far_away.take(there))
        a, b = query.take(window.take(keep)), order.take(there.take(keep))
        one, other = sides.take(a, axis=1), sides.take(b, axis=1)
        inter = np.maximum(np.minimum(one[2], other[2]) - np.maximum(one[0], other[0]), 0)
        inter *= np.maximum(np.minimum(one[3], other[3]) - np.maximum(one[1], other[1]), 0)
        alike = np.flatnonzero((inter > 0) & (inter >= iou * (area.take(a) + area.take(b) - inter)))
        yield a.take(alike), b.take(alike)


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
    counts = frames_of(ids, frames, places)
    stillness = np.zeros(places)
    rows = np.flatnonzero((counts > 1)[ids])
    if len(rows):
        kept = np.flatnonzero(counts > 1)
        groups = (np.cumsum(counts > 1) - 1)[ids[rows]]
        middle = _medians(boxes.take(rows, axis=0), groups, len(kept))
        spread = box_iou_pairwise(middle.take(groups, axis=0), boxes.take(rows, axis=0))
        stillness[kept] = _medians(spread[:, None], groups, len(kept))[:, 0]
    return PlaceEvidence(ids, counts[ids], counts[ids] / max(total_frames, 1), stillness[ids])


def frames_of(ids: IntArray, frames: IntArray, count: int) -> IntArray:
    """(count,) on how many different frames (N,) each of the numbers 0 ... count - 1 in `ids` (N,) occurs."""
    frames = np.asarray(frames, np.int64)
    width = int(frames.max(initial=0)) + 1
    keys = np.sort(np.asarray(ids) * width + frames)
    return np.bincount(keys[np.flatnonzero(np.diff(keys, prepend=-1))] // width, minlength=count)


def _medians(values: FloatArray, groups: IntArray, count: int) -> FloatArray:
    """(count, K) lower median of each column of values (N, K) within each group 0 ... count - 1, none empty.

    Of values that are the same to one part in 2^50 of the whole range either may be taken.
    """
    sizes = np.bincount(groups, minlength=count)
    at = np.cumsum(sizes) - sizes + (sizes - 1) // 2
    medians = []
    for column in values.T:
        (keys,) = spread_keys(groups, (column,), float(column.min()), float(column.max()))
        medians.append(column[np.argsort(keys)[at]])
    return np.stack(medians, axis=1)
