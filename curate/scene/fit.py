"""Does a plate still fit what the camera sees: has the camera moved, is the light another?"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from curate.scene.plate import Plate, check_image
from curate.types import FloatArray, ImageArray

__all__ = ["PlateFit", "plate_fits"]

_WIDTH = 384
"""Frames are compared at about this width: enough to see a shift of one pixel in 768."""


@dataclass(frozen=True, slots=True)
class PlateFit:
    """How well a plate fits a frame.

    Attributes:
        fits: The verdict.
        score: 0..1, agreement of the edges of plate and frame in place and direction.
        shift: (dx, dy) pixels by which the picture has moved against the plate (0, 0 when it cannot be told).
        gain: Brightness of the frame relative to the plate.
        reason: Empty when it fits, else one sentence.
    """

    fits: bool
    score: float
    shift: tuple[float, float]
    gain: float
    reason: str


def _edges(image: ImageArray) -> tuple[FloatArray, FloatArray, float]:
    """Gradients of the log grey picture at the working size, and the factor back to full size."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = max(1.0, image.shape[1] / _WIDTH)
    size = (max(8, round(image.shape[1] / factor)), max(8, round(image.shape[0] / factor)))
    small = cv2.GaussianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), (5, 5), 1.0)
    logs = np.log(small.astype(np.float32) + 8.0)
    across = np.asarray(cv2.Sobel(logs, cv2.CV_32F, 1, 0, ksize=3))
    down = np.asarray(cv2.Sobel(logs, cv2.CV_32F, 0, 1, ksize=3))
    return across, down, factor


@functools.lru_cache(maxsize=4)
def _plate_edges(plate: Plate) -> tuple[FloatArray, FloatArray, float, FloatArray]:
    across, down, factor = _edges(plate.image)
    size = np.hypot(across, down)
    strong = size >= np.quantile(size, 0.85)
    valid = cv2.resize(plate.valid.astype(np.uint8), (size.shape[1], size.shape[0])) > 0
    return across, down, factor, np.asarray(strong & valid, np.float32)


def plate_fits(
    image: ImageArray,
    plate: Plate,
    *,
    least_score: float = 0.5,
    most_shift: float = 2.0,
    most_gain: float = 2.5,
) -> PlateFit:
    """Compare the strong edges of the plate with those of the frame.

    People cover some edges and add others, which lowers the score a little; a moved camera misplaces all.

    Args:
        image: (H, W, 3) RGB frame.
        plate: Of the same size.
        least_score: Below this the plate does not fit.
        most_shift: Pixels of shift still tolerated.
        most_gain: Factor of brightness, up or down, still tolerated.

    Raises:
        ImageError: The frame has another size.
    """
    check_image(image, size=plate.size)
    plate_across, plate_down, factor, strong = _plate_edges(plate)
    across, down, _ = _edges(image)
    products = (across * plate_across + down * plate_down) * strong
    sizes = np.hypot(across, down) * np.hypot(plate_across, plate_down) * strong
    score = float(np.clip(products.sum() / max(float(sizes.sum()), 1e-9), 0.0, 1.0))
    shift = _shift(np.hypot(across, down), np.hypot(plate_across, plate_down), factor)
    grey, ground = image[::4, ::4].astype(np.float32) + 4.0, plate.image[::4, ::4].astype(np.float32) + 4.0
    gain = float(np.median(grey / ground))
    reasons = []
    if float(np.hypot(*shift)) > most_shift:
        reasons.append(
            f"the picture has moved by ({shift[0]:+.1f}, {shift[1]:+.1f}) pixels against the plate"
        )
    if score < least_score:
        reasons.append(f"only {score:.0%} of the plate's edges agree (at least {least_score:.0%} expected)")
    if not 1 / most_gain <= gain <= most_gain:
        reasons.append(f"the light is {gain:.2f} times the plate's")
    return PlateFit(not reasons, score, shift, gain, "; ".join(reasons))


def _shift(edges: FloatArray, plate_edges: FloatArray, factor: float) -> tuple[float, float]:
    """Shift in full-size pixels by phase correlation (Kuglin and Hines 1975) of the edge maps."""
    window = cv2.createHanningWindow((edges.shape[1], edges.shape[0]), cv2.CV_32F)
    # Very strong edges (a person in black) must not decide alone.
    limit = float(np.quantile(plate_edges, 0.98)) + 1e-6
    first, second = (np.minimum(part, limit).astype(np.float32) for part in (plate_edges, edges))
    (dx, dy), response = cv2.phaseCorrelate(first, second, window)
    if response < 0.05:
        return (0.0, 0.0)
    return (float(dx * factor), float(dy * factor))
