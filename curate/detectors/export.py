"""A site's detector as an ONNX file: bytes of a letterboxed frame in, boxes and probabilities out."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from curate.detectors.decode import NMS_IOU, VOTE_IOU, VOTE_SPREAD
from curate.detectors.inference import SCORE_THRESHOLD
from curate.detectors.letterbox import DIFFERENCE, Canvas, normalise
from curate.detectors.model import SiteNetwork

__all__ = ["INPUT", "OPSET", "OUTPUTS", "network_to_onnx", "onnx_signature"]

INPUT = "canvas"
OUTPUTS = ("boxes", "scores")
OPSET = 17


class _Exported(nn.Module):
    """Everything between the letterbox and the suppression of doubles, as one graph."""

    def __init__(self, network: SiteNetwork, channels: int) -> None:
        super().__init__()
        self._network = network
        # The network reads BGR; the file takes RGB, as everything else does.
        self._order = [2, 1, 0] if channels == 3 else [2, 1, 0, 5, 4, 3]

    def forward(self, canvas: Tensor) -> tuple[Tensor, Tensor]:
        """(B, h, w, 3 or 6) uint8 to boxes (B, A, 4) in canvas pixels and probabilities (B, A, C)."""
        dense = self._network.dense(normalise(canvas[..., self._order]))
        return self._network.boxes(dense), self._network.class_logits(dense).sigmoid()


def network_to_onnx(network: SiteNetwork, canvas: Canvas) -> bytes:
    """The dense detector as an ONNX model with a dynamic batch; box heads and masks are not part of it.

    The inputs are as `letterbox` makes them, but RGB: (batch, height, width, 3 or 6) uint8.

    Args:
        network: On the CPU, in evaluation mode.
        canvas: The size of the input; one camera has one.
    """
    channels = network.dense.stem.in_channels
    example = torch.zeros((2, canvas.height, canvas.width, channels), dtype=torch.uint8)
    with warnings.catch_warnings(), torch.no_grad(), TemporaryDirectory() as folder:
        # The tracing exporter needs no further package; it warns of its age and of sizes that are constant here.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Exported(network, channels).eval(),
            (example,),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "batch"} for name in (INPUT, *OUTPUTS)},
        )
        return path.read_bytes()


def onnx_signature(frame: tuple[int, int], canvas: Canvas, channels: int, classes: int) -> dict[str, Any]:
    """How the model is fed and read, JSON-ready: inputs, outputs, letterbox, suppression.

    Args:
        frame: Height and width of the frames.
        canvas: How they lie in the input.
        channels: Of the input, 3 or 6.
        classes: Number of classes.
    """
    shape = ["batch", canvas.height, canvas.width, channels]
    letterbox = {
        "frame_width": frame[1],
        "frame_height": frame[0],
        "content_width": canvas.content_width,
        "content_height": canvas.content_height,
        "place": "top left, zeros outside",
        "interpolation": "bilinear",
        "colour": "RGB",
        "scale_x": canvas.scale_x,
        "scale_y": canvas.scale_y,
    }
    inputs: dict[str, Any] = {"name": INPUT, "type": "uint8", "shape": shape, "letterbox": letterbox}
    if channels == 6:
        inputs["difference"] = {"plate": "background.png", "channels": [3, 4, 5], **DIFFERENCE}
    boxes, scores = OUTPUTS
    return {
        "opset": OPSET,
        "inputs": [inputs],
        "outputs": [
            {
                "name": boxes,
                "type": "float32",
                "shape": ["batch", "cells", 4],
                "content": "x1, y1, x2, y2 in pixels of the canvas; divide by the scale for the frame's",
            },
            {
                "name": scores,
                "type": "float32",
                "shape": ["batch", "cells", classes],
                "content": "probability of each class",
            },
        ],
        "suppression": {
            "kind": "per class",
            "iou": NMS_IOU,
            "vote": {
                "iou": VOTE_IOU,
                "spread": VOTE_SPREAD,
                "weight": "score * exp(-(1 - iou)^2 / spread), over the cells of the class with that iou",
                "lowest_score": SCORE_THRESHOLD,
            },
        },
    }
