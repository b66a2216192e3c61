"""Where a label may be missing although no detector says so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from curate.geometry.shapes import Rle
from curate.issues.checks import check_array, check_length
from curate.types import FloatArray, IntArray

__all__ = ["HintSource", "HintTable"]


class HintSource(IntEnum):
    """Where a hint comes from."""

    FOREGROUND = 0
    """A connected piece of foreground that no label covers."""
    GAP = 1
    """A track that has no label on this frame, but shortly before and after."""
    LEDGER = 2
    """A place at which something stands that is labelled on other frames."""


@dataclass(frozen=True)
class HintTable:
    """H boxes at which a label may be missing although no detector says so by itself.

    A detector that was trained on a cheap labeller's labels knows no more than the labeller did: these come from the
    fixed camera and from the labels of other frames. Evidence columns are None when not computed.

    Attributes:
        frames: (H,) index into the frame table.
        boxes: (H, 4) x1 y1 x2 y2 in pixels, finite.
        classes: (H,) index into the class list; -1 where only the detector could tell.
        sources: (H,) `HintSource`.
        class_probs: (H, C + 1) class posterior of the out-of-fold detector on the hint's own box.
        refined_boxes: (H, 4) where that detector would put the box.
        location_scores: (H,) IoU that it predicts for the given box.
        foreground: (H,) share of the box that differs from the plate, 0..1.
        unexplained: (H,) the same outside all labels.
        size_z: (H, 2) robust z-scores of width and height for the likelier class.
        masks: H masks of the mask head inside the box (None for one without).
    """

    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    sources: IntArray
    class_probs: FloatArray | None = None
    refined_boxes: FloatArray | None = None
    location_scores: FloatArray | None = None
    foreground: FloatArray | None = None
    unexplained: FloatArray | None = None
    size_z: FloatArray | None = None
    masks: tuple[Rle | None, ...] | None = None

    def __post_init__(self) -> None:
        rows = len(self.frames)
        for name in ("classes", "sources", "location_scores", "foreground", "unexplained"):
            check_array("hints", name, getattr(self, name), rows)
        check_array("hints", "boxes", self.boxes, rows, 4, finite=True)
        for name, width in (("refined_boxes", 4), ("size_z", 2)):
            check_array("hints", name, getattr(self, name), rows, width)
        if self.class_probs is not None:
            check_array(
                "hints", "class_probs", self.class_probs, rows, np.asarray(self.class_probs).shape[-1]
            )
        check_length("hints", "masks", self.masks, rows)

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def empty(cls) -> HintTable:
        """No hints."""
        none = np.zeros(0, np.int64)
        return cls(none, np.zeros((0, 4)), none, none)
