"""Images into the detector's input: letterbox at the top left, difference channels, normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from curate.errors import ModelError
from curate.types import FloatArray, ImageArray

__all__ = ["DIFFERENCE", "Canvas", "difference_channels", "fit_canvas", "letterbox", "normalise", "shrink"]

_MULTIPLE = 32
# NanoDet's training statistics of BGR pixels.
_MEAN = (103.53, 116.28, 123.675)
_STD = (57.375, 57.12, 58.395)
# Difference channels are kept as bytes: one unit of log ratio is this many grey levels.
_DIFFERENCE_LEVELS = 96.0
_LOG_OFFSET = 8.0
_LOG = np.log(np.arange(256, dtype=np.float32) + _LOG_OFFSET)
DIFFERENCE = {
    "formula": "d = |log(image + offset) - log(plate + offset)|; clip((d - median(d over the content)) * levels)",
    "offset": _LOG_OFFSET,
    "levels": _DIFFERENCE_LEVELS,
}
"""How difference channels are made, for other programs: per channel, cut off to whole bytes."""


@dataclass(frozen=True)
class Canvas:
    """How frames of one size lie in the input.

    Attributes:
        height: Pixels of the input, a multiple of 32.
        width: Pixels of the input, a multiple of 32.
        content_height: Rows that the frame fills, from the top.
        content_width: Columns that the frame fills, from the left.
        scale_x: Input pixels per frame pixel.
        scale_y: Input pixels per frame pixel.
    """

    height: int
    width: int
    content_height: int
    content_width: int
    scale_x: float
    scale_y: float

    @property
    def scale(self) -> FloatArray:
        """(4,) factors from frame to input for x1 y1 x2 y2."""
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y])


def fit_canvas(height: int, width: int, input_size: int) -> Canvas:
    """The smallest canvas (multiples of 32) that holds a frame scaled to a long side of `input_size`.

    The canvas is not square: an empty third of it would cost a third of the time.
    """
    scale = input_size / max(height, width)
    content_height, content_width = max(1, round(height * scale)), max(1, round(width * scale))
    return Canvas(
        -(-content_height // _MULTIPLE) * _MULTIPLE,
        -(-content_width // _MULTIPLE) * _MULTIPLE,
        content_height,
        content_width,
        content_width / width,
        content_height / height,
    )


def letterbox(image: ImageArray, canvas: Canvas, plate: ImageArray | None = None) -> ImageArray:
    """(H, W, 3) RGB frame to the (h, w, 3 or 6) uint8 canvas in BGR, black outside the frame.

    Args:
        image: The frame.
        canvas: Made for frames of this size.
        plate: (H, W, 3) RGB background plate; its difference channels follow the image's.

    Raises:
        ModelError: The image is no (H, W, 3) uint8 array, or the plate has another size.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ModelError(f"an image needs shape (H, W, 3) of uint8, got {image.shape} of {image.dtype}")
    if plate is not None and plate.shape != image.shape:
        raise ModelError(
            f"the background plate has shape {plate.shape}, the frame {image.shape}",
            hint="make the plate from frames of the same size",
        )
    content = shrink(image, canvas)
    channels = 3 if plate is None else 6
    result = np.zeros((canvas.height, canvas.width, channels), np.uint8)
    inside = result[: canvas.content_height, : canvas.content_width]
    inside[..., :3] = content
    if plate is not None:
        inside[..., 3:] = difference_channels(content, shrink(plate, canvas))
    return result


def shrink(image: ImageArray, canvas: Canvas) -> ImageArray:
    """(H, W, 3) RGB frame to the BGR content of its canvas."""
    size = (canvas.content_width, canvas.content_height)
    shrunk = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(shrunk[..., ::-1])


def difference_channels(image: ImageArray, plate: ImageArray) -> ImageArray:
    """|log image - log plate| less its median over the frame, channel by channel, as bytes.

    The logarithm makes a shadow or a change of exposure a constant, which the median takes away.

    Args:
        image: (H, W, 3).
        plate: (H, W, 3), the same channel order.

    Returns:
        (H, W, 3) uint8; 96 levels are one unit of log ratio.
    """
    difference = np.abs(_LOG[image] - _LOG[plate])
    difference -= np.median(difference, axis=(0, 1))
    return np.asarray(np.clip(difference * _DIFFERENCE_LEVELS, 0, 255), np.uint8)


def normalise(canvases: Tensor) -> Tensor:
    """(B, h, w, 3 or 6) canvases, values 0 to 255, to the (B, 3 or 6, h, w) float input, channels last in memory."""
    extra = canvases.shape[3] - 3
    mean = torch.tensor(_MEAN + (0.0,) * extra, device=canvases.device)
    std = torch.tensor(_STD + (_DIFFERENCE_LEVELS / 2,) * extra, device=canvases.device)
    return ((canvases.float() - mean) / std).permute(0, 3, 1, 2)
