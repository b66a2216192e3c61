"""How an exported detector is fed and read, for programs that know nothing of this one."""

from __future__ import annotations

from typing import Any

from curate.detectors.decode import NMS_IOU, VOTE_IOU, VOTE_SPREAD
from curate.detectors.export import INPUTS, OPSET, OUTPUTS
from curate.detectors.inference import SCORE_THRESHOLD
from curate.detectors.letterbox import DIFFERENCE, Canvas
from curate.detectors.roi import MASK_SIZE

__all__ = ["onnx_signature"]

_CONTENT = {
    "image": ("int64", [], "index in the batch; detections come frame by frame, best first"),
    "boxes": ("float32", [4], "x1, y1, x2, y2 in pixels of the frame"),
    "scores": ("float32", [], "probability, in [0, 1]"),
    "classes": ("int64", [], "index into `classes`"),
    "masks": (
        "float32",
        [MASK_SIZE, MASK_SIZE],
        "probability of the object, in [0, 1], over the box, top left first: stretch it to the box by bilinear "
        "interpolation; .5 and more is inside",
    ),
}


def onnx_signature(frame: tuple[int, int], canvas: Canvas, channels: int, *, masks: bool) -> dict[str, Any]:
    """How the model is fed and read, JSON-ready: inputs, outputs, letterbox, what is done inside.

    Args:
        frame: Height and width of the frames.
        canvas: How they lie in the input.
        channels: Of the input, 3 or 6.
        masks: Whether it gives masks.
    """
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
    shape = ["batch", canvas.height, canvas.width, channels]
    pixels: dict[str, Any] = {"name": INPUTS[0], "type": "uint8", "shape": shape, "letterbox": letterbox}
    if channels == 6:
        pixels["difference"] = {"plate": "background.png", "channels": [3, 4, 5], **DIFFERENCE}
    score = {
        "name": INPUTS[1],
        "type": "float32",
        "shape": [1],
        "content": f"detections below it are left out before their masks are made; at least {SCORE_THRESHOLD}",
    }
    return {
        "opset": OPSET,
        "inputs": [pixels, score],
        "outputs": [
            {
                "name": name,
                "type": _CONTENT[name][0],
                "shape": ["detections", *_CONTENT[name][1]],
                "content": _CONTENT[name][2],
            }
            for name in (OUTPUTS if masks else OUTPUTS[:-1])
        ],
        "inside": {
            "suppression": {"kind": "per class", "iou": NMS_IOU},
            "vote": {"iou": VOTE_IOU, "spread": VOTE_SPREAD},
        },
    }
