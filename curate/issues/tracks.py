"""Labels linked over time: tracks by motion where nobody gave track ids, and what a track expects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curate.issues.inputs import FrameTable, LabelTable
from curate.issues.pairs import iter_windows, match_one_to_one, sorted_pairs, spread_keys
from curate.types import BoolArray, FloatArray, IntArray

__all__ = [
    "Gaps",
    "Links",
    "affinity",
    "expected_boxes",
    "frame_order",
    "link_tracks",
    "shapes",
    "track_gaps",
]

_GATE = 0.15
_SKIP = 3
_LONG_GAP = 3.0
_SPREAD = 0.6


@dataclass(frozen=True)
class Links:
    """L labels joined into tracks.

    Attributes:
        tracks: (L,) number of the track; a label alone has a track of its own.
        before: (L,) row of the same object's label before, or -1.
        after: (L,) row of the same object's label after, or -1.
        given: Whether the tracks come from the labels' own track ids.
    """

    tracks: IntArray
    before: IntArray
    after: IntArray
    given: bool


@dataclass(frozen=True)
class Gaps:
    """G places where a track has no label on a frame between two of its labels.

    Attributes:
        frames: (G,) frame without the label.
        boxes: (G, 4) interpolated box.
        classes: (G,) class of the label before.
        before: (G,) row of the label before.
    """

    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    before: IntArray


def frame_order(frames: FrameTable) -> IntArray:
    """(F,) position of each frame in time; a gap between clips, or a long pause, skips many positions.

    So that "the next position" always means the next frame of the same recording.
    """
    if not len(frames):
        return np.zeros(0, np.int64)
    number = {name: index for index, name in enumerate(sorted(set(frames.clips)))}
    clip = np.array([number[name] for name in frames.clips], np.int64)
    times = np.asarray(frames.times, float)
    order = np.lexsort((times, clip))
    steps = np.diff(times[order])
    same = clip[order][1:] == clip[order][:-1]
    usual = float(np.median(steps[same])) if same.any() else 1.0
    broken = ~same | (steps > _LONG_GAP * max(usual, 1e-9))
    position = np.zeros(len(frames), np.int64)
    position[order] = np.concatenate([[0], np.cumsum(np.where(broken, _SKIP + 2, 1))])
    return position


def shapes(boxes: FloatArray) -> FloatArray:
    """(5, N) centre x and y, width, height and square root of the area of boxes (N, 4), for `affinity`."""
    x1, y1, x2, y2 = np.asarray(boxes, float).T
    wide, high = np.maximum(x2 - x1, 1e-6), np.maximum(y2 - y1, 1e-6)
    return np.array([(x1 + x2) / 2, (y1 + y2) / 2, wide, high, np.sqrt(wide * high)])


def affinity(a: FloatArray, b: FloatArray) -> FloatArray:
    """(N,) likeness in [0, 1] of two shapes (5, N): near centres, measured in their size, and like sides.

    Unlike IoU it does not fall to 0 when a thin person steps aside by one width.
    """
    distance = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (a[4] * b[4])
    unlike = np.abs(np.log(a[2] / b[2])) + np.abs(np.log(a[3] / b[3]))
    return np.asarray(np.exp(-(distance + unlike**2) / (2 * _SPREAD**2)))


def _reach(gate: float) -> float:
    """How far apart two boxes of likeness `gate` can be, in square roots of the area of either.

    d^2 + u^2 <= r^2 = 2 x spread^2 x -ln(gate), with d the distance over the mean size and u the difference of the
    logarithms of the sides. The other box is at most e^u times as large, so the distance is at most d e^(u / 4): most
    where u = r s with s = (sqrt(1 + r^2 / 4) - 1) / (r / 2).
    """
    radius = np.sqrt(-2 * np.log(gate)) * _SPREAD
    part = (np.sqrt(1 + radius**2 / 4) - 1) / (radius / 2)
    return float(radius * np.sqrt(1 - part**2) * np.exp(radius * part / 4)) * (1 + 1e-6)


def _link_step(
    order: IntArray,
    boxes: FloatArray,
    velocity: FloatArray,
    steps: int,
    open_end: BoolArray,
    open_start: BoolArray,
) -> IntArray:
    """(L,) row of the label `steps` positions later, or -1, matched one to one on predicted boxes."""
    a_rows, b_rows = np.flatnonzero(open_end), np.flatnonzero(open_start)
    if not len(a_rows) or not len(b_rows):
        return np.full(len(order), -1, np.int64)
    half = np.concatenate([velocity, velocity], 1) * (steps / 2)
    ahead, behind = (
        shapes(moved.take(rows, axis=0)) for moved, rows in ((boxes + half, a_rows), (boxes - half, b_rows))
    )
    away = _reach(_GATE) * ahead[4]
    limits = float(np.min(behind[0])), float(np.max(behind[0]))
    (keys,) = spread_keys(order[b_rows], (behind[0],), *limits)
    low, high = spread_keys(order[a_rows] + steps, (ahead[0] - away, ahead[0] + away), *limits)
    found = []
    for a, b in iter_windows(keys, low - 0.1, high + 0.1):
        near = np.flatnonzero(np.abs(ahead[1].take(a) - behind[1].take(b)) <= away.take(a))
        a, b = a.take(near), b.take(near)
        likeness = affinity(ahead.take(a, axis=1), behind.take(b, axis=1))
        like = likeness >= _GATE
        found.append((a.compress(like), b.compress(like), likeness.compress(like)))
    if not found:
        return np.full(len(order), -1, np.int64)
    a, b, likeness = (np.concatenate(column) for column in zip(*found, strict=True))
    first = sorted_pairs(a, b)
    return match_one_to_one(a_rows[a[first]], b_rows[b[first]], likeness[first], len(order), len(order))


def _velocity(boxes: FloatArray, after: IntArray, before: IntArray) -> FloatArray:
    """(L, 2) pixels per position from the links to both sides; 0 where there are none."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    moved, count = np.zeros((len(boxes), 2)), np.zeros(len(boxes))
    for other, sign in ((after, 1.0), (before, -1.0)):
        rows = np.flatnonzero(other >= 0)
        moved[rows] += sign * (centres[other[rows]] - centres[rows])
        count[rows] += 1
    return moved / np.maximum(count, 1)[:, None]


def _reverse(after: IntArray) -> IntArray:
    before = np.full(len(after), -1, np.int64)
    rows = np.flatnonzero(after >= 0)
    before[after[rows]] = rows
    return before


def link_tracks(frames: FrameTable, labels: LabelTable) -> Links:
    """Join the labels of one object over time.

    Track ids are used where the labels have any. Otherwise: one-to-one matching between neighbouring frames
    by `affinity`, once without and once with the velocity that the first pass found, then bridges over up to
    two frames without a label. All frames at once.

    Args:
        frames: The frames.
        labels: The labels.
    """
    order = frame_order(frames)[np.asarray(labels.frames, np.int64)] if len(labels) else np.zeros(0, np.int64)
    if labels.tracks is not None and any(labels.tracks):
        return _given_tracks(order, labels.tracks)
    boxes = np.asarray(labels.boxes, float)
    rows = len(labels)
    everything = np.ones(rows, bool)
    after = _link_step(order, boxes, np.zeros((rows, 2)), 1, everything, everything)
    velocity = _velocity(boxes, after, _reverse(after))
    after = _link_step(order, boxes, velocity, 1, everything, everything)
    for steps in range(2, _SKIP + 1):
        before = _reverse(after)
        velocity = _velocity(boxes, after, before)
        bridge = _link_step(order, boxes, velocity, steps, after < 0, before < 0)
        after = np.where(after >= 0, after, bridge)
    return _links(after, given=False)


def _given_tracks(order: IntArray, tracks: Sequence[str | None]) -> Links:
    number = {name: index for index, name in enumerate(dict.fromkeys(tracks)) if name}
    key = np.array([number.get(name, -1) if name else -1 for name in tracks], np.int64)
    after = np.full(len(key), -1, np.int64)
    rows = np.lexsort((order, key))
    rows = rows[key[rows] >= 0]
    same = (key[rows][1:] == key[rows][:-1]) & (order[rows][1:] > order[rows][:-1])
    after[rows[:-1][same]] = rows[1:][same]
    return _links(after, given=True)


def _links(after: IntArray, *, given: bool) -> Links:
    rows = np.flatnonzero(after >= 0)
    graph = coo_array((np.ones(len(rows)), (rows, after[rows])), shape=(len(after), len(after)))
    tracks = connected_components(graph, directed=False)[1] if len(after) else np.zeros(0, np.int64)
    return Links(np.asarray(tracks, np.int64), _reverse(after), after, given)


def expected_boxes(frames: FrameTable, labels: LabelTable, links: Links) -> FloatArray:
    """(L, 4) box interpolated in time from the same object's labels before and after; NaN without both."""
    expected = np.full((len(labels), 4), np.nan)
    rows = np.flatnonzero((links.before >= 0) & (links.after >= 0))
    if not len(rows):
        return expected
    times = np.asarray(frames.times, float)[labels.frames]
    boxes = np.asarray(labels.boxes, float)
    before, after = links.before[rows], links.after[rows]
    span = times[after] - times[before]
    share = np.where(span > 0, (times[rows] - times[before]) / np.where(span > 0, span, 1), 0.5)[:, None]
    expected[rows] = boxes[before] * (1 - share) + boxes[after] * share
    return expected


def track_gaps(frames: FrameTable, labels: LabelTable, links: Links) -> Gaps:
    """Frames on which a track has no label although it has one shortly before and after."""
    order = frame_order(frames)
    position = order[np.asarray(labels.frames, np.int64)] if len(labels) else np.zeros(0, np.int64)
    frame_at = np.full(int(order.max()) + 1 if len(order) else 0, -1, np.int64)
    frame_at[order] = np.arange(len(order))
    boxes = np.asarray(labels.boxes, float)
    found_frames, found_boxes, found_rows = [], [], []
    starts = np.flatnonzero(links.after >= 0)
    length = position[links.after[starts]] - position[starts]
    for steps in range(2, _SKIP + 1):
        rows = starts[length == steps]
        for step in range(1, steps):
            frame = frame_at[position[rows] + step]
            exists = frame >= 0
            share = step / steps
            found_frames.append(frame[exists])
            found_rows.append(rows[exists])
            found_boxes.append((boxes[rows] * (1 - share) + boxes[links.after[rows]] * share)[exists])
    if not found_rows:
        none = np.zeros(0, np.int64)
        return Gaps(none, np.zeros((0, 4)), none, none)
    before = np.concatenate(found_rows)
    return Gaps(
        np.concatenate(found_frames), np.concatenate(found_boxes), np.asarray(labels.classes)[before], before
    )
