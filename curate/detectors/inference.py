"""What the generic and the trained detector share: one image in, dense predictions and boxes out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from curate.detectors.decode import candidates, cells, decode_boxes, suppress
from curate.detectors.letterbox import Canvas, fit_canvas, letterbox, normalise
from curate.detectors.nanodet import DenseOutput
from curate.errors import ModelError
from curate.geometry import clip_boxes
from curate.geometry.rle import mask_to_rle
from curate.geometry.shapes import Rle
from curate.tables import Detections
from curate.types import FloatArray, ImageArray

__all__ = [
    "SCORE_THRESHOLD",
    "Prepared",
    "choose_device",
    "given_boxes",
    "paste_mask",
    "prepare",
    "to_detections",
]

SCORE_THRESHOLD = 0.01
"""Detections below this are not reported: they only cost time."""


@dataclass(frozen=True)
class Prepared:
    """One frame as input (1, C, h, w), and the way back to its pixels."""

    tensor: Tensor
    canvas: Canvas
    height: int
    width: int

    def to_input(self, boxes: FloatArray) -> Tensor:
        """(L, 4) frame pixels to input pixels."""
        return torch.from_numpy((boxes * self.canvas.scale).astype(np.float32)).to(self.tensor.device)

    def to_frame(self, boxes: Tensor) -> FloatArray:
        """(L, 4) input pixels to frame pixels, clipped to the frame."""
        return clip_boxes(boxes.cpu().numpy().astype(float) / self.canvas.scale, self.width, self.height)

    def masks(self, boxes: FloatArray, logits: Tensor) -> tuple[tuple[Rle, ...], FloatArray]:
        """Foreground logits (L, S, S) inside boxes (L, 4) of the frame to masks, and how sure their pixels are (L,)."""
        probabilities = logits.double().sigmoid().cpu().numpy()
        shapes = tuple(
            paste_mask(probability, box, self.height, self.width)
            for probability, box in zip(probabilities, boxes, strict=True)
        )
        return shapes, np.maximum(probabilities, 1 - probabilities).mean((1, 2))


def choose_device(name: str) -> torch.device:
    """The device that "auto", "cpu", "cuda" or "cuda:N" means here.

    Raises:
        ModelError: No such device, or none on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f'device must be "auto", "cpu", "cuda" or "cuda:N", got "{name}"') from error
    if device.type not in ("cpu", "cuda"):
        raise ModelError(f'device must be "auto", "cpu", "cuda" or "cuda:N", got "{name}"')
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f'"{name}" is asked for, but torch finds {torch.cuda.device_count()} CUDA devices',
            hint="device: auto",
        )
    return device


def prepare(
    image: ImageArray, input_size: int, device: torch.device, plate: ImageArray | None = None
) -> Prepared:
    """Letterbox and normalise one (H, W, 3) RGB frame."""
    canvas = fit_canvas(image.shape[0], image.shape[1], input_size)
    pixels = torch.from_numpy(letterbox(image, canvas, plate))[None].to(device)
    return Prepared(normalise(pixels), canvas, image.shape[0], image.shape[1])


def to_detections(
    prepared: Prepared, dense: DenseOutput, probabilities: Tensor, *, vote: bool = False
) -> Detections:
    """The network's output for one frame and its probabilities (A, C) to detections; `vote` as for `suppress`."""
    cell, klass, scores = candidates(probabilities, SCORE_THRESHOLD)
    centres, strides = cells(dense.grid, dense.distances.device)
    boxes = decode_boxes(dense.distances[0, cell], centres[cell], strides[cell])
    kept, boxes = suppress(boxes, scores, klass, vote=vote)
    found = prepared.to_frame(boxes)
    seen = (found[:, 2:] - found[:, :2]).min(1, initial=np.inf) > 0
    return Detections(
        found[seen],
        scores[kept].cpu().numpy().astype(float)[seen],
        klass[kept].cpu().numpy().astype(np.int64)[seen],
    )


def given_boxes(boxes: FloatArray) -> FloatArray:
    """Boxes of a caller as (L, 4) floats.

    Raises:
        ModelError: Not finite, or empty.
    """
    given = np.asarray(boxes, float).reshape(-1, 4)
    if not np.isfinite(given).all() or (given[:, 2:] <= given[:, :2]).any():
        raise ModelError("a box to be scored is empty or not finite")
    return given


def paste_mask(probability: FloatArray, box: FloatArray, height: int, width: int) -> Rle:
    """(S, S) foreground probability inside a box to a mask of the frame, by bilinear interpolation.

    Args:
        probability: In [0, 1]; 0.5 and more is inside.
        box: (4,) pixels of the frame.
        height: Of the frame.
        width: Of the frame.
    """
    mask = np.zeros((height, width), bool)
    x1, y1 = np.floor(np.clip(box[:2], 0, [width, height])).astype(int)
    x2, y2 = np.ceil(np.clip(box[2:], 0, [width, height])).astype(int)
    if x2 > x1 and y2 > y1:
        size = probability.shape[0]
        xs = (np.arange(x1, x2) + 0.5 - box[0]) / max(box[2] - box[0], 1e-6) * size - 0.5
        ys = (np.arange(y1, y2) + 0.5 - box[1]) / max(box[3] - box[1], 1e-6) * size - 0.5
        grid_x, grid_y = np.meshgrid(xs.astype(np.float32), ys.astype(np.float32))
        source = np.ascontiguousarray(probability, np.float32)
        values = cv2.remap(source, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask[y1:y2, x1:x2] = values >= 0.5
    return mask_to_rle(mask)
