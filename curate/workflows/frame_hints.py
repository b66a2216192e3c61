"""Boxes at which a label may be missing, from the labels of other frames; judged along with each frame's labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.issues import FrameTable, HintSource, LabelTable, ledger_gaps, link_tracks, track_gaps
from curate.issues.pairs import overlaps
from curate.types import FloatArray, IntArray

__all__ = ["FrameHints", "frame_hints"]

_FILLED = 0.3


@dataclass(frozen=True)
class FrameHints:
    """H hints of one frame: boxes (H, 4), classes (H,), sources (H,) as in `HintTable`."""

    boxes: FloatArray
    classes: IntArray
    sources: IntArray

    def key(self) -> list[list[float]]:
        """What evidence that was made with them depends on, JSON-ready."""
        columns = (np.round(self.boxes, 1), self.classes[:, None], self.sources[:, None])
        return [[float(value) for value in row] for row in np.concatenate(columns, axis=1)]


def frame_hints(frames: FrameTable, labels: LabelTable) -> list[FrameHints]:
    """For each frame the boxes where tracks have a gap and where the ledger of standing objects has one.

    Places where a label of the same class stands already (IoU >= 0.3), and all but one of hints for the same
    place, are left out.
    """
    gaps = track_gaps(frames, labels, link_tracks(frames, labels))
    ledger = ledger_gaps(frames, labels)
    at = np.concatenate([gaps.frames, ledger.frames]).astype(np.int64)
    boxes = np.concatenate([gaps.boxes, ledger.boxes]).reshape(-1, 4)
    classes = np.concatenate([gaps.classes, ledger.classes]).astype(np.int64)
    sources = np.repeat([int(HintSource.GAP), int(HintSource.LEDGER)], [len(gaps.frames), len(ledger.frames)])
    limits = np.column_stack([frames.widths, frames.heights]).astype(float)[at]
    boxes = np.clip(boxes, 0, np.concatenate([limits, limits], axis=1))
    keep = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)
    pairs = overlaps(at, boxes, labels.frames, labels.boxes)
    same = classes[pairs.a] == np.asarray(labels.classes)[pairs.b]
    keep[pairs.a[same & (pairs.iou >= _FILLED)]] = False
    twins = overlaps(at, boxes, at, boxes)
    keep[twins.a[(twins.b < twins.a) & (twins.iou >= 0.5) & (classes[twins.a] == classes[twins.b])]] = False
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(at[rows], kind="stable")]
    bounds = np.searchsorted(at[rows], np.arange(len(frames) + 1))
    parts = [rows[bounds[frame] : bounds[frame + 1]] for frame in range(len(frames))]
    return [FrameHints(boxes[part], classes[part], sources[part]) for part in parts]
