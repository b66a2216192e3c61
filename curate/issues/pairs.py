"""Pairs of boxes on the same frame, over all frames at once: no Python loop over frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from curate.geometry.boxes import box_area
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["Pairs", "best_of", "iter_frame_pairs", "match_one_to_one", "overlaps"]

_CHUNK = 1_000_000


@dataclass(frozen=True)
class Pairs:
    """P overlapping pairs of a box of table a with a box of table b.

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


def iter_frame_pairs(frames_a: IntArray, frames_b: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """All pairs of rows with equal frame, in chunks of about a million.

    Args:
        frames_a: (N,) frame of each row of a.
        frames_b: (M,) frame of each row of b.

    Yields:
        Rows of a (P,) and of b (P,).
    """
    order = np.argsort(frames_b, kind="stable")
    sorted_b = np.asarray(frames_b)[order]
    first = np.searchsorted(sorted_b, frames_a, "left")
    counts = np.searchsorted(sorted_b, frames_a, "right") - first
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _CHUNK, "right")))
        some = counts[start:stop]
        total = int(some.sum())
        if total:
            rows = np.repeat(np.arange(start, stop), some)
            offset = np.arange(total) - np.repeat(np.cumsum(some) - some, some)
            yield rows, order[np.repeat(first[start:stop], some) + offset]
        start = stop


def overlaps(frames_a: IntArray, boxes_a: FloatArray, frames_b: IntArray, boxes_b: FloatArray) -> Pairs:
    """Every pair of boxes on the same frame that overlap at all.

    Args:
        frames_a: (N,) frames.
        boxes_a: (N, 4) boxes.
        frames_b: (M,) frames.
        boxes_b: (M, 4) boxes.
    """
    boxes_a = np.asarray(boxes_a, np.float64).reshape(-1, 4)
    boxes_b = np.asarray(boxes_b, np.float64).reshape(-1, 4)
    area_a, area_b = box_area(boxes_a), box_area(boxes_b)
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    for a, b in iter_frame_pairs(frames_a, frames_b):
        wide = np.minimum(boxes_a[a, 2], boxes_b[b, 2]) - np.maximum(boxes_a[a, 0], boxes_b[b, 0])
        high = np.minimum(boxes_a[a, 3], boxes_b[b, 3]) - np.maximum(boxes_a[a, 1], boxes_b[b, 1])
        touch = (wide > 0) & (high > 0)
        found.append((a[touch], b[touch], (wide * high)[touch]))
    if not found:
        none, zero = np.zeros(0, np.int64), np.zeros(0)
        return Pairs(none, none, zero, zero, zero)
    a, b = np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])
    inter = np.concatenate([part[2] for part in found])
    return Pairs(a, b, inter / (area_a[a] + area_b[b] - inter), inter / area_a[a], inter / area_b[b])


def best_of(rows: IntArray, values: FloatArray, count: int) -> tuple[FloatArray, IntArray]:
    """For each of `count` rows the largest value and its position in `values`.

    Returns:
        (count,) values, 0 where a row has none, and (count,) positions, -1 where a row has none.
    """
    best, at = np.zeros(count), np.full(count, -1, np.int64)
    order = np.argsort(values, kind="stable")
    # Later writes win, so the largest value of each row is what stays.
    best[rows[order]] = values[order]
    at[rows[order]] = order
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
