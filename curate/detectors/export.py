"""A site's detector as an ONNX file: bytes of a letterboxed frame in; boxes, scores, classes and masks out."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import nms

from curate.detectors.decode import CANDIDATES, KEPT, NMS_IOU, vote_weights
from curate.detectors.inference import SCORE_THRESHOLD
from curate.detectors.letterbox import Canvas, normalise
from curate.detectors.model import SiteNetwork

__all__ = ["INPUTS", "OPSET", "OUTPUTS", "network_to_onnx"]

INPUTS = ("canvas", "score")
OUTPUTS = ("image", "boxes", "scores", "classes", "masks")
"""The last one only where the detector has masks."""
OPSET = 17


class _Suppression(torch.autograd.Function):
    """ONNX's NonMaxSuppression, which takes a batch; torchvision's gives the tracer an example of the result.

    Boxes (B, K, 4) and scores (B, C, K) to rows (N, 3) of image, class and box; scores of 0 are no candidates.
    """

    @staticmethod
    def forward(_: Any, boxes: Tensor, scores: Tensor) -> Tensor:
        rows = []
        for image in range(len(boxes)):
            for klass in range(scores.shape[1]):
                kept = nms(boxes[image], scores[image, klass], NMS_IOU)[:KEPT]
                kept = kept[scores[image, klass, kept] > 0]
                rows.append(
                    torch.stack([torch.full_like(kept, image), torch.full_like(kept, klass), kept], 1)
                )
        return torch.cat(rows)

    @staticmethod
    def symbolic(graph: Any, boxes: Any, scores: Any) -> Any:
        most, iou, low = (
            graph.op("Constant", value_t=value)
            for value in (torch.tensor([KEPT]), torch.tensor([NMS_IOU]), torch.tensor([0.0]))
        )
        return graph.op("NonMaxSuppression", boxes, scores, most, iou, low)


class _Candidates(NamedTuple):
    """The K best of all cells and classes of each of B frames; a score under the threshold is 0.

    Attributes:
        boxes: (B, K, 4) in canvas pixels.
        scores: (B, K).
        classes: (B, K).
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor


class _Found(NamedTuple):
    """N detections: frame of the batch (N,), box (N, 4), score (N,), class (N,)."""

    image: Tensor
    boxes: Tensor
    scores: Tensor
    classes: Tensor

    def only(self, rows: Tensor) -> _Found:
        return _Found(*(values[rows] for values in self))


class _Exported(nn.Module):
    """All that `SiteDetector.predict` does behind the letterbox, for a batch, as one graph."""

    def __init__(self, network: SiteNetwork, canvas: Canvas, frame: tuple[int, int]) -> None:
        super().__init__()
        self._network = network
        # The network reads BGR; the file takes RGB, as everything else does.
        self._order = [2, 1, 0] if network.dense.stem.in_channels == 3 else [2, 1, 0, 5, 4, 3]
        height, width = frame
        # Constants of the graph: an export happens on the CPU.
        self._scale = torch.tensor(canvas.scale, dtype=torch.float32)
        self._limits = torch.tensor([width, height] * 2, dtype=torch.float32)

    def forward(self, canvas: Tensor, score: Tensor) -> tuple[Tensor, ...]:
        """(B, h, w, 3 or 6) uint8 and the lowest score (1,) to `OUTPUTS`; boxes in pixels of the frame."""
        images = normalise(canvas[..., self._order])
        dense = self._network.dense(images)
        boxes, probabilities = self._network.boxes(dense), self._network.class_logits(dense).sigmoid()
        candidates = _candidates(boxes, probabilities)
        found = _voted(_kept(candidates, probabilities.shape[2], score), candidates)
        in_frame = torch.minimum((found.boxes / self._scale).clamp(min=0), self._limits)
        found = found._replace(boxes=in_frame)
        found = found.only(torch.nonzero((in_frame[:, 2:] - in_frame[:, :2]).amin(1) > 0)[:, 0])
        if self._network.mask is None:
            return tuple(found)
        rois = torch.cat([found.image[:, None].to(images.dtype), found.boxes * self._scale], 1)
        return (*found, self._network.mask(images, dense, rois).sigmoid())


def _candidates(boxes: Tensor, probabilities: Tensor) -> _Candidates:
    classes = probabilities.shape[2]
    scores, best = probabilities.flatten(1).topk(min(CANDIDATES, probabilities.shape[1] * classes))
    cell = torch.div(best, classes, rounding_mode="floor")
    scores = torch.where(scores >= SCORE_THRESHOLD, scores, torch.zeros_like(scores))
    return _Candidates(boxes.gather(1, cell[..., None].expand(-1, -1, 4)), scores, best - cell * classes)


def _kept(candidates: _Candidates, classes: int, lowest: Tensor) -> _Found:
    """What suppression within each class leaves, best first within each frame."""
    own = candidates.classes[:, None] == torch.arange(classes)[:, None]
    rows = _Suppression.apply(candidates.boxes, candidates.scores[:, None] * own)
    at = (rows[:, 0], rows[:, 2])
    kept = torch.zeros_like(candidates.scores).index_put(at, candidates.scores[at])
    scores, slot = kept.topk(min(KEPT, kept.shape[1]))
    image, rank = torch.nonzero(scores >= lowest.clamp(min=SCORE_THRESHOLD), as_tuple=True)
    where = slot[image, rank]
    return _Found(
        image, candidates.boxes[image, where], scores[image, rank], candidates.classes[image, where]
    )


def _voted(found: _Found, candidates: _Candidates) -> _Found:
    """Boxes at the weighted mean of their neighbours, as `suppress` votes."""
    others = candidates.boxes[found.image]
    low = torch.maximum(found.boxes[:, None, :2], others[..., :2])
    high = torch.minimum(found.boxes[:, None, 2:], others[..., 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    area = (others[..., 2:] - others[..., :2]).prod(-1)
    own_area = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(-1)[:, None]
    same = candidates.classes[found.image] == found.classes[:, None]
    weight = vote_weights(inside / (area + own_area - inside) * same, candidates.scores[found.image])
    return found._replace(boxes=(weight[:, :, None] * others).sum(1) / weight.sum(1, keepdim=True))


def network_to_onnx(network: SiteNetwork, canvas: Canvas, frame: tuple[int, int]) -> bytes:
    """The detector as an ONNX model with a dynamic batch; the heads that judge given boxes are not part of it.

    The canvases are as `letterbox` makes them, but RGB: (batch, height, width, 3 or 6) uint8.

    Args:
        network: On the CPU, in evaluation mode; without its mask head the model has no masks.
        canvas: The size of the input; one camera has one.
        frame: Height and width of the frames.
    """
    channels = network.dense.stem.in_channels
    example = torch.zeros((2, canvas.height, canvas.width, channels), dtype=torch.uint8)
    outputs = OUTPUTS if network.mask is not None else OUTPUTS[:-1]
    with warnings.catch_warnings(), torch.no_grad(), TemporaryDirectory() as folder:
        # The tracing exporter needs no further package; it warns of its age and of sizes that are constant here.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            _Exported(network, canvas, frame).eval(),
            (example, torch.tensor([SCORE_THRESHOLD])),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(outputs),
            dynamic_axes={INPUTS[0]: {0: "batch"}, **{name: {0: "detections"} for name in outputs}},
        )
        return path.read_bytes()
