"""Which frames to label next: doubt times coverage, so that a training set gets varied and not only clean.

Greedy farthest-point selection (k-centre; Gonzalez 1985, as a labelling strategy Sener and Savarese 2018) on how
unlike a frame is to those labelled already, times how much it would teach: doubt of the detectors, and objects in
cells of class, place, size and light that hold few labels so far. The doubt is that of a committee (Seung et al.
1992): scores near one half, and detectors that disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.errors import DataError
from curate.issues.pairs import best_of, overlaps
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["FramePool", "Objects", "Pick", "choose_varied", "committee_doubt"]

_SAME = 0.5
_HALF = 2.0
_RARE = 3.0
# What a frame is worth that nothing speaks for but its novelty.
_BASE = 0.2


@dataclass(frozen=True)
class Objects:
    """M objects, labelled or detected.

    Attributes:
        frames: (M,) row of the pool.
        cells: (M, K) whole numbers, one column per facet (place, size, light ...); equal numbers are one cell.
        weights: (M,) in [0, 1], how sure the object is: 1 for a label, the score of a detection.
    """

    frames: IntArray
    cells: IntArray
    weights: FloatArray


@dataclass(frozen=True)
class FramePool:
    """N frames, labelled and not.

    Attributes:
        labelled: (N,) True for frames that are labelled already: they count as chosen from the start.
        allowed: (N,) True for frames that may be chosen (whole pictures, not labelled, not set aside).
        times: (N,) seconds.
        clips: (N,) number of the recording.
        repeats: (N,) number of the group of near-duplicates; of a group only one frame is ever chosen.
        doubt: (N,) in [0, 1], NaN when unknown (then the median of the others, or one half).
        vectors: (N, D) of length 1, or None without embeddings.
        span: Seconds after which a frame of the same recording is another situation.
    """

    labelled: BoolArray
    allowed: BoolArray
    times: FloatArray
    clips: IntArray
    repeats: IntArray
    doubt: FloatArray
    vectors: FloatArray | None = None
    span: float = 5.0

    def __post_init__(self) -> None:
        """Refuse tables that do not fit.

        Raises:
            DataError: Lengths differ, or vectors or times are not finite.
        """
        count = len(self.labelled)
        for name in ("allowed", "times", "clips", "repeats", "doubt"):
            if len(getattr(self, name)) != count:
                raise DataError(f"{name} needs {count} rows, got {len(getattr(self, name))}", item="frames")
        if self.vectors is not None and (len(self.vectors) != count or not np.isfinite(self.vectors).all()):
            raise DataError(f"expected {count} finite vectors, got {np.shape(self.vectors)}", item="frames")
        if not np.isfinite(np.asarray(self.times, float)).all():
            raise DataError("times must be finite", item="frames")


@dataclass(frozen=True)
class Pick:
    """A chosen frame and what spoke for it when it was chosen.

    Attributes:
        row: Of the pool.
        novelty: 0..1, unlike the frames labelled or chosen before, in looks and time.
        doubt: 0..1, of the detectors.
        rarity: 0..1, objects in cells with few labels.
        rarest: Object (row of the detections) in the emptiest cell, -1 without objects.
        held: Labels that the emptiest of that object's cells held.
    """

    row: int
    novelty: float
    doubt: float
    rarity: float
    rarest: int
    held: float


def committee_doubt(
    frames: IntArray, boxes: FloatArray, scores: FloatArray, classes: IntArray, members: IntArray, count: int
) -> FloatArray:
    """(count,) in [0, 1]: how unsure detectors are about each frame; 0.63 at two wholly doubtful objects.

    Every detection adds 4 s (1 - s), and with several detectors the difference of its score to that of the best
    detection of the same class with IoU >= 0.5 of each other one.

    Args:
        frames: (D,) frame of each detection.
        boxes: (D, 4).
        scores: (D,) in [0, 1]; NaN counts as 0.
        classes: (D,).
        members: (D,) number of the detector that made it, from 0.
        count: Frames in all.
    """
    scores = np.clip(np.nan_to_num(np.asarray(scores, float), nan=0.0), 0, 1)
    members = np.asarray(members, np.int64)
    size = int(members.max(initial=0)) + 1
    unsure = 4 * scores * (1 - scores)
    if size > 1:
        pairs = overlaps(frames, boxes, frames, boxes)
        same = np.asarray(classes)[pairs.a] == np.asarray(classes)[pairs.b]
        pairs = pairs.where((members[pairs.a] != members[pairs.b]) & same & (pairs.iou >= _SAME))
        slot = pairs.a * size + members[pairs.b]
        answer = best_of(slot, scores[pairs.b], len(scores) * size)[0].reshape(len(scores), size)
        apart = np.abs(scores[:, None] - answer)
        apart[np.arange(len(scores)), members] = 0.0
        unsure = unsure + apart.sum(1) / (size - 1)
    total = np.bincount(np.asarray(frames, np.int64), unsure, minlength=count) / size
    return np.asarray(1 - np.exp(-total / _HALF))


def choose_varied(pool: FramePool, labels: Objects, detections: Objects, count: int) -> list[Pick]:
    """The next frames to label, best first.

    The worth of a frame is novelty x (a little + doubt + rarity). Novelty is the distance to the nearest frame
    labelled or chosen before: half by embedding (against the farthest candidate at the start), half by time within
    the recording. Rarity sums over the frame's objects the emptiness 1 / (1 + labels / 3) of the emptiest of their
    cells. After each choice, its frame counts as labelled and its objects as labels.

    Args:
        pool: All frames.
        labels: Objects labelled so far, on any frames.
        detections: Objects that detectors see on the frames.
        count: Frames to choose.

    Returns:
        At most `count` picks; fewer when no frame is left that is allowed and no near-duplicate.
    """
    free = np.array(pool.allowed, bool) & ~np.asarray(pool.labelled, bool)
    free &= ~np.isin(pool.repeats, np.asarray(pool.repeats)[np.asarray(pool.labelled, bool)])
    doubt = np.asarray(pool.doubt, float)
    known = doubt[free & np.isfinite(doubt)]
    doubt = np.where(np.isfinite(doubt), doubt, np.median(known) if len(known) else 0.5)
    distance, scale = _distances(pool, free)
    lapse = _lapses(pool)
    tally = _Tally(labels, detections, len(free))
    picks: list[Pick] = []
    while len(picks) < count and free.any():
        novelty = (np.clip(distance / scale, 0, 1) + lapse) / 2
        rarity = tally.rarity()
        worth = np.where(free, novelty * (_BASE + doubt + rarity), -1.0)
        row = int(worth.argmax())
        rarest, held = tally.rarest(row)
        picks.append(Pick(row, float(novelty[row]), float(doubt[row]), float(rarity[row]), rarest, held))
        free &= np.asarray(pool.repeats) != pool.repeats[row]
        if pool.vectors is not None:
            distance = np.minimum(distance, 1 - np.asarray(pool.vectors) @ np.asarray(pool.vectors)[row])
        same = np.asarray(pool.clips) == pool.clips[row]
        away = np.abs(np.asarray(pool.times, float) - float(pool.times[row])) / pool.span
        lapse = np.where(same, np.minimum(lapse, np.clip(away, 0, 1)), lapse)
        tally.take(row)
    return picks


def _distances(pool: FramePool, free: BoolArray) -> tuple[FloatArray, float]:
    """(N,) cosine distance to the nearest labelled frame (to the mean of all without any), and its scale."""
    count = len(pool.labelled)
    if pool.vectors is None:
        return np.ones(count), 1.0
    vectors = np.asarray(pool.vectors, float)
    heads = vectors[np.asarray(pool.labelled, bool)]
    if not len(heads):
        middle = vectors.mean(0, keepdims=True)
        heads = middle / max(float(np.linalg.norm(middle)), 1e-9)
    nearest = np.full(count, np.inf)
    for start in range(0, len(heads), 2048):
        nearest = np.minimum(nearest, (1 - vectors @ heads[start : start + 2048].T).min(1))
    nearest = np.maximum(nearest, 0.0)
    return nearest, max(float(np.max(nearest[free], initial=0.0)), 1e-6)


def _lapses(pool: FramePool) -> FloatArray:
    """(N,) 0..1, time to the nearest labelled frame of the recording against the span; 1 without one."""
    result = np.ones(len(pool.labelled))
    times, clips = np.asarray(pool.times, float), np.asarray(pool.clips)
    for clip in np.unique(clips[np.asarray(pool.labelled, bool)]):
        inside = np.flatnonzero(clips == clip)
        marks = np.sort(times[inside][np.asarray(pool.labelled, bool)[inside]])
        at = np.searchsorted(marks, times[inside])
        left = np.abs(times[inside] - marks[np.clip(at - 1, 0, len(marks) - 1)])
        right = np.abs(times[inside] - marks[np.clip(at, 0, len(marks) - 1)])
        result[inside] = np.clip(np.minimum(left, right) / pool.span, 0, 1)
    return result


class _Tally:
    """How many labels each cell of each facet holds."""

    def __init__(self, labels: Objects, detections: Objects, frames: int) -> None:
        self._objects, self._frames = detections, frames
        facets = max(labels.cells.shape[1], detections.cells.shape[1])
        self._cells: list[IntArray] = []
        self._held: list[FloatArray] = []
        for facet in range(facets):
            every = np.concatenate([labels.cells[:, facet], detections.cells[:, facet]])
            _, number = np.unique(every, return_inverse=True)
            number = number.ravel()
            size = int(number.max(initial=-1)) + 1
            split = len(labels.cells)
            self._cells.append(number[split:])
            self._held.append(np.bincount(number[:split], labels.weights, minlength=size).astype(float))

    def _fewest(self) -> FloatArray:
        """(M,) labels in the emptiest cell of each object."""
        columns = [held[cells] for held, cells in zip(self._held, self._cells, strict=True)]
        return np.min(columns, axis=0) if columns else np.zeros(0)

    def rarity(self) -> FloatArray:
        empty = self._objects.weights / (1 + self._fewest() / _RARE)
        return np.asarray(1 - np.exp(-np.bincount(self._objects.frames, empty, minlength=self._frames)))

    def rarest(self, row: int) -> tuple[int, float]:
        """Of the objects of a frame the one that adds most to its rarity, and the labels in its emptiest cell."""
        at = np.flatnonzero(self._objects.frames == row)
        if not len(at):
            return -1, 0.0
        fewest = self._fewest()[at]
        best = int((self._objects.weights[at] / (1 + fewest / _RARE)).argmax())
        return int(at[best]), float(fewest[best])

    def take(self, row: int) -> None:
        at = self._objects.frames == row
        for held, cells in zip(self._held, self._cells, strict=True):
            np.add.at(held, cells[at], self._objects.weights[at])
