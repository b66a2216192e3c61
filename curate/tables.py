"""Arrays that detectors, scene models and finders exchange: one dataclass per frame, one row per object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

import numpy as np

from curate.geometry.shapes import Rle
from curate.types import FloatArray, ImageArray, IntArray

__all__ = ["Detections", "Detector", "LabelScores"]


@dataclass(frozen=True)
class Detections:
    """What a detector sees on one frame, best first.

    Attributes:
        boxes: (N, 4) float, x1 y1 x2 y2 in absolute pixels of the frame.
        scores: (N,) float in [0, 1].
        classes: (N,) int, index into the detector's `classes`.
        masks: N run-length masks of the size of the frame, or None when the detector was not asked for masks.
    """

    boxes: FloatArray
    scores: FloatArray
    classes: IntArray
    masks: tuple[Rle, ...] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, score: float) -> Detections:
        """Those with at least that score."""
        keep = self.scores >= score
        masks = None if self.masks is None else tuple(compress(self.masks, keep.tolist()))
        return Detections(self.boxes[keep], self.scores[keep], self.classes[keep], masks)

    @classmethod
    def empty(cls) -> Detections:
        """No detections."""
        return cls(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


@dataclass(frozen=True)
class LabelScores:
    """What a detector says about L GIVEN boxes of one frame, taken as proposals: no matching threshold.

    Attributes:
        class_probs: (L, C + 1) float rows that sum to 1; the last column is background.
        refined_boxes: (L, 4) where the detector would put the box.
        location_scores: (L,) in [0, 1]: how well the detector thinks that the GIVEN box fits (predicted IoU).
        masks: L run-length masks inside the given boxes, size of the frame; None when there is no mask head.
        mask_scores: (L,) mean confidence of the mask's pixels in [0, 1]; None when there is no mask head.
    """

    class_probs: FloatArray
    refined_boxes: FloatArray
    location_scores: FloatArray
    masks: tuple[Rle, ...] | None = None
    mask_scores: FloatArray | None = None


class Detector(Protocol):
    """What the layers above need of a detector, generic or trained on the site."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the indices."""
        ...

    def predict(self, images: Sequence[ImageArray], *, masks: bool = False) -> list[Detections]:
        """Detections of each (H, W, 3) RGB image."""
        ...

    def score_boxes(self, images: Sequence[ImageArray], boxes: Sequence[FloatArray]) -> list[LabelScores]:
        """Judge given (L, 4) boxes of each image."""
        ...
