"""Does a mask's outline lie on an edge of the foreground, or would it fit better a little aside?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from curate.errors import DataError
from curate.geometry.rle import rle_to_mask
from curate.geometry.shapes import Rle
from curate.types import FloatArray, MaskArray

__all__ = ["EdgeContrast", "edge_contrast"]

_DIRECTIONS = np.array([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])


@dataclass(frozen=True, slots=True)
class EdgeContrast:
    """One row per mask.

    Attributes:
        contrast: (N,) in [-1, 1], mean foreground just inside the outline minus just outside.
        aside: (N,) in [-1, 1], the best contrast of the same outline shifted, grown or shrunk.
        gain: (N,) contrast - aside: below 0 the outline would fit better elsewhere.
        shift: (N, 2) dx, dy in pixels of the best shift, (0, 0) when none is better.
        growth: (N,) pixels of the best growth (negative: shrink), 0 when none is better.
    """

    contrast: FloatArray
    aside: FloatArray
    gain: FloatArray
    shift: FloatArray
    growth: FloatArray


def edge_contrast(fg: FloatArray, masks: Sequence[Rle], *, distance: int = 3, band: int = 2) -> EdgeContrast:
    """Contrast of the foreground across each mask's outline, there and a little aside.

    Args:
        fg: (H, W) foreground map in [0, 1].
        masks: Of the size of the map. An empty mask has contrast 0 and gain 0.
        distance: Pixels of the comparison shifts and of growing and shrinking.
        band: Width in pixels of the bands inside and outside.

    Raises:
        DataError: A mask has another size than the map.
    """
    count = len(masks)
    contrast, aside = np.zeros(count), np.zeros(count)
    shift, growth = np.zeros((count, 2)), np.zeros(count)
    reach = 2 * distance + band + 1
    padded = np.pad(np.asarray(fg, np.float32), reach, mode="edge")
    for index, rle in enumerate(masks):
        if (rle.height, rle.width) != fg.shape:
            raise DataError(
                f"expected a mask of {fg.shape[1]} x {fg.shape[0]} pixels, got {rle.width} x {rle.height}",
                item=f"mask {index}",
            )
        mask = rle_to_mask(rle)
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            continue
        # The window of the map that the outline, however shifted or grown, can touch.
        top, foot, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        crop = np.pad(mask[top:foot, left:right], reach)
        values = padded[top : foot + 2 * reach, left : right + 2 * reach]
        shifted = _shifted_contrasts(crop, values, distance, band)
        grown = [_shifted_contrasts(_grow(crop, step), values, 0, band)[0] for step in (-distance, distance)]
        contrast[index] = shifted[0]
        others = np.concatenate([shifted[1:], grown])
        aside[index] = others.max()
        best = int(others.argmax())
        if others[best] > shifted[0]:
            if best < len(_DIRECTIONS) - 1:
                shift[index] = _DIRECTIONS[best + 1] * distance
            else:
                growth[index] = (-distance, distance)[best - (len(_DIRECTIONS) - 1)]
    return EdgeContrast(contrast, aside, contrast - aside, shift, growth)


def _grow(mask: MaskArray, pixels: int) -> MaskArray:
    """Dilate (or erode, when negative) by so many pixels, evenly to all sides."""
    side = 2 * abs(pixels) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    change = cv2.dilate if pixels > 0 else cv2.erode
    return np.asarray(change(mask.astype(np.uint8), kernel), bool)


def _shifted_contrasts(mask: MaskArray, values: FloatArray, distance: int, band: int) -> FloatArray:
    """Inside minus outside along the outline at every shift of `_DIRECTIONS`; -1 where no outline is left."""
    inner = np.argwhere(mask & ~_grow(mask, -band))
    outer = np.argwhere(_grow(mask, band) & ~mask)
    if not len(inner) or not len(outer):
        return np.full(len(_DIRECTIONS), -1.0)
    steps = _DIRECTIONS * distance
    means = []
    for places in (inner, outer):
        at_rows = np.clip(places[None, :, 0] + steps[:, 1:], 0, values.shape[0] - 1)
        at_columns = np.clip(places[None, :, 1] + steps[:, :1], 0, values.shape[1] - 1)
        means.append(values[at_rows, at_columns].mean(1))
    return np.asarray(means[0] - means[1], float)
