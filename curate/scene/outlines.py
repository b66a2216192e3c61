"""What the foreground says about the area of a mask: how much of it is empty, how much of the object it leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from curate.errors import DataError
from curate.geometry.rle import rle_to_mask
from curate.geometry.shapes import Rle
from curate.scene.difference import foreground_mask
from curate.types import FloatArray, IntArray, MaskArray

__all__ = ["MaskCover", "mask_cover"]

_NONE = (1.0, 0.0)


@dataclass(frozen=True, slots=True)
class MaskCover:
    """One row per mask.

    Attributes:
        empty: (N,) in [0, 1], share of the mask that is not foreground, seams of a few pixels not counted.
        left: (N,) >= 0, foreground that hangs together with the mask and lies outside it and all other masks,
            as a share of the mask's area.
    """

    empty: FloatArray
    left: FloatArray


def mask_cover(
    fg: FloatArray, masks: Sequence[Rle], *, others: IntArray | None = None, threshold: float = 0.5
) -> MaskCover:
    """Compare masks with the foreground under and around them.

    The foreground looked at reaches a quarter of the mask's larger side beyond its bounds. What lies inside
    another mask of the list belongs to that one.

    Args:
        fg: (H, W) foreground map in [0, 1].
        masks: All masks of the frame, of the size of the map. An empty one is empty to 1 and leaves nothing.
        others: (H, W) number of further labels (boxes without a mask) on each pixel, or None.
        threshold: Value from which a pixel is foreground.

    Raises:
        DataError: A mask has another size than the map.
    """
    for index, rle in enumerate(masks):
        if (rle.height, rle.width) != fg.shape:
            raise DataError(
                f"expected a mask of {fg.shape[1]} x {fg.shape[0]} pixels, got {rle.width} x {rle.height}",
                item=f"mask {index}",
            )
    drawn = [rle_to_mask(rle) for rle in masks]
    owners = np.zeros(fg.shape, np.int64) if others is None else np.array(others, np.int64)
    for mask in drawn:
        owners += mask
    moving = foreground_mask(fg, threshold=threshold)
    rows = np.array([_cover(moving, owners, mask) for mask in drawn]).reshape(-1, 2)
    return MaskCover(rows[:, 0], rows[:, 1])


def _cover(moving: MaskArray, owners: IntArray, mask: MaskArray) -> tuple[float, float]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return _NONE
    top, foot, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    reach = max(4, round(0.25 * max(foot - top, right - left)))
    window = np.s_[
        max(0, top - reach) : min(mask.shape[0], foot + reach),
        max(0, left - reach) : min(mask.shape[1], right + reach),
    ]
    own, here = mask[window], moving[window]
    area = float(own.sum())
    empty = _opened(own & ~here)
    free = here & (own | (owners[window] == 0))
    pieces = np.asarray(cv2.connectedComponents((free | own).astype(np.uint8), connectivity=4)[1])
    joined = np.isin(pieces, np.unique(pieces[own])) & free & ~own
    return float(empty.sum()) / area, float(_opened(joined).sum()) / area


def _opened(mask: MaskArray) -> MaskArray:
    """Without what is thinner than three pixels: every outline is a pixel off somewhere."""
    padded = np.pad(mask.astype(np.uint8), 2)
    return np.asarray(cv2.morphologyEx(padded, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))[2:-2, 2:-2], bool)
