"""Which class is seen where: cars on the road, people on the pavement."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from curate.errors import DataError
from curate.types import FloatArray, IntArray

__all__ = ["PlacePrior"]


@dataclass(frozen=True, slots=True)
class PlacePrior:
    """Share of each class by place of the foot point, smoothed over neighbouring cells.

    Attributes:
        counts: (rows, columns, C) smoothed number of labels by cell and class.
        totals: (C,) number of labels of each class over the whole frame.
        frame_size: Width and height in pixels.
        strength: Pseudo-labels: how much evidence a place needs against the frame-wide shares.
        kernel: What one label adds to its own cell.
    """

    counts: FloatArray
    totals: FloatArray
    frame_size: tuple[int, int]
    strength: float
    kernel: float

    @classmethod
    def fit(
        cls,
        boxes: FloatArray,
        classes: IntArray,
        *,
        class_count: int,
        frame_size: tuple[int, int],
        grid: tuple[int, int] = (32, 24),
        strength: float = 4.0,
    ) -> PlacePrior:
        """Count labels (N, 4) with class indices (N,) on a grid (columns, rows) over the frame.

        Raises:
            DataError: Lengths differ, a box is not finite, or a class index is out of range.
        """
        boxes, classes = np.asarray(boxes, float).reshape(-1, 4), np.asarray(classes, np.int64).reshape(-1)
        if len(boxes) != len(classes) or not np.isfinite(boxes).all():
            raise DataError(f"expected one class per finite box, got {len(classes)} for {len(boxes)} boxes")
        if len(classes) and not (classes.min() >= 0 and classes.max() < class_count):
            raise DataError(f"class indices must lie in 0..{class_count - 1}")
        columns, rows = grid
        counts = np.zeros((rows, columns, class_count), np.float64)
        row, column = _cells(boxes, frame_size, (rows, columns))
        np.add.at(counts, (row, column, classes), 1.0)
        smooth = [
            cv2.GaussianBlur(counts[..., k], (5, 5), 1.0, borderType=cv2.BORDER_REFLECT)
            for k in range(class_count)
        ]
        kernel = float(cv2.getGaussianKernel(5, 1.0)[2, 0] ** 2)
        totals = np.bincount(classes, minlength=class_count).astype(float)
        stacked = np.stack(smooth, axis=-1) if smooth else counts
        return cls(np.asarray(stacked), totals, frame_size, strength, kernel)

    def probabilities(self, boxes: FloatArray, own: IntArray | None = None) -> FloatArray:
        """(N, C) P(class | place), rows sum to 1.

        Args:
            boxes: (N, 4).
            own: (N,) class index of each label when the boxes are labels that the prior was fitted on: each
                is then judged without its own contribution.
        """
        boxes = np.asarray(boxes, float).reshape(-1, 4)
        row, column = _cells(boxes, self.frame_size, (self.counts.shape[0], self.counts.shape[1]))
        counts = self.counts[row, column].copy()
        totals = np.repeat(self.totals[None], len(boxes), axis=0)
        if own is not None:
            at = (np.arange(len(boxes)), np.asarray(own, np.int64))
            counts[at] = np.maximum(counts[at] - self.kernel, 0.0)
            totals[at] = np.maximum(totals[at] - 1.0, 0.0)
        wide = (totals + 1.0) / (totals + 1.0).sum(1, keepdims=True)
        mixed = counts + self.strength * wide * self.kernel
        return np.asarray(mixed / mixed.sum(1, keepdims=True))


def _cells(
    boxes: FloatArray, frame_size: tuple[int, int], shape: tuple[int, int]
) -> tuple[IntArray, IntArray]:
    """Row and column of the cell of each box's foot point (middle of the lower edge)."""
    foot_x, foot_y = (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]
    column = np.clip((foot_x / frame_size[0] * shape[1]).astype(int), 0, shape[1] - 1)
    row = np.clip((foot_y / frame_size[1] * shape[0]).astype(int), 0, shape[0] - 1)
    return row, column
