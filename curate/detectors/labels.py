"""Labels of a training frame: boxes in pixels of its canvas, masks as crops of the frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.types import FloatArray, IntArray, MaskArray

__all__ = ["CanvasLabels", "MaskCrop", "crop_mask"]


@dataclass(frozen=True)
class MaskCrop:
    """The part of a mask around its object: pixels, and where they lie in the frame (x, y)."""

    pixels: MaskArray
    x: int
    y: int

    def sample(self, box: FloatArray, size: int) -> FloatArray:
        """(size, size) share of foreground in the cells of a grid over a box given in pixels of the frame."""
        steps = (np.arange(2 * size) + 0.5) / (2 * size)
        xs = np.floor(box[0] + steps * (box[2] - box[0])).astype(int) - self.x
        ys = np.floor(box[1] + steps * (box[3] - box[1])).astype(int) - self.y
        height, width = self.pixels.shape
        inside = ((ys >= 0) & (ys < height))[:, None] & ((xs >= 0) & (xs < width))[None]
        found = self.pixels[np.clip(ys, 0, height - 1)][:, np.clip(xs, 0, width - 1)] & inside
        return np.asarray(found.reshape(size, 2, size, 2).mean((1, 3)))


def crop_mask(mask: MaskArray) -> MaskCrop | None:
    """The part of a mask (H, W) around its object; None when it is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    y, x = int(rows[0]), int(columns[0])
    return MaskCrop(mask[y : rows[-1] + 1, x : columns[-1] + 1].copy(), x, y)


@dataclass(frozen=True)
class CanvasLabels:
    """Labels of one frame before augmentation.

    Attributes:
        boxes: (N, 4) pixels of the canvas.
        classes: (N,).
        ignore: (K, 4) pixels of the canvas.
        masks: One per label, in pixels of the frame; None where the label has no mask.
        regions: Polygons (P, 2) that are not judged, in pixels of the canvas.
    """

    boxes: FloatArray
    classes: IntArray
    ignore: FloatArray
    masks: tuple[MaskCrop | None, ...]
    regions: tuple[FloatArray, ...] = ()
