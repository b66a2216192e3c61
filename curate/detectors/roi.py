"""Heads that judge ANY given box: class posterior, fit, refined box and mask.

They read the detector's feature maps through RoIAlign (He et al., Mask R-CNN, 2017), so a label can be
scored as a proposal without a matching threshold. They also see what the dense head says at the given
box ("evidence"), which was trained on far more data than a site has. Gradients stop at the feature
maps: the heads cannot make the detector worse.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import box_iou, roi_align

from curate.detectors.nanodet import STRIDES, DenseOutput

__all__ = [
    "MASK_SIZE",
    "DenseEvidence",
    "MaskHead",
    "RoiHead",
    "RoiOutput",
    "apply_deltas",
    "box_deltas",
    "gather_evidence",
]

MASK_SIZE = 28
_POOL = 3
_CODE = 8
_HIDDEN = 64
_MASK_WIDTH = 48


class DenseEvidence(NamedTuple):
    """What the dense head says about given boxes.

    Attributes:
        scores: (L, C) largest of probability x IoU with the given box over all cells.
        boxes: (L, 4) the box of the best cell.
        iou: (L,) its IoU with the given box.
    """

    scores: Tensor
    boxes: Tensor
    iou: Tensor


class RoiOutput(NamedTuple):
    """Raw outputs for L boxes: class logits (L, C + 1, background last), fit logits (L,), deltas (L, 4)."""

    classes: Tensor
    fit: Tensor
    deltas: Tensor


def gather_evidence(probabilities: Tensor, cell_boxes: Tensor, boxes: Tensor) -> DenseEvidence:
    """Dense evidence at given boxes of ONE image.

    Args:
        probabilities: (A, C) of all cells.
        cell_boxes: (A, 4).
        boxes: (L, 4) the given boxes.
    """
    iou = box_iou(boxes, cell_boxes)
    weighted = iou[:, :, None] * probabilities[None]
    cell = weighted.amax(2).argmax(1)
    return DenseEvidence(weighted.amax(1), cell_boxes[cell], iou.gather(1, cell[:, None])[:, 0])


def box_deltas(boxes: Tensor, targets: Tensor) -> Tensor:
    """(L, 4) shift of the centre in box sides and log ratio of the sides that turn `boxes` into `targets`."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    target_size = (targets[:, 2:] - targets[:, :2]).clamp(min=1e-3)
    shift = (targets[:, :2] + targets[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / size
    return torch.cat([shift, torch.log(target_size / size)], 1).clamp(-4, 4)


def apply_deltas(boxes: Tensor, deltas: Tensor) -> Tensor:
    """The boxes (L, 4) that `box_deltas` describes."""
    size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + deltas[:, :2] * size
    half = size * deltas[:, 2:].clamp(-4, 4).exp() / 2
    return torch.cat([centre - half, centre + half], 1)


def _evidence_answer(boxes: Tensor, evidence: DenseEvidence) -> Tensor:
    """What the dense head alone would answer, (L, C + 1 + 1 + 4) as in `RoiOutput`."""
    classes = torch.logit(evidence.scores.clamp(0.01, 0.99))
    best, confidence = classes.amax(1, keepdim=True), evidence.scores.amax(1, keepdim=True)
    # A doubtful box elsewhere is no reason to move the given one.
    correction = box_deltas(boxes, evidence.boxes) * (2 * confidence).clamp(max=1)
    fit = torch.logit(evidence.iou[:, None].clamp(0.02, 0.98))
    return torch.cat([classes, -best, fit, correction], 1)


class RoiHead(nn.Module):
    """Class posterior, fit (predicted IoU) and correction of given boxes.

    Its look at the features is deliberately narrow: eight numbers per box. A head with a wide view learns
    the wrong labels of its training frames by heart, and then finds them right on others.

    Args:
        classes: Number of classes of the site.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        outputs = classes + 1 + 1 + 4
        self.code = nn.Linear(len(STRIDES) * 128, _CODE)
        # Besides the code: what the evidence alone would answer, and the size of the box.
        self.hidden = nn.Linear(_CODE + outputs + 2, _HIDDEN)
        self.output = nn.Linear(_HIDDEN, outputs)
        # The head starts as the evidence and learns what to add.
        self.trust = nn.Parameter(torch.ones(outputs))
        nn.init.normal_(self.output.weight, std=0.01)
        nn.init.zeros_(self.output.bias)
        with torch.no_grad():
            self.hidden.weight[:, :_CODE] *= 0.1
        self.classes = classes

    def forward(self, dense: DenseOutput, rois: Tensor, evidence: DenseEvidence) -> RoiOutput:
        """Judge rois (L, 5): index of the image in the batch, then the box in input pixels."""
        pooled = [
            roi_align(level.detach().contiguous(), rois, _POOL, 1 / stride, 2, aligned=True).mean((2, 3))
            for level, stride in zip(dense.pyramid, STRIDES, strict=True)
        ]
        code = functional.leaky_relu(self.code(torch.cat(pooled, 1)), 0.1)
        boxes = rois[:, 1:]
        answer = _evidence_answer(boxes, evidence).detach()
        size = torch.log((boxes[:, 2:] - boxes[:, :2]).clamp(min=1) / 32)
        hidden = functional.leaky_relu(self.hidden(torch.cat([code, answer, size], 1)), 0.1)
        out = self.output(hidden) + self.trust * answer
        count = self.classes + 1
        return RoiOutput(out[:, :count], out[:, count], out[:, count + 1 :])


class MaskHead(nn.Module):
    """28 x 28 foreground logits inside given boxes, from the image itself, strides 2, 4 and 8.

    The image comes along because a person of 16 input pixels is two cells wide on the pyramid.

    Args:
        channels: Input channels of the detector.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels + 32 + 64 + 128, _MASK_WIDTH, 1)
        self.convs = nn.ModuleList(nn.Conv2d(_MASK_WIDTH, _MASK_WIDTH, 3, padding=1) for _ in range(3))
        self.output = nn.Conv2d(_MASK_WIDTH, 1, 1)

    def forward(self, images: Tensor, dense: DenseOutput, rois: Tensor) -> Tensor:
        """(L, 28, 28) logits for rois (L, 5): the image's index in the batch, the box in input pixels."""
        sources = zip((images, *dense.fine, dense.pyramid[0]), (1, 2, 4, 8), strict=True)
        pooled = [
            roi_align(source.detach().contiguous(), rois, MASK_SIZE, 1 / stride, 1, aligned=True)
            for source, stride in sources
        ]
        x = functional.leaky_relu(self.squeeze(torch.cat(pooled, 1)), 0.1)
        for conv in self.convs:
            x = x + functional.leaky_relu(conv(x), 0.1)
        logits: Tensor = self.output(x)[:, 0]
        return logits
