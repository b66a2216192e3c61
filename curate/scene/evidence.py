"""What the foreground says about given labels, and what it shows that no label covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from curate.errors import DataError
from curate.geometry.rle import mask_to_rle
from curate.geometry.shapes import Rle
from curate.scene.difference import foreground_mask
from curate.types import BoxTuple, FloatArray, IntArray, MaskArray

__all__ = [
    "Leftover",
    "covered_by_boxes",
    "foreground_fraction",
    "inside_share",
    "snap_box",
    "unexplained",
    "unlabelled_foreground",
]


@dataclass(frozen=True, slots=True)
class Leftover:
    """A connected piece of foreground that no label covers.

    Attributes:
        box: Tight box in pixel edges.
        area: Pixels.
        strength: Mean foreground value in [0, 1].
        mask: The piece, size of the frame.
    """

    box: BoxTuple
    area: int
    strength: float
    mask: Rle


def _box_means(values: FloatArray, boxes: FloatArray) -> FloatArray:
    """Mean of an (H, W) map over each box (N, 4), pixels cut by an edge counted by their share.

    The integral image is bilinear between its grid points, since the map is constant within a pixel: reading
    it at the box's real corners is exact. Parts outside the map count as 0.
    """
    height, width = values.shape
    total = np.zeros((height + 1, width + 1))
    total[1:, 1:] = np.asarray(values, float).cumsum(0).cumsum(1)

    def read(x: FloatArray, y: FloatArray) -> FloatArray:
        x, y = np.clip(x, 0, width), np.clip(y, 0, height)
        column, row = np.minimum(x.astype(int), width - 1), np.minimum(y.astype(int), height - 1)
        u, v = x - column, y - row
        upper = total[row, column] * (1 - u) + total[row, column + 1] * u
        lower = total[row + 1, column] * (1 - u) + total[row + 1, column + 1] * u
        return np.asarray(upper * (1 - v) + lower * v)

    x1, y1, x2, y2 = boxes.T
    mass = read(x2, y2) - read(x1, y2) - read(x2, y1) + read(x1, y1)
    area = (x2 - x1) * (y2 - y1)
    return np.asarray(np.clip(np.divide(mass, area, out=np.zeros_like(mass), where=area > 0), 0.0, 1.0))


def _boxes(boxes: FloatArray) -> FloatArray:
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise DataError("boxes must be finite numbers")
    return boxes


def foreground_fraction(
    fg: FloatArray, boxes: FloatArray, masks: Sequence[Rle | None] | None = None
) -> FloatArray:
    """Mean foreground value inside each label: (N,) in [0, 1]; near 0, nothing is there that moves.

    Args:
        fg: (H, W) foreground map in [0, 1].
        boxes: (N, 4).
        masks: N masks of the size of the map, or None: a label with a mask is measured inside it.

    Raises:
        DataError: A mask has another size than the map, or a box is not finite.
    """
    boxes = _boxes(boxes)
    result = _box_means(fg, boxes)
    if masks is None:
        return result
    if len(masks) != len(boxes):
        raise DataError(f"expected one mask (or None) per box, got {len(masks)} for {len(boxes)} boxes")
    # Run lengths are column-major: sums over runs are differences of one running sum.
    running = np.concatenate([[0.0], np.cumsum(np.asarray(fg, float).ravel(order="F"))])
    for index, mask in enumerate(masks):
        if mask is None:
            continue
        if (mask.height, mask.width) != fg.shape:
            raise DataError(
                f"expected a mask of {fg.shape[1]} x {fg.shape[0]} pixels, got {mask.width} x {mask.height}",
                item=f"mask {index}",
            )
        bounds = np.cumsum([0, *mask.counts])
        first, last = bounds[1:-1:2], bounds[2::2]
        area = int((last - first).sum())
        result[index] = float((running[last] - running[first]).sum()) / area if area else 0.0
    return np.clip(result, 0.0, 1.0)


def inside_share(boxes: FloatArray, region: MaskArray) -> FloatArray:
    """Share (N,) in [0, 1] of each box's area that lies in a region mask (H, W)."""
    return _box_means(np.asarray(region, float), _boxes(boxes))


def covered_by_boxes(boxes: FloatArray, shape: tuple[int, ...], margin: float = 0.0) -> MaskArray:
    """(H, W) mask of the union of the boxes (N, 4), each grown by `margin` pixels."""
    height, width = shape
    covered = np.zeros((height, width), bool)
    for x1, y1, x2, y2 in boxes.tolist():
        left, top = max(0, int(np.floor(x1 - margin))), max(0, int(np.floor(y1 - margin)))
        right, foot = min(width, int(np.ceil(x2 + margin))), min(height, int(np.ceil(y2 + margin)))
        covered[top : max(top, foot), left : max(left, right)] = True
    return covered


def unexplained(fg: FloatArray, boxes: FloatArray, *, margin: float = 3.0) -> FloatArray:
    """(H, W) the foreground map with 0 inside the labels, each grown by `margin` pixels.

    Args:
        fg: (H, W) foreground map in [0, 1].
        boxes: (N, 4) labels of the frame.
        margin: So that the outlines of labelled objects do not count as unexplained.
    """
    shape = (int(fg.shape[0]), int(fg.shape[1]))
    return np.where(covered_by_boxes(_boxes(boxes), shape, margin), 0.0, fg)


def unlabelled_foreground(
    fg: FloatArray,
    boxes: FloatArray,
    *,
    threshold: float = 0.5,
    least_area: int | None = None,
    margin: float = 3.0,
    exclude: MaskArray | None = None,
) -> list[Leftover]:
    """Connected pieces of foreground outside all labels, largest first: candidates for missing labels.

    Args:
        fg: (H, W) foreground map in [0, 1].
        boxes: (N, 4) labels of the frame.
        threshold: Value from which a pixel is foreground.
        least_area: Drop smaller pieces; 0.015 % of the frame (66 pixels of 768 x 576) when None.
        margin: Labels are grown by so many pixels, so that their own outlines do not come back as pieces.
        exclude: (H, W) bool, True where pieces do not count (ignore regions).
    """
    shape = (int(fg.shape[0]), int(fg.shape[1]))
    area_limit = max(9, round(1.5e-4 * shape[0] * shape[1])) if least_area is None else least_area
    mask = foreground_mask(fg, threshold=threshold)
    mask &= ~covered_by_boxes(_boxes(boxes), shape, margin)
    if exclude is not None:
        mask &= ~np.asarray(exclude, bool)
    # Bridge the gaps that clothes in the colour of the ground leave: more up and down than sideways.
    bridged = cv2.morphologyEx(np.pad(mask, 9).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 3), np.uint8))
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(bridged[9:-9, 9:-9], connectivity=8)
    found = []
    for piece in range(1, count):
        x, y, wide, high = (int(value) for value in stats[piece, :4])
        if stats[piece, cv2.CC_STAT_AREA] < area_limit or min(wide, high) < 3:
            continue
        here = np.s_[y : y + high, x : x + wide]
        own = (pieces[here] == piece) & mask[here]
        area = int(own.sum())
        if area < area_limit:
            continue
        whole = np.zeros(shape, bool)
        whole[here] = own
        strength = float(fg[here][own].mean())
        box = (float(x), float(y), float(x + wide), float(y + high))
        found.append(Leftover(box, area, strength, mask_to_rle(whole)))
    return sorted(found, key=lambda piece: -piece.area)


def _pieces_of(mask: MaskArray) -> tuple[IntArray, IntArray]:
    """Component number of each pixel (H, W) and the area of each number."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return np.asarray(pieces), np.asarray(stats[:, cv2.CC_STAT_AREA])


def snap_box(
    fg: FloatArray,
    box: BoxTuple,
    pad: float | None = None,
    *,
    threshold: float = 0.5,
    least_fill: float = 0.15,
) -> BoxTuple | None:
    """The box tightened (or extended by less than `pad` pixels) to the foreground inside it.

    A piece of foreground counts when most of it, within the padded box, lies inside the given box.

    Args:
        fg: (H, W) foreground map in [0, 1].
        box: A loose or shifted label.
        pad: Pixels that the result may reach beyond the box; 40 % of its shorter side, at least 8, when None.
        threshold: Value from which a pixel is foreground.
        least_fill: The pieces must fill this share of the resulting box.

    Returns:
        The tight box in pixel edges, or None when there is no clear piece: nothing moves there, it runs on
        far beyond the box (several people merged), or only crumbs are left.
    """
    height, width = fg.shape
    x1, y1, x2, y2 = (float(value) for value in box)
    pad = max(8.0, 0.4 * min(x2 - x1, y2 - y1)) if pad is None else pad
    left, top = max(0, int(np.floor(x1 - pad))), max(0, int(np.floor(y1 - pad)))
    right, foot = min(width, int(np.ceil(x2 + pad))), min(height, int(np.ceil(y2 + pad)))
    if right - left < 3 or foot - top < 3:
        return None
    mask = foreground_mask(fg[top:foot, left:right], threshold=threshold)
    pieces, areas = _pieces_of(mask)
    inner = np.s_[
        max(0, round(y1) - top) : max(0, round(y2) - top), max(0, round(x1) - left) : max(0, round(x2) - left)
    ]
    inside = np.bincount(pieces[inner].ravel(), minlength=len(areas))
    crumbs = max(9.0, 0.02 * (x2 - x1) * (y2 - y1))
    keep = (inside > 0.5 * areas) & (areas >= crumbs)
    keep[0] = False
    if not keep.any():
        return None
    kept = keep[pieces]
    rows, columns = np.flatnonzero(kept.any(1)), np.flatnonzero(kept.any(0))
    tight = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    # A piece that is cut off by the padded window (and not by the frame) runs on beyond it.
    runs_on = (
        (tight[0] == 0 and left > 0) or (tight[1] == 0 and top > 0)
        or (tight[2] == right - left and right < width) or (tight[3] == foot - top and foot < height)
    )  # fmt: skip
    area = (tight[2] - tight[0]) * (tight[3] - tight[1])
    if runs_on or kept.sum() < least_fill * area:
        return None
    return (float(left + tight[0]), float(top + tight[1]), float(left + tight[2]), float(top + tight[3]))
