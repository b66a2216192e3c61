"""How alike two masks are: region IoU and boundary IoU."""

from __future__ import annotations

import cv2
import numpy as np

from curate.types import MaskArray

__all__ = ["boundary_iou", "boundary_region", "mask_iou"]


def mask_iou(a: MaskArray, b: MaskArray) -> float:
    """Intersection over union of two (H, W) masks in [0, 1]; 1 when both are empty."""
    union = int(np.logical_or(a, b).sum())
    return float(np.logical_and(a, b).sum() / union) if union else 1.0


def boundary_region(mask: MaskArray, distance: int) -> MaskArray:
    """Pixels of the mask within `distance` pixels of its contour; the image border counts as contour."""
    square, steps = np.ones((3, 3), np.uint8), max(1, distance)
    # What lies outside the image counts as outside the mask.
    inner = cv2.erode(
        np.asarray(mask, np.uint8), square, iterations=steps, borderType=cv2.BORDER_CONSTANT, borderValue=0.0
    )
    return np.asarray(np.asarray(mask, bool) & ~inner.astype(bool))


def boundary_iou(a: MaskArray, b: MaskArray, *, ratio: float = 0.02, distance: int | None = None) -> float:
    """Boundary IoU in [0, 1] (Cheng et al., CVPR 2021): IoU of the two bands along the contours.

    Args:
        a: (H, W) mask.
        b: (H, W) mask.
        ratio: Width of the band as a share of the image diagonal, as in the paper.
        distance: Width in pixels instead; use it for crops.
    """
    if distance is None:
        distance = max(1, round(ratio * float(np.hypot(*a.shape))))
    return mask_iou(boundary_region(a, distance), boundary_region(b, distance))
