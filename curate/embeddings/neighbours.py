"""What the nearest crops say about a label: do they carry its class, is it unlike everything of its class?

Neighbours from the same block of time or the same track are left out: the same object half a second earlier
carries the same wrong label and would always agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from scipy.special import ndtr

from curate.embeddings.reduce import normalise
from curate.errors import DataError
from curate.types import FloatArray, IntArray

__all__ = ["Agreement", "Outliers", "knn_agreement", "outlier_distance"]

_MOST_COMPARED = 50_000
_OVERFETCH = 8
_LEAST_MEMBERS = 8
"""A class (at a place) with fewer measurable labels has no scale for "far"."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One row per label.

    Attributes:
        share: (N,) in [0, 1], weighted share of the neighbours with the label's own class; NaN when unknown.
        votes: (N, C) the same for every class; rows sum to 1, all NaN when unknown.
        count: (N,) neighbours found (at most k).
        reason: Why shares are NaN ("" when none is).
    """

    share: FloatArray
    votes: FloatArray
    count: IntArray
    reason: str


@dataclass(frozen=True, slots=True)
class Outliers:
    """One row per label.

    Attributes:
        distance: (N,) mean cosine distance to the nearest k of the own class; NaN when unknown.
        score: (N,) in [0, 1], where that lies in its class: 0.5 usual, 1 far out; NaN when unknown.
        reason: Why scores are NaN ("" when none is).
    """

    distance: FloatArray
    score: FloatArray
    reason: str


def _check(
    vectors: FloatArray, classes: IntArray, groups: IntArray | None, tracks: Sequence[str | None] | None
) -> tuple[FloatArray, IntArray, IntArray, IntArray]:
    """Unit vectors, classes, groups and tracks as numbers (labels without a track get their own)."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise DataError(f"expected finite vectors (N, D), got shape {vectors.shape}")
    count = len(vectors)
    classes = np.asarray(classes, np.int64).reshape(-1)
    # Without blocks only the label itself is left out.
    blocks = np.arange(count) if groups is None else np.asarray(groups, np.int64).reshape(-1)
    names = [None] * count if tracks is None else list(tracks)
    if not len(classes) == len(blocks) == len(names) == count:
        raise DataError(
            f"expected {count} classes, groups and tracks, got {len(classes)}, {len(blocks)}, {len(names)}"
        )
    known = {name: number for number, name in enumerate(dict.fromkeys(n for n in names if n is not None))}
    numbers = [len(known) + row if name is None else known[name] for row, name in enumerate(names)]
    return np.ascontiguousarray(normalise(vectors)), classes, blocks, np.asarray(numbers, np.int64)


def _neighbours(unit: FloatArray, groups: IntArray, tracks: IntArray, k: int) -> tuple[IntArray, FloatArray]:
    """Rows and similarities (N, k) of the nearest outside the own group and track; -1 and 0 if none.

    Among more than `_MOST_COMPARED` vectors only an even sample of so many is looked through: whether alike
    crops carry the class is a statistic, and the cost stays linear.
    """
    count = len(unit)
    pool = np.unique(np.linspace(0, count - 1, min(count, _MOST_COMPARED)).round().astype(np.int64))
    data = np.ascontiguousarray(unit[pool])
    rows = np.full((count, k), -1, np.int64)
    similar = np.zeros((count, k), np.float32)
    index = faiss.IndexFlatIP(unit.shape[1])
    index.add(data)
    depth = min(_OVERFETCH * k, len(pool))
    left = []
    for start in range(0, count, 4096):
        chunk = np.arange(start, min(start + 4096, count))
        found_similar, found = index.search(unit[chunk], depth)
        near = pool[np.maximum(found, 0)]
        allowed = (
            (found >= 0) & (groups[near] != groups[chunk][:, None]) & (tracks[near] != tracks[chunk][:, None])
        )
        place = np.cumsum(allowed, axis=1) - 1
        at_row, at_column = np.nonzero(allowed & (place < k))
        target = (chunk[at_row], place[at_row, at_column])
        rows[target] = near[at_row, at_column]
        similar[target] = found_similar[at_row, at_column]
        left.append(chunk[(allowed.sum(1) < k) & (depth < len(pool))])
    # Labels whose nearest are nearly all themselves (a parked car): look at everything, in bounded pieces.
    missing = np.concatenate(left) if left else np.zeros(0, np.int64)
    step = max(1, 20_000_000 // max(len(pool), 1))
    for start in range(0, len(missing), step):
        chunk = missing[start : start + step]
        scores = unit[chunk] @ data.T
        own = (groups[pool] == groups[chunk][:, None]) | (tracks[pool] == tracks[chunk][:, None])
        scores[own] = -np.inf
        top = np.argpartition(-scores, min(k, len(pool) - 1), axis=1)[:, :k]
        best = np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, 1), axis=1), 1)
        values = np.take_along_axis(scores, best, axis=1)
        valid = np.isfinite(values)
        rows[chunk, : best.shape[1]] = np.where(valid, pool[best], -1)
        similar[chunk, : best.shape[1]] = np.where(valid, values, 0.0)
    return rows, similar


def knn_agreement(
    vectors: FloatArray,
    classes: IntArray,
    groups: IntArray | None = None,
    tracks: Sequence[str | None] | None = None,
    *,
    k: int = 10,
    class_count: int | None = None,
) -> Agreement:
    """How far the k nearest crops outside the same block of time and track carry the same class.

    Classes are weighted to equal size, so that a rare class is not outvoted by a frequent one.

    Args:
        vectors: (N, D) features (reduce them first: see `Reducer`).
        classes: (N,) class index.
        groups: (N,) block of time; None leaves out only the label itself.
        tracks: N track ids or None each.
        k: Neighbours.
        class_count: Columns of the votes; the largest class index + 1 when None.

    Returns:
        NaN with a reason where a label has no neighbour outside its block and track, and everywhere when
        there is only one class (agreement would be 1 and mean nothing). Never an error for few vectors.

    Raises:
        DataError: Lengths differ, or vectors are not finite.
    """
    unit, kinds, blocks, numbers = _check(vectors, classes, groups, tracks)
    count = len(unit)
    wide = class_count if class_count is not None else int(kinds.max(initial=-1)) + 1
    votes = np.full((count, wide), np.nan)
    if len(np.unique(kinds)) < 2:
        reason = "there is only one class" if count else "there are no labels"
        return Agreement(np.full(count, np.nan), votes, np.zeros(count, np.int64), reason)
    rows, similar = _neighbours(unit, blocks, numbers, k)
    found = rows >= 0
    number = found.sum(1)
    sizes = np.bincount(kinds, minlength=wide)
    # Square root: full balance would let ten odd crops outweigh thousands.
    balance = 1 / np.sqrt(np.maximum(sizes, 1))
    kind = kinds[np.maximum(rows, 0)]
    weight = np.where(found, np.exp(4 * (similar - 1)) * balance[kind], 0.0)
    table = np.zeros((count, wide))
    np.add.at(table, (np.arange(count)[:, None], kind), weight)
    has = number > 0
    votes[has] = table[has] / table[has].sum(1, keepdims=True)
    share = votes[np.arange(count), kinds]
    missing = int((~has).sum())
    reason = f"{missing} labels have no neighbour outside their block of time and track" if missing else ""
    return Agreement(share, votes, number, reason)


def outlier_distance(
    vectors: FloatArray,
    classes: IntArray,
    groups: IntArray | None = None,
    tracks: Sequence[str | None] | None = None,
    *,
    places: IntArray | None = None,
    k: int = 5,
) -> Outliers:
    """How unlike its class (and place) a crop is, on a scale that outliers themselves do not stretch.

    The distance is compared with the median and the median absolute deviation of the class (of the class at
    that place where it has at least 8 labels) and put through the normal distribution.

    Args:
        vectors: (N, D) features.
        classes: (N,) class index.
        groups: (N,) block of time.
        tracks: N track ids or None each.
        places: (N,) number of a place or a light condition, or None.
        k: Neighbours of the own class.

    Returns:
        NaN with a reason for classes of fewer than 8 labels with a neighbour outside block and track.

    Raises:
        DataError: Lengths differ, or vectors are not finite.
    """
    unit, kinds, blocks, numbers = _check(vectors, classes, groups, tracks)
    count = len(unit)
    zone = np.zeros(count, np.int64) if places is None else np.asarray(places, np.int64).reshape(-1)
    if len(zone) != count:
        raise DataError(f"expected {count} places, got {len(zone)}")
    distance, score = np.full(count, np.nan), np.full(count, np.nan)
    for kind in np.unique(kinds).tolist():
        members = np.flatnonzero(kinds == kind)
        rows, similar = _neighbours(unit[members], blocks[members], numbers[members], k)
        found = rows >= 0
        has = found.any(1)
        mean = (similar * found).sum(1) / np.maximum(found.sum(1), 1)
        distance[members[has]] = 1 - mean[has]
        measured = members[has]
        if len(measured) < _LEAST_MEMBERS:
            continue
        score[measured] = _robust_rank(distance[measured], distance[measured])
        for spot in np.unique(zone[measured]).tolist():
            here = measured[zone[measured] == spot]
            if len(here) >= _LEAST_MEMBERS:
                score[here] = _robust_rank(distance[here], distance[here])
    unknown = int(np.isnan(score).sum())
    reason = ""
    if unknown:
        reason = f"{unknown} labels are of a class with fewer than {_LEAST_MEMBERS} comparable labels"
    return Outliers(distance, score, reason)


def _robust_rank(values: FloatArray, among: FloatArray) -> FloatArray:
    """Normal distribution of (value - median) / (1.4826 MAD), in [0, 1]."""
    middle = float(np.median(among))
    deviation = max(1.4826 * float(np.median(np.abs(among - middle))), 1e-3)
    return np.asarray(ndtr((values - middle) / deviation))
