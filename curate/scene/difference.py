"""What differs from the plate: foreground map, mask, difference channels for a detector."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from curate.scene.plate import Plate, check_image
from curate.types import BoolArray, FloatArray, ImageArray, MaskArray

__all__ = ["difference_channels", "foreground", "foreground_mask"]

_LOW, _HIGH = 3.0, 9.0
"""Deviations (in standard deviations of the pixel) where the foreground value leaves 0 and reaches 1."""
_FLOOR = 1.5
"""Grey levels of noise that are always allowed for: rounding, compression."""
_JITTER = 0.25
"""Pixels by which edges may wander (wind on the mast, video compression)."""
_SHADOW = (0.5, 0.97)
"""A pixel this much darker than the plate, of the same colour, may be a shadow."""
_SHADOW_WEIGHT = 0.4


def _blur(image: ImageArray) -> FloatArray:
    # Kernels are odd everywhere in this package: an even one would shift the map by half a pixel or one.
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (3, 3), 0.7))


@functools.lru_cache(maxsize=4)
def _prepared(plate: Plate) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Blurred plate, tolerance in grey levels (H, W) and validity, computed once per plate."""
    ground = _blur(plate.image)
    grey = ground.mean(-1)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(grey, cv2.CV_32F, 0, 1) / 8
    wander = _JITTER * np.hypot(across, down)
    spread = cv2.GaussianBlur(plate.spread.astype(np.float32), (3, 3), 0.7)
    tolerance = np.sqrt(0.6 * spread**2 + _FLOOR**2 + wander**2)
    return ground, np.asarray(tolerance, np.float32), plate.valid


def _gains(image: FloatArray, ground: FloatArray, valid: BoolArray) -> FloatArray:
    """(3,) light of the frame relative to the plate: the median ratio per channel over a grid of pixels."""
    grid = np.s_[1::3, 1::3]
    keep = valid[grid]
    if not keep.any():
        return np.ones(3, np.float32)
    ratios = (image[grid][keep] + 4.0) / (ground[grid][keep] + 4.0)
    return np.asarray(np.clip(np.median(ratios, axis=0), 0.1, 10.0), np.float32)


def foreground(image: ImageArray, plate: Plate) -> FloatArray:
    """How surely each pixel is not the empty scene: (H, W) float32 in [0, 1].

    The deviation from the light-compensated plate is measured in standard deviations of the pixel's own noise
    plus a tolerance at edges; 3 deviations give 0, 9 give 1. Darkening without a change of colour counts less
    (shadows). Pixels without a valid plate give 0.

    Args:
        image: (H, W, 3) RGB frame.
        plate: Of the same size.

    Raises:
        ImageError: The frame has another size.
    """
    check_image(image, size=plate.size)
    ground, tolerance, valid = _prepared(plate)
    picture = _blur(image)
    expected = ground * _gains(picture, ground, valid)
    deviation = picture - expected
    total, bright = picture.sum(-1), expected.sum(-1)
    ratio = total / np.maximum(bright, 1.0)
    # Split the deviation into darker-or-brighter of the same colour, and the rest.
    same_colour = (ratio - 1.0)[..., None] * expected
    light = np.sqrt((same_colour**2).mean(-1))
    colour = np.sqrt(((deviation - same_colour) ** 2).mean(-1))
    weight = np.where((ratio > _SHADOW[0]) & (ratio < _SHADOW[1]), _SHADOW_WEIGHT, 1.0)
    score = np.sqrt((weight * light) ** 2 + colour**2) / tolerance
    # A frame noisier than the plate's (dusk, strong compression) is measured by its own noise.
    score /= max(1.0, float(np.median(score[1::3, 1::3])) / 0.8)
    result = np.clip((score - _LOW) / (_HIGH - _LOW), 0.0, 1.0)
    return np.asarray(np.where(valid, result, 0.0), np.float32)


def foreground_mask(
    fg: FloatArray, *, threshold: float = 0.5, close: int = 5, least_area: int = 0
) -> MaskArray:
    """Threshold a foreground map to a mask (H, W), fill small gaps, drop specks.

    Args:
        fg: (H, W) in [0, 1].
        threshold: Value from which a pixel is foreground.
        close: Side of the square that gaps are closed with: odd, 1 for none.
        least_area: Drop connected pieces of fewer pixels.
    """
    if close < 1 or close % 2 == 0:
        raise ValueError(f"close must be odd and positive, got {close}: an even kernel shifts the mask")
    mask = (np.asarray(fg) >= threshold).astype(np.uint8)
    if close > 1:
        # Pad, so that the closing does not eat into objects at the frame's border.
        padded = cv2.copyMakeBorder(mask, close, close, close, close, cv2.BORDER_CONSTANT, value=0)
        wide = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((close, close), np.uint8))
        mask = np.asarray(wide, np.uint8)[close:-close, close:-close]
    if least_area > 1:
        count, pieces, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        keep = np.zeros(count, bool)
        keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= least_area
        mask = keep[pieces]
    return np.asarray(mask, bool)


def difference_channels(image: ImageArray, plate: Plate, *, channels: int = 3) -> FloatArray:
    """Extra input channels for a detector: |log image - log plate - its median over the frame|.

    The median per channel takes out a change of exposure or of the light's colour; what is left is 0 for the
    empty scene and about 0.1 to 2 for things in it.

    Args:
        image: (H, W, 3) RGB frame.
        plate: Of the same size.
        channels: 3, or 1 for the largest of the three.

    Returns:
        (H, W, channels) float32, >= 0; 0 where the plate is not valid.

    Raises:
        ImageError: The frame has another size.
    """
    if channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, got {channels}")
    check_image(image, size=plate.size)
    table = np.log(np.arange(256, dtype=np.float32) + 8.0)
    logs = table[image] - table[plate.image]
    grid = logs[1::3, 1::3][plate.valid[1::3, 1::3]]
    if len(grid):
        logs -= np.median(grid, axis=0)
    result = np.abs(logs, out=logs)
    result[~plate.valid] = 0.0
    return np.asarray(result if channels == 3 else result.max(-1, keepdims=True), np.float32)
