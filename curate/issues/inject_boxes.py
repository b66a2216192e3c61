"""Wrong boxes: disturbed, doubled, and standing where nothing is."""

from __future__ import annotations

import numpy as np

from curate.geometry.boxes import box_iou, box_iou_pairwise, clip_boxes
from curate.issues.inputs import FrameTable, LabelTable
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["disturbed_boxes", "free_boxes", "shifted_double"]

# IoU with the right box: under 0.75 the eye sees it, over 0.4 it still means this object.
_LOW, _HIGH = 0.4, 0.75
_STEPS = 30
_TRIES = 60


def disturbed_boxes(
    boxes: FloatArray, scaled: BoolArray, sizes: IntArray, rng: np.random.Generator
) -> FloatArray:
    """(N, 4) boxes moved or resized to a random IoU between 0.4 and 0.75 with the right ones.

    Args:
        boxes: (N, 4) right boxes.
        scaled: (N,) True: resize, all sides outward or all inward by different amounts; False: shift.
        sizes: (N, 2) width and height of each box's frame; a box pushed over the edge goes the other way.
        rng: Random numbers.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    count = len(boxes)
    angle = rng.uniform(0, 2 * np.pi, count)
    shift = np.column_stack([np.cos(angle), np.sin(angle), np.cos(angle), np.sin(angle)])
    grow = rng.uniform(0.3, 1.0, (count, 4)) * np.array([-1, -1, 1, 1])
    grow *= np.where(rng.random(count) < 0.6, 1.0, -0.4)[:, None]
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6)
    direction = np.where(np.asarray(scaled)[:, None], grow, shift) * np.concatenate([size, size], 1)
    target = rng.uniform(_LOW, _HIGH, count)
    limits = np.concatenate([sizes, sizes], 1).astype(float)
    limits[:, :2] = limits[:, 2:]
    first = _at_iou(boxes, direction, target, limits)
    second = _at_iou(boxes, -direction, target, limits)
    off = np.abs(box_iou_pairwise(boxes, first) - target) > 0.05
    return np.where(off[:, None], second, first)


def _at_iou(boxes: FloatArray, direction: FloatArray, target: FloatArray, limits: FloatArray) -> FloatArray:
    """Boxes moved along a direction until the IoU falls to the target, by bisection."""
    low, high = np.zeros(len(boxes)), np.full(len(boxes), 1.2)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        fits = box_iou_pairwise(boxes, _moved(boxes, direction, middle, limits)) >= target
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return _moved(boxes, direction, high, limits)


def _moved(boxes: FloatArray, direction: FloatArray, amount: FloatArray, limits: FloatArray) -> FloatArray:
    moved = np.clip(boxes + direction * amount[:, None], 0, limits)
    # Never thinner than a pixel, and never out of the frame.
    moved[:, :2] = np.minimum(moved[:, :2], limits[:, :2] - 1)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    return np.asarray(moved)


def shifted_double(box: FloatArray, size: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """(4,) second box of the same object: IoU 0.6 to 0.9, or (one time in three) its upper or lower half."""
    x1, y1, x2, y2 = (float(value) for value in box)
    if rng.random() < 1 / 3 and y2 - y1 >= 4:
        middle = y1 + (y2 - y1) * rng.uniform(0.45, 0.6)
        return np.array([x1, y1, x2, middle] if rng.random() < 0.5 else [x1, middle, x2, y2])
    jitter = rng.uniform(-0.1, 0.1, 4) * np.array([x2 - x1, y2 - y1, x2 - x1, y2 - y1])
    double = clip_boxes(np.asarray(box, float) + jitter, *size)
    return np.asarray(double if (double[2:] - double[:2] >= 1).all() else np.asarray(box, float))


def free_boxes(
    frames: FrameTable, labels: LabelTable, span: IntArray, like: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """(len(span), 4) boxes at one place where no label stands on these frames, the size of `like`.

    Args:
        frames: The frames.
        labels: Right labels, to be kept clear of.
        span: Frames on which the box will stand; it jitters by a pixel from frame to frame if several.
        like: (4,) box that lends its size.
        rng: Random numbers.

    Returns:
        No rows when no free place was found in 60 tries.
    """
    width, height = int(frames.widths[span].min()), int(frames.heights[span].min())
    wide = min(float(like[2] - like[0]), width - 2.0)
    high = min(float(like[3] - like[1]), height - 2.0)
    if wide < 1 or high < 1:
        return np.zeros((0, 4))
    taken = np.asarray(labels.boxes, float)[np.isin(labels.frames, span)]
    # Near the foot row that it comes from, where an object of this size could be.
    foot = float(like[3])
    for _ in range(_TRIES):
        x = rng.uniform(0, width - wide)
        y = float(np.clip(foot - high + rng.normal(0, 0.1 * height), 0, height - high))
        box = np.array([x, y, x + wide, y + high])
        if not len(taken) or box_iou(box[None], taken).max() < 0.05:
            jitter = rng.normal(0, 0.5 if len(span) > 1 else 0.0, (len(span), 4))
            # Half a side at most, so that a box of two pixels stays a box.
            boxes = clip_boxes(
                box + np.clip(jitter, -min(wide, high) / 4, min(wide, high) / 4), width, height
            )
            return np.asarray(boxes)
    return np.zeros((0, 4))
