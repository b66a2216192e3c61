"""Pairs of boxes on the same frame, over all frames at once: no Python loop over frames.

Everything is looked up in sorted numbers. Sorting plain numbers is by far the cheapest thing that numpy does with a
million rows: several times cheaper than a stable `argsort`, which is why rows are packed behind their keys here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from curate.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Pairs",
    "best_of",
    "iter_frame_pairs",
    "iter_sorted_windows",
    "iter_windows",
    "match_one_to_one",
    "overlaps",
    "sorted_pairs",
    "spread_keys",
    "stable_order",
]

# Few enough that the arrays of one chunk stay in the processor's cache.
_CHUNK = 65_536
_BITS = 62
# Coordinates beyond this are one and the same to the sorted keys, which only have to find all that may overlap.
_FAR = 1e7
# With so many times fewer rows than the other table, that one is first cut down to the frames of the smaller.
_FEWER = 4
_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True)
class Pairs:
    """P overlapping pairs of a box of table a with a box of table b, by row of a, then of b.

    Attributes:
        a: (P,) row in a.
        b: (P,) row in b.
        iou: (P,) in (0, 1].
        inside_a: (P,) intersection as a share of a's area, 0..1.
        inside_b: (P,) intersection as a share of b's area, 0..1.
    """

    a: IntArray
    b: IntArray
    iou: FloatArray
    inside_a: FloatArray
    inside_b: FloatArray

    def where(self, keep: BoolArray) -> Pairs:
        """The pairs for which `keep` (P,) is True."""
        return Pairs(self.a[keep], self.b[keep], self.iou[keep], self.inside_a[keep], self.inside_b[keep])


def stable_order(keys: IntArray) -> IntArray:
    """`argsort(keys, kind="stable")` of (N,) ints."""
    keys = np.asarray(keys, np.int64)
    if not len(keys):
        return np.zeros(0, np.int64)
    low, bits = int(keys.min()), len(keys).bit_length()
    if (int(keys.max()) - low).bit_length() + bits > _BITS:
        return np.argsort(keys, kind="stable")
    packed = ((keys - low) << bits) | np.arange(len(keys))
    packed.sort()
    return np.asarray(packed & ((1 << bits) - 1))


def sorted_pairs(a: IntArray, b: IntArray) -> IntArray:
    """(P,) order of pairs by a, then by b; no pair comes twice, and both are rows from 0."""
    bits = int(b.max(initial=0)).bit_length()
    if int(a.max(initial=0)).bit_length() + bits > _BITS:
        return np.lexsort((b, a))
    return np.argsort((np.asarray(a, np.int64) << bits) | b)


def iter_frame_pairs(frames_a: IntArray, frames_b: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """All pairs of rows with equal frame, in chunks, by row of a, then of b.

    Args:
        frames_a: (N,) frame of each row of a; any other number that two rows have to share will do as well.
        frames_b: (M,) frame of each row of b.

    Yields:
        Rows of a (P,) and of b (P,).
    """
    order = stable_order(frames_b)
    ordered = np.asarray(frames_b)[order]
    first = np.searchsorted(ordered, frames_a, "left")
    for rows, at in _expand(first, np.searchsorted(ordered, frames_a, "right") - first):
        yield rows, order.take(at)


def iter_windows(keys: FloatArray, low: FloatArray, high: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
    """All pairs of a window and a key inside it, ends included, in chunks.

    Args:
        keys: (M,) numbers, as from `spread_keys`.
        low: (N,) where each window begins.
        high: (N,) where it ends; one that ends before it begins is empty.

    Yields:
        Windows (P,) and rows of the keys (P,), by window.
    """
    order = np.argsort(keys)
    for rows, at in iter_sorted_windows(keys[order], low, high):
        yield rows, order.take(at)


def iter_sorted_windows(
    ordered: FloatArray, low: FloatArray, high: FloatArray
) -> Iterator[tuple[IntArray, IntArray]]:
    """The same for keys that are sorted already."""
    first = np.searchsorted(ordered, low, "left")
    yield from _expand(first, np.searchsorted(ordered, high, "right") - first)


def _expand(first: IntArray, counts: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Row n with each of first[n] ... first[n] + counts[n] - 1, in chunks of whole rows."""
    counts = np.maximum(counts, 0)
    ends = np.cumsum(counts)
    shift = first - ends + counts
    start = 0
    while start < len(counts):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, "right")))
        some, total = counts[start:stop], int(ends[stop - 1]) - done
        if total:
            at = np.repeat(shift[start:stop], some)
            at += np.arange(done, done + total)
            yield np.repeat(np.arange(start, stop), some), at
        start = stop


def spread_keys(
    frames: IntArray, values: tuple[FloatArray, ...], low: float, high: float
) -> list[FloatArray]:
    """One number for frame and coordinate: keys of one frame never meet the windows of another.

    Args:
        frames: (N,) frame of each row, or any other number that two rows have to share.
        values: Coordinates (N,), each of which becomes keys.
        low: The least coordinate in play.
        high: The largest.
    """
    low, high = max(low, -_FAR), min(high, _FAR)
    base = np.asarray(frames, float) * (max(high - low, 0.0) + 2.0) + (1.0 - low)
    return [base + np.clip(value, low, high) for value in values]


def overlaps(frames_a: IntArray, boxes_a: FloatArray, frames_b: IntArray, boxes_b: FloatArray) -> Pairs:
    """Every pair of boxes on the same frame that overlap at all.

    Args:
        frames_a: (N,) frames.
        boxes_a: (N, 4) boxes.
        frames_b: (M,) frames.
        boxes_b: (M, 4) boxes.
    """
    if _FEWER * len(frames_a) < len(frames_b):
        rows = np.flatnonzero(np.isin(frames_b, frames_a))
        pairs = _overlaps(frames_a, boxes_a, np.asarray(frames_b)[rows], np.asarray(boxes_b)[rows])
        return replace(pairs, b=rows.take(pairs.b))
    return _overlaps(frames_a, boxes_a, frames_b, boxes_b)


def _overlaps(frames_a: IntArray, boxes_a: FloatArray, frames_b: IntArray, boxes_b: FloatArray) -> Pairs:
    """Two boxes share a stretch of x exactly when one of them begins inside the other.

    Both ways are looked up among the sorted left edges, so that boxes that are far apart never become a pair.
    """
    a_sides = np.ascontiguousarray(np.asarray(boxes_a, np.float64).reshape(-1, 4).T)
    b_sides = np.ascontiguousarray(np.asarray(boxes_b, np.float64).reshape(-1, 4).T)
    if not a_sides.size or not b_sides.size:
        return Pairs(*_NOTHING, _NOTHING[2], _NOTHING[2])
    # fmin and fmax pass over boxes of NaN, which meet nothing.
    low = np.fmin(np.fmin.reduce(a_sides[0]), np.fmin.reduce(b_sides[0]))
    high = np.fmax(np.fmax.reduce(a_sides[2]), np.fmax.reduce(b_sides[2]))
    a_left, a_right = spread_keys(frames_a, (a_sides[0], a_sides[2]), low, high)
    b_left, b_right = spread_keys(frames_b, (b_sides[0], b_sides[2]), low, high)
    # The keys are rounded; what a window lets in too much is sorted out by the boxes themselves.
    slack = 2 * float(np.spacing(np.fmax(np.fmax.reduce(a_right), np.fmax.reduce(b_right))))
    found = [
        _meeting(a_sides, b_sides, a, b, b_sides[0].take(b) >= a_sides[0].take(a))
        for a, b in iter_windows(b_left, a_left - slack, a_right + slack)
    ]
    if frames_a is frames_b and boxes_a is boxes_b:
        for a, b, inter in found[:]:
            later = a_sides[0].take(a) < a_sides[0].take(b)
            found.append((b.compress(later), a.compress(later), inter.compress(later)))
    else:
        found += [
            _meeting(a_sides, b_sides, a, b, a_sides[0].take(a) > b_sides[0].take(b))
            for b, a in iter_windows(a_left, b_left - slack, b_right + slack)
        ]
    a, b, inter = (np.concatenate(column) for column in zip(*found, strict=True)) if found else _NOTHING
    order = sorted_pairs(a, b)
    a, b, inter = a.take(order), b.take(order), inter.take(order)
    area_a, area_b = (_areas(sides).take(rows) for sides, rows in ((a_sides, a), (b_sides, b)))
    return Pairs(a, b, inter / (area_a + area_b - inter), inter / area_a, inter / area_b)


def _areas(sides: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(sides[2] - sides[0], 0) * np.maximum(sides[3] - sides[1], 0))


def _meeting(
    a_sides: FloatArray, b_sides: FloatArray, a: IntArray, b: IntArray, keep: BoolArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """Those of the pairs that overlap, with their intersection; sides (4, N) and (4, M) of the boxes."""
    high = np.minimum(a_sides[3].take(a), b_sides[3].take(b)) - np.maximum(
        a_sides[1].take(a), b_sides[1].take(b)
    )
    keep &= high > 0
    a, b, high = a.compress(keep), b.compress(keep), high.compress(keep)
    wide = np.minimum(a_sides[2].take(a), b_sides[2].take(b)) - np.maximum(
        a_sides[0].take(a), b_sides[0].take(b)
    )
    keep = wide > 0
    return a.compress(keep), b.compress(keep), (wide * high).compress(keep)


def best_of(rows: IntArray, values: FloatArray, count: int) -> tuple[FloatArray, IntArray]:
    """For each of `count` rows the largest value and its position in `values`, the last one of equal values.

    Returns:
        (count,) values, 0 where a row has none, and (count,) positions, -1 where a row has none.
    """
    best, at = np.full(count, -np.inf), np.full(count, -1, np.int64)
    np.maximum.at(best, rows, values)
    top = np.flatnonzero(values == best[rows])
    at[rows[top]] = top
    best[at < 0] = 0.0
    return best, at


def match_one_to_one(a: IntArray, b: IntArray, weight: FloatArray, count_a: int, count_b: int) -> IntArray:
    """Greedy one-to-one matching by weight: in each round all pairs that are mutually best are taken.

    The result is that of the usual greedy loop over pairs sorted by weight, without the loop.

    Args:
        a: (P,) rows of a.
        b: (P,) rows of b.
        weight: (P,) affinity; pairs with weight <= 0 are never matched.
        count_a: Rows of a.
        count_b: Rows of b.

    Returns:
        (count_a,) matched row of b, or -1.
    """
    match = np.full(count_a, -1, np.int64)
    taken = np.zeros(count_b, bool)
    alive = np.flatnonzero(weight > 0)
    while len(alive):
        _, best_a = best_of(a[alive], weight[alive], count_a)
        _, best_b = best_of(b[alive], weight[alive], count_b)
        position = np.arange(len(alive))
        chosen = alive[(best_a[a[alive]] == position) & (best_b[b[alive]] == position)]
        match[a[chosen]] = b[chosen]
        taken[b[chosen]] = True
        alive = alive[(match[a[alive]] < 0) & ~taken[b[alive]]]
    return match
