"""Does the mask fit the object, the box and itself?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.annotations import Mask
from curate.errors import FormatError
from curate.geometry.boxes import box_iou
from curate.geometry.polygons import polygons_bbox, polygons_valid_reason
from curate.geometry.shapes import Rle
from curate.issues.masks import mask_bounds
from curate.types import FloatArray

__all__ = ["edge_doubt", "invalid_polygon", "mask_box_gap", "mask_disagreement"]


def mask_disagreement(agreement: FloatArray, *, worst: float = 0.5) -> FloatArray:
    """(L,) 1 - agreement of two masks, stretched: 0 = the same, 1 from `worst` down.

    Args:
        agreement: (L,) region or boundary IoU of the labelled mask with an independent one, NaN when unknown.
        worst: The agreement of a mask that is plainly wrong; lower for boundary IoU, which is stricter.
    """
    return np.asarray(np.clip((1 - np.asarray(agreement, float)) / (1 - worst), 0, 1))


def edge_doubt(contrast: FloatArray) -> FloatArray:
    """(L,) 1 - contrast along the edge of the mask against the same edge shifted, clipped to 0..1."""
    return np.asarray(1 - np.clip(np.asarray(contrast, float), 0, 1))


def invalid_polygon(masks: Sequence[Mask | None]) -> FloatArray:
    """(L,) 1 for a polygon that crosses itself or has fewer than three points, 0 for a valid one.

    NaN where there is no mask. Run-length masks are always valid.
    """
    result = np.full(len(masks), np.nan)
    for row, mask in enumerate(masks):
        if mask is None:
            continue
        try:
            result[row] = float(not isinstance(mask, Rle) and bool(polygons_valid_reason(mask)))
        except FormatError:
            result[row] = 1.0
    return result


def mask_box_gap(masks: Sequence[Mask | None], boxes: FloatArray) -> FloatArray:
    """(L,) 1 - IoU of the box with the bounds of its mask: 0 when the box touches the mask on all sides.

    NaN where there is no mask; 1 for an empty one.

    Args:
        masks: L masks.
        boxes: (L, 4).
    """
    result = np.full(len(masks), np.nan)
    for row, mask in enumerate(masks):
        if mask is None:
            continue
        bounds = mask_bounds(mask) if isinstance(mask, Rle) else (polygons_bbox(mask) if mask else None)
        result[row] = 1.0 if bounds is None else 1 - box_iou(np.array(bounds, float), boxes[row])[0, 0]
    return result
