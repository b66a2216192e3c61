"""Regions of the picture in which nothing is judged: the polygons themselves, not the boxes around them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from curate.types import FloatArray

__all__ = ["area_sums", "not_judged", "share_inside"]

# A box with this share of its area inside the regions counts neither way, in the loss as in the metric.
_IGNORED_SHARE = 0.5
_FRACTION_BITS = 4


def area_sums(polygons: Sequence[FloatArray], height: int, width: int) -> Tensor | None:
    """Summed-area table of the union of polygons; None without any.

    Args:
        polygons: (P, 2) corners each, in pixels of the input; where one crosses itself, inside is even-odd.
        height: Of the input.
        width: Of the input.

    Returns:
        (height + 1, width + 1) int32: how many pixels above and left of a corner lie in the regions.
    """
    if not polygons:
        return None
    inside = np.zeros((height, width), np.uint8)
    for polygon in polygons:
        # OpenCV counts from the centres of pixels, boxes and polygons from their edges.
        corners = np.round((np.asarray(polygon) - 0.5) * (1 << _FRACTION_BITS)).astype(np.int32)
        cv2.fillPoly(inside, [corners], 1, shift=_FRACTION_BITS)
    return torch.from_numpy(cv2.integral(inside))


def share_inside(boxes: Tensor, sums: Tensor) -> Tensor:
    """(A,) share in [0, 1] of each box's area inside the regions; what lies outside the input is cut off first.

    Args:
        boxes: (A, 4) pixels of the input; corners are rounded.
        sums: `area_sums`'s table, on the device of the boxes.
    """
    height, width = sums.shape[0] - 1, sums.shape[1] - 1
    x1, y1, x2, y2 = boxes.detach().round().long().unbind(1)
    x1, x2 = x1.clamp(0, width), x2.clamp(0, width)
    y1, y2 = y1.clamp(0, height), y2.clamp(0, height)
    covered = sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1]
    area = ((x2 - x1).clamp(min=0) * (y2 - y1).clamp(min=0)).clamp(min=1)
    return covered.clamp(min=0) / area


def not_judged(boxes: Tensor, ignore: Tensor, sums: Tensor | None) -> Tensor:
    """(A,) whether half of a box or more lies in one of the ignored boxes, or in the regions.

    Args:
        boxes: (A, 4) pixels of the input.
        ignore: (K, 4) boxes that are not judged.
        sums: The regions' table; None without any.
    """
    inside = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    if len(ignore):
        low = torch.maximum(boxes[:, None, :2], ignore[None, :, :2])
        high = torch.minimum(boxes[:, None, 2:], ignore[None, :, 2:])
        shared = (high - low).clamp(min=0).prod(2)
        area = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3).prod(1)
        inside |= (shared >= _IGNORED_SHARE * area[:, None]).any(1)
    if sums is not None:
        inside |= share_inside(boxes, sums) >= _IGNORED_SHARE
    return inside
