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

__all__ = [
    "above_usual",
    "edge_aside",
    "edge_doubt",
    "hollow",
    "invalid_polygon",
    "mask_box_gap",
    "mask_disagreement",
]

_ENOUGH = 20


def mask_disagreement(agreement: FloatArray, *, worst: float = 0.5) -> FloatArray:
    """(L,) 1 - agreement of two masks, stretched: 0 = as the better quarter of the site's labels, 1 from `worst` down.

    The agreement that counts as none is the upper quartile (1 with fewer than 20 labels): a mask head that never gets
    beyond IoU 0.8 doubts nobody for that.

    Args:
        agreement: (L,) region or boundary IoU of the labelled mask with an independent one, NaN when unknown.
        worst: The agreement of a mask that is plainly wrong; lower for boundary IoU, which is stricter.
    """
    agreement = np.asarray(agreement, float)
    best = max(_upper_quartile(agreement, 1.0), worst + 0.1)
    return np.asarray(np.clip((best - agreement) / (best - worst), 0, 1))


def above_usual(values: FloatArray, reach: float) -> FloatArray:
    """(L,) 0 up to the upper quartile of the site's labels (0 with fewer than 20), 1 from `reach` above it.

    Args:
        values: (L,) high = suspicious, NaN when unknown.
        reach: In the unit of the values, > 0.
    """
    values = np.asarray(values, float)
    return np.asarray(np.clip((values - _upper_quartile(values, 0.0)) / reach, 0, 1))


def _upper_quartile(values: FloatArray, without: float) -> float:
    known = values[np.isfinite(values)]
    return float(np.quantile(known, 0.75)) if len(known) >= _ENOUGH else without


def hollow(empty: FloatArray) -> FloatArray:
    """(L,) share of the mask that looks like the empty scene, stretched; NaN for an object that stands in the plate.

    Args:
        empty: (L,) that share, 0..1. From 0.7 on it is not the outline that is in doubt but the object, or it stands.
    """
    empty = np.asarray(empty, float)
    return above_usual(np.where(empty < 0.7, empty, np.nan), 0.3)


def edge_aside(gain: FloatArray) -> FloatArray:
    """(L,) how much better the outline would lie on an edge of the foreground a few pixels aside, larger or smaller.

    Args:
        gain: (L,) contrast of the outline minus the best of those nearby, -2..2; NaN when unknown.
    """
    return np.asarray(np.clip(-np.asarray(gain, float) / 0.3, 0, 1))


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
