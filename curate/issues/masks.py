"""Comparing and changing masks on crops: a full frame is never decoded for one small object."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from curate.annotations import Mask
from curate.geometry.iou import boundary_iou, mask_iou
from curate.geometry.polygons import to_rle
from curate.geometry.shapes import Rle
from curate.types import FloatArray, IntArray, MaskArray

__all__ = [
    "as_rles",
    "crop_rle",
    "mask_agreement",
    "mask_bounds",
    "mask_overlap",
    "paste_rle",
    "straightness",
]

Window = tuple[int, int, int, int]
_PAD = 2
# Width of the compared contour band, as a share of the object's own diagonal: a person of 90 px gets 2 px.
_BAND = 0.02


def as_rles(masks: Sequence[Mask | None], widths: IntArray, heights: IntArray) -> tuple[Rle | None, ...]:
    """N masks as run lengths; None stays None.

    Args:
        masks: N masks.
        widths: (N,) pixels of each mask's frame.
        heights: (N,) pixels of each mask's frame.
    """
    return tuple(
        None
        if mask is None or (not isinstance(mask, Rle) and not mask)
        else to_rle(mask, int(high), int(wide))
        for mask, wide, high in zip(masks, widths, heights, strict=True)
    )


def mask_bounds(rle: Rle) -> Window | None:
    """x1, y1, x2, y2 in whole pixels of what is inside, without decoding; None when empty."""
    ends = np.cumsum(np.asarray(rle.counts, np.int64))
    stops = ends[1::2]
    starts = ends[0::2][: len(stops)]
    keep = stops > starts
    starts, stops = starts[keep], stops[keep]
    if not len(starts):
        return None
    x1, x2 = int(starts[0] // rle.height), int((stops[-1] - 1) // rle.height) + 1
    tops, feet = starts % rle.height, (stops - 1) % rle.height
    # A run that goes over the foot of a column holds the last row of one and the first of the next.
    crosses = (starts // rle.height) != ((stops - 1) // rle.height)
    y1 = 0 if crosses.any() else int(tops.min())
    y2 = rle.height if crosses.any() else int(feet.max()) + 1
    return x1, y1, x2, y2


def crop_rle(rle: Rle, window: Window) -> MaskArray:
    """The part of a mask inside x1, y1, x2, y2 (whole pixels inside the frame), (y2 - y1, x2 - x1)."""
    x1, y1, x2, y2 = window
    ends = np.cumsum(np.asarray(rle.counts, np.int64))
    low, high = x1 * rle.height, x2 * rle.height
    clipped = np.clip(ends, low, high)
    lengths = np.diff(np.concatenate([[low], clipped]))
    values = np.arange(len(lengths)) % 2 == 1
    columns = np.repeat(values, lengths)
    if len(columns) < high - low:
        columns = np.concatenate([columns, np.zeros(high - low - len(columns), bool)])
    return np.asarray(columns.reshape((rle.height, x2 - x1), order="F")[y1:y2])


def paste_rle(crop: MaskArray, window: Window, height: int, width: int) -> Rle:
    """The crop's mask as run lengths of a frame of height x width; the rest of the frame is empty."""
    x1, y1, x2, y2 = window
    columns = np.zeros((height, x2 - x1), bool)
    columns[y1:y2] = crop
    flat = columns.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    if flat.size and flat[0]:
        counts = [0, *counts]
    counts[0] += x1 * height
    rest = (width - x2) * height
    if len(counts) % 2:
        counts[-1] += rest
    elif rest:
        counts.append(rest)
    return Rle(height, width, tuple(int(count) for count in counts))


def _joint_window(a: Rle, b: Rle) -> Window | None:
    bounds = [value for value in (mask_bounds(a), mask_bounds(b)) if value is not None]
    if not bounds:
        return None
    x1, y1 = min(value[0] for value in bounds), min(value[1] for value in bounds)
    x2, y2 = max(value[2] for value in bounds), max(value[3] for value in bounds)
    return (
        max(0, x1 - _PAD), max(0, y1 - _PAD), min(a.width, x2 + _PAD), min(a.height, y2 + _PAD),
    )  # fmt: skip


def mask_agreement(
    masks: Sequence[Rle | None], others: Sequence[Rle | None]
) -> tuple[FloatArray, FloatArray]:
    """Region IoU and boundary IoU of N masks with N others, row by row.

    The contour band is 2 % of the object's diagonal, at least one pixel, so that a small and a large object
    are judged alike.

    Returns:
        (N,) and (N,) in [0, 1]; NaN where either mask is None, their frames differ or both are empty.
    """
    region, boundary = np.full(len(masks), np.nan), np.full(len(masks), np.nan)
    for row, (a, b) in enumerate(zip(masks, others, strict=True)):
        if a is None or b is None or (a.height, a.width) != (b.height, b.width):
            continue
        window = _joint_window(a, b)
        if window is None:
            continue
        crop_a, crop_b = crop_rle(a, window), crop_rle(b, window)
        band = max(1, round(_BAND * float(np.hypot(*crop_a.shape))))
        region[row] = mask_iou(crop_a, crop_b)
        boundary[row] = boundary_iou(crop_a, crop_b, distance=band)
    return region, boundary


def mask_overlap(masks: Sequence[Rle | None], others: Sequence[Rle | None]) -> FloatArray:
    """(N,) share of the smaller of two masks that lies in the larger one, row by row, in [0, 1].

    NaN where either mask is None or empty, or their frames differ.
    """
    result = np.full(len(masks), np.nan)
    for row, (a, b) in enumerate(zip(masks, others, strict=True)):
        if a is None or b is None or (a.height, a.width) != (b.height, b.width):
            continue
        window = _joint_window(a, b)
        if window is not None:
            crop_a, crop_b = crop_rle(a, window), crop_rle(b, window)
            smaller = min(crop_a.sum(), crop_b.sum())
            result[row] = (crop_a & crop_b).sum() / smaller if smaller else np.nan
    return result


def straightness(masks: Sequence[Rle | None]) -> FloatArray:
    """(N,) how few and long straight edges each outline has: sum of the squared shares of its edges in its length.

    1 / n for n edges of one length: about 0.07 for a person traced with care, 0.2 for one clicked in six points.
    Edges are those of the largest piece's outline, simplified by a pixel. NaN where there is no mask.
    """
    result = np.full(len(masks), np.nan)
    for row, rle in enumerate(masks):
        window = None if rle is None else mask_bounds(rle)
        if rle is None or window is None:
            continue
        crop = np.zeros((window[3] - window[1] + 2, window[2] - window[0] + 2), np.uint8)
        crop[1:-1, 1:-1] = crop_rle(rle, window)
        outlines, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(outlines, key=len)
        corners = cv2.approxPolyDP(outline, 1.0, True)[:, 0]
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
        result[row] = float((edges**2).sum() / edges.sum() ** 2) if edges.sum() > 0 else 1.0
    return result
