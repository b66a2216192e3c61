"""Outlines of people, cars, lamp post and tripod as small part maps, drawn around the foot point."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from curate.types import FloatArray, ImageArray, IntArray

__all__ = ["Look", "Sprite", "car_sprite", "lamp_sprite", "person_sprite", "tripod_sprite", "truck_sprite"]

_SHIFT = 4  # fractional bits of cv2's polygon coordinates: feet move by less than a pixel a frame


@dataclass(frozen=True, slots=True)
class Sprite:
    """A rasterised object before occlusion.

    Attributes:
        parts: (h, w) uint8 part map, 0 outside, k for colour k of the look.
        left: Column of the frame where the map's first column lies (may be negative).
        top: The same for rows.
    """

    parts: IntArray
    left: int
    top: int


@dataclass(frozen=True, slots=True)
class Look:
    """Colours of an actor.

    Attributes:
        palette: (K + 1, 3) float RGB, row 0 unused.
        texture: (64, 64) float grey levels added to the surface (folds, dirt).
    """

    palette: FloatArray
    texture: FloatArray

    def paint(self, sprite: Sprite) -> ImageArray:
        """Colour image (h, w, 3) of the sprite (meaningless where the part map is 0)."""
        high, wide = sprite.parts.shape
        folds = np.tile(self.texture, (high // 64 + 1, wide // 64 + 1))[:high, :wide]
        colours = self.palette[sprite.parts] + folds[..., None]
        return np.asarray(np.clip(colours, 0, 255), np.uint8)


def _raster(
    x: float, y: float, half_width: float, height: float, shapes: list[tuple[int, FloatArray]]
) -> Sprite:
    """Polygons in units of the object (x right, y up, both 0 at the foot) around the foot point (x, y)."""
    left, top = int(np.floor(x - half_width)) - 2, int(np.floor(y - height)) - 2
    wide, high = int(2 * half_width) + 6, int(height) + 6
    canvas = np.zeros((high, wide), np.uint8)
    for part, outline in shapes:
        # The centre of pixel i has coordinate i for OpenCV and i + 0.5 for us.
        xy = np.stack([x + outline[:, 0] - left - 0.5, y - outline[:, 1] - top - 0.5], 1)
        cv2.fillPoly(canvas, [np.round(xy * (1 << _SHIFT)).astype(np.int32)], part, shift=_SHIFT)
    return Sprite(canvas, left, top)


def _ellipse(cx: float, cy: float, rx: float, ry: float) -> FloatArray:
    angle = np.linspace(0, 2 * np.pi, 17)[:-1]
    return np.stack([cx + rx * np.cos(angle), cy + ry * np.sin(angle)], 1)


def _limb(x0: float, y0: float, x1: float, y1: float, thick: float) -> FloatArray:
    across = np.array([y0 - y1, x1 - x0]) / max(float(np.hypot(x1 - x0, y1 - y0)), 1e-6) * thick / 2
    a, b = np.array([x0, y0]), np.array([x1, y1])
    return np.stack([a + across, b + across, b - across, a - across])


def person_sprite(x: float, y: float, height: float, phase: float, stride: float) -> Sprite:
    """A person, foot point (x, y), `height` pixels; parts 1 head, 2 torso and arms, 3 legs, 4 shoes.

    Args:
        x: Column of the foot point.
        y: Row of the foot point.
        height: Pixels.
        phase: Radians of the walking cycle.
        stride: 0 standing .. 1 walking.
    """
    h = height
    swing = 0.13 * stride * np.sin(phase)
    apart = 0.035 + abs(swing)
    shapes: list[tuple[int, FloatArray]] = []
    for side in (-1.0, 1.0):
        foot = side * apart * h
        shapes.append((3, _limb(side * 0.03 * h, 0.48 * h, foot, 0.03 * h, 0.085 * h)))
        shapes.append((4, _ellipse(foot + 0.02 * h, 0.022 * h, 0.05 * h, 0.022 * h)))
        hand = -side * swing * h + side * 0.13 * h
        shapes.append((2, _limb(side * 0.10 * h, 0.78 * h, hand, 0.47 * h, 0.055 * h)))
    torso = np.array(
        [[-0.09, 0.44], [0.09, 0.44], [0.125, 0.80], [0.05, 0.84], [-0.05, 0.84], [-0.125, 0.80]]
    )
    shapes += [(2, torso * h), (1, _ellipse(0, 0.92 * h, 0.055 * h, 0.078 * h))]
    return _raster(x, y, 0.30 * h, h, shapes)


def car_sprite(x: float, y: float, scale: float, heading: float) -> Sprite:
    """A car from the side, 4.2 m by 1.5 m; parts 1 body, 2 windows, 3 wheels.

    Args:
        x: Column of the foot point (middle of the car).
        y: Row of the foot point.
        scale: Pixels per metre.
        heading: +1 drives to the right, -1 to the left.
    """
    flip = np.array([heading * scale, scale])
    body = [
        [-2.1, 0.25],
        [2.1, 0.25],
        [2.1, 0.75],
        [1.2, 0.9],
        [0.6, 1.45],
        [-1.3, 1.5],
        [-1.9, 0.95],
        [-2.1, 0.9],
    ]
    glass = [[1.0, 0.92], [0.5, 1.36], [-1.15, 1.4], [-1.6, 0.95]]
    wheels = [
        (3, _ellipse(at * scale * heading, 0.3 * scale, 0.32 * scale, 0.3 * scale)) for at in (-1.3, 1.3)
    ]
    shapes = [(1, np.array(body) * flip), (2, np.array(glass) * flip), *wheels]
    return _raster(x, y, 2.2 * scale, 1.55 * scale, shapes)


def truck_sprite(x: float, y: float, scale: float, heading: float) -> Sprite:
    """A truck from the side, 6.4 m by 2.9 m: cab and a tall box; parts 1 body, 2 windows, 3 wheels.

    Args:
        x: Column of the foot point (middle of the truck).
        y: Row of the foot point.
        scale: Pixels per metre.
        heading: +1 drives to the right, -1 to the left.
    """
    flip = np.array([heading * scale, scale])
    box = [[-3.2, 0.6], [1.5, 0.6], [1.5, 2.9], [-3.2, 2.9]]
    cab = [[1.65, 0.45], [3.2, 0.45], [3.2, 1.3], [2.8, 2.25], [1.65, 2.25]]
    glass = [[2.1, 1.4], [3.0, 1.4], [2.7, 2.05], [2.1, 2.05]]
    wheels = [
        (3, _ellipse(at * scale * heading, 0.42 * scale, 0.44 * scale, 0.42 * scale))
        for at in (-2.3, -1.3, 2.3)
    ]
    shapes = [(1, np.array(box) * flip), (1, np.array(cab) * flip), (2, np.array(glass) * flip), *wheels]
    return _raster(x, y, 3.3 * scale, 2.95 * scale, shapes)


def lamp_sprite(x: float, y: float, scale: float) -> Sprite:
    """A lamp post with a sign on it; parts 1 post, 2 sign."""
    post = _limb(0, 0, 0, 4.4 * scale, max(2.0, 0.14 * scale))
    head = _limb(0, 4.35 * scale, -0.7 * scale, 4.45 * scale, max(2.0, 0.16 * scale))
    sign = np.array([[-0.32, 1.3], [0.32, 1.3], [0.32, 2.0], [-0.32, 2.0]]) * scale
    return _raster(x, y, 0.9 * scale, 4.6 * scale, [(1, post), (1, head), (2, sign)])


def tripod_sprite(x: float, y: float, scale: float) -> Sprite:
    """Three thin legs and a small box on top: tall and narrow like a person; part 1."""
    thick = max(1.2, 0.05 * scale)
    legs = [_limb(side * 0.4 * scale, 0, 0, 1.1 * scale, thick) for side in (-1, 0.1, 1)]
    top = [_limb(0, 1.0 * scale, 0, 1.5 * scale, thick), _ellipse(0, 1.55 * scale, 0.09 * scale, 0.1 * scale)]
    return _raster(x, y, 0.5 * scale, 1.7 * scale, [(1, shape) for shape in (*legs, *top)])
