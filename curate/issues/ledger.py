"""The ledger of standing objects: a parked car that is labelled on some frames and not on others."""

from __future__ import annotations

import numpy as np

from curate.issues.inputs import FrameTable, LabelTable
from curate.issues.places import recurring
from curate.issues.tracks import Gaps, frame_order
from curate.types import BoolArray, IntArray

__all__ = ["ledger_gaps"]

_LEAST = 5
_STILL = 0.75
# A thing that stands for long is labelled on this share of the frames between its first and its last label.
_PERSISTENT = 0.4


def ledger_gaps(frames: FrameTable, labels: LabelTable) -> Gaps:
    """Frames on which a place has no label although the same thing stands there before and after.

    A place counts when its boxes are nearly the same on at least five frames, and on 40 % of the frames between the
    first and the last. Tracks bridge two frames (see `track_gaps`); the ledger bridges any number.

    Args:
        frames: The frames.
        labels: The labels; those that do not count fill a place as well.
    """
    places = recurring(labels.frames, labels.boxes, labels.classes, len(frames))
    order = frame_order(frames)
    at = order[np.asarray(labels.frames, np.int64)] if len(labels) else np.zeros(0, np.int64)
    found: list[tuple[IntArray, int]] = []
    for place in _standing(places.ids, places.counts >= _LEAST, places.stillness >= _STILL):
        rows = np.flatnonzero(places.ids == place)
        first, last = int(at[rows].min()), int(at[rows].max())
        between = np.flatnonzero((order > first) & (order < last))
        absent = between[~np.isin(between, np.asarray(labels.frames)[rows])]
        if len(absent) and len(absent) <= (1 / _PERSISTENT - 1) * len(np.unique(at[rows])):
            # The box of the nearest label in time: what stands may have been pushed a little.
            near = np.abs(at[rows][None] - order[absent][:, None]).argmin(1)
            found.extend((absent[near == pick], int(rows[pick])) for pick in np.unique(near).tolist())
    if not found:
        none = np.zeros(0, np.int64)
        return Gaps(none, np.zeros((0, 4)), none, none)
    kin = np.concatenate([np.full(len(absent), row) for absent, row in found])
    boxes = np.asarray(labels.boxes, float)[kin]
    return Gaps(np.concatenate([absent for absent, _ in found]), boxes, np.asarray(labels.classes)[kin], kin)


def _standing(ids: IntArray, often: BoolArray, still: BoolArray) -> list[int]:
    keep = np.asarray(often & still & (np.asarray(ids) >= 0))
    return [int(place) for place in np.unique(np.asarray(ids)[keep])]
