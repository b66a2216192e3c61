"""Pinhole camera over a flat ground, and the still picture of the place.

With the horizon at row `horizon` and the camera `CAMERA_HEIGHT` metres up, a thing of height h metres whose
foot is at row y is h / CAMERA_HEIGHT * (y - horizon) pixels high: the ground-row rule of a fixed camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from curate.types import FloatArray, ImageArray

__all__ = ["CAMERA_HEIGHT", "Camera", "paint_ground"]

CAMERA_HEIGHT = 5.0
"""Metres above the ground."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Image size and horizon.

    Attributes:
        width: Pixels.
        height: Pixels.
    """

    width: int
    height: int

    @property
    def horizon(self) -> float:
        """Row of the horizon (above it nothing can stand)."""
        return 0.08 * self.height

    def pixels_per_metre(self, foot_row: float) -> float:
        """Scale of a thing that stands at this row."""
        return max(foot_row - self.horizon, 1e-3) / CAMERA_HEIGHT

    def to_ground(self, x: float, y: float) -> tuple[float, float]:
        """Pixel of a foot to (metres to the right of the camera's axis, metres away)."""
        focal = 0.9 * self.height
        depth = focal / self.pixels_per_metre(y)
        return (x - self.width / 2) / self.pixels_per_metre(y), depth

    def to_pixel(self, right: float, depth: float) -> tuple[float, float]:
        """The inverse of `to_ground`."""
        scale = 0.9 * self.height / depth
        return self.width / 2 + right * scale, self.horizon + CAMERA_HEIGHT * scale


def _texture(rng: np.random.Generator, height: int, width: int, grain: int, amplitude: float) -> FloatArray:
    """Smooth noise (H, W) with blobs of about `grain` pixels."""
    small = rng.standard_normal((height // grain + 2, width // grain + 2)).astype(np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC) * amplitude)


def paint_ground(camera: Camera, rng: np.random.Generator) -> ImageArray:
    """The empty place: building, grass, pavement, kerbs, road with markings. (H, W, 3) RGB."""
    wide, high = camera.width, camera.height

    def points(*shares: tuple[float, float]) -> np.ndarray:
        return np.array([[round(x * wide), round(y * high)] for x, y in shares], np.int32)

    image = np.zeros((high, wide, 3), np.uint8)
    image[:] = (86, 118, 62)  # grass
    cv2.fillPoly(image, [points((0, 0), (1, 0), (1, 0.24), (0, 0.24))], (150, 122, 98))  # building
    for column in np.arange(0.05, 0.95, 0.11):
        cv2.rectangle(image, points((column, 0.05))[0], points((column + 0.07, 0.15))[0], (58, 66, 82), -1)
    cv2.fillPoly(image, [points((0, 0.24), (1, 0.24), (1, 0.34), (0, 0.36))], (156, 150, 142))  # pavement
    cv2.fillPoly(image, [points((0, 0.46), (1, 0.42), (1, 0.66), (0, 0.70))], (112, 112, 116))  # road
    cv2.fillPoly(image, [points((0.62, 0.34), (0.72, 0.34), (0.80, 0.44), (0.60, 0.45))], (116, 115, 117))
    for left, right in ((0.46, 0.42), (0.70, 0.66)):
        ends = points((0, left), (1, right))
        cv2.line(image, ends[0], ends[1], (186, 184, 178), max(1, high // 120))  # kerbs
    for start in np.arange(0.02, 1.0, 0.12):
        dash = points((start, 0.57 - 0.04 * start), (start + 0.05, 0.568 - 0.04 * start))
        cv2.line(image, dash[0], dash[1], (214, 214, 208), max(1, high // 160))
    # Rough ground everywhere, coarse patches on top: without texture shifts and blur could not be measured.
    rough = _texture(rng, high, wide, 2, 5.0) + _texture(rng, high, wide, max(4, high // 20), 6.0)
    tinted = image + rough[..., None] * np.array([1.0, 1.0, 0.9], np.float32)
    return np.asarray(np.clip(tinted, 0, 255), np.uint8)
