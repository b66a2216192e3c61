"""Which boxes the box heads learn from, and what they should answer for each.

Real labels come jittered at several strengths, so that the heads see well and badly placed boxes; and
boxes on nothing come from the sizes of real labels at random places. The class target fades into
background as the box loses its object, so the background probability of a label is evidence that it
is spurious and not just shifted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from curate.detectors.frames import Batch, Item
from curate.detectors.ignored import share_inside
from curate.detectors.losses import mask_loss
from curate.detectors.model import SiteNetwork, rois_of
from curate.detectors.nanodet import DenseOutput
from curate.detectors.roi import MASK_SIZE, box_deltas
from curate.geometry import box_iou
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["RoiSample", "roi_losses", "sample_rois"]

_JITTER = (0.0, 0.08, 0.2, 0.4)
_LABELS = 12
_NEGATIVES = 12
# A box below the first IoU shows background, above the second its object.
_FADE = (0.15, 0.45)
_REFINED_FROM = 0.3
_MASK_FROM = 0.6
_MASKS_PER_FRAME = 5
_COVERED = 0.2


class RoiSample(NamedTuple):
    """Boxes to learn from on one frame.

    Attributes:
        boxes: (L, 4) input pixels.
        classes: (L,) class of the nearest label.
        label: (L,) index of the nearest label, -1 where the frame has none.
        iou: (L,) with that label.
    """

    boxes: FloatArray
    classes: IntArray
    label: IntArray
    iou: FloatArray


def sample_rois(batch: Batch, random: np.random.Generator) -> list[RoiSample]:
    """Jittered labels and random boxes for every frame of a batch.

    Random boxes get the sizes of the batch's labels, give or take a third.
    """
    height, width = batch.canvases.shape[1:3]
    labels = np.concatenate([item.boxes for item in batch.items])
    sizes = labels[:, 2:] - labels[:, :2] if len(labels) else np.full((1, 2), min(height, width) / 8)
    return [_sample_frame(item, sizes, (height, width), random) for item in batch.items]


def _sample_frame(
    item: Item, sizes: FloatArray, shape: tuple[int, int], random: np.random.Generator
) -> RoiSample:
    labels = item.boxes[random.permutation(len(item.boxes))[:_LABELS]]
    strength = np.array(_JITTER)[None, :, None]
    sides = np.tile(labels[:, 2:] - labels[:, :2], (1, 2))[:, None]
    noise = random.normal(size=(len(labels), len(_JITTER), 4)) * strength
    jittered = (labels[:, None] + noise * sides).reshape(-1, 4)
    chosen = sizes[random.integers(len(sizes), size=_NEGATIVES)]
    chosen = chosen * np.exp(random.uniform(-0.3, 0.3, chosen.shape))
    frame = np.array([shape[1], shape[0]])
    corner = random.uniform(0, 1, (_NEGATIVES, 2)) * (frame - chosen).clip(1)
    boxes = np.concatenate([jittered, np.concatenate([corner, corner + chosen], 1)])
    boxes = np.clip(boxes, 0, np.tile(frame, 2))
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(1) >= 2]
    boxes = boxes[~_covered(boxes, item)]
    if not len(item.boxes):
        nothing = np.zeros(len(boxes), np.int64)
        return RoiSample(boxes, nothing, nothing - 1, np.zeros(len(boxes)))
    iou = box_iou(boxes, item.boxes)
    label = iou.argmax(1)
    return RoiSample(boxes, item.classes[label], label, iou.max(1))


def _covered(boxes: FloatArray, item: Item) -> BoolArray:
    """(L,) whether a fifth of a box or more lies where nothing is judged."""
    covered = np.zeros(len(boxes), bool)
    if len(item.ignore):
        low = np.maximum(boxes[:, None, :2], item.ignore[None, :, :2])
        high = np.minimum(boxes[:, None, 2:], item.ignore[None, :, 2:])
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        covered |= ((high - low).clip(0).prod(2) >= _COVERED * area[:, None]).any(1)
    if item.ignored is not None:
        covered |= (share_inside(torch.from_numpy(boxes), item.ignored) >= _COVERED).numpy()
    return covered


def roi_losses(
    model: SiteNetwork,
    images: Tensor,
    dense: DenseOutput,
    batch: Batch,
    samples: Sequence[RoiSample],
) -> dict[str, Tensor]:
    """Losses of the box heads on one batch: "class", "fit", "refine" and, with a mask head, "mask"."""
    device = images.device
    boxes = [torch.from_numpy(sample.boxes.astype(np.float32)).to(device) for sample in samples]
    rois = rois_of(boxes)
    if not len(rois):  # everything in these frames is ignored
        return {name: images.new_zeros(()) for name in ("class", "fit", "refine")}
    evidence = model.evidence(dense, boxes)
    output = model.roi(dense, rois, evidence)
    iou = torch.from_numpy(np.concatenate([s.iou for s in samples]).astype(np.float32)).to(device)
    classes = torch.from_numpy(np.concatenate([s.classes for s in samples])).to(device)
    present = ((iou - _FADE[0]) / (_FADE[1] - _FADE[0])).clamp(0, 1)
    target = torch.zeros_like(output.classes)
    target[:, -1] = 1 - present
    target[torch.arange(len(target), device=device), classes] += present
    losses = {
        "class": functional.cross_entropy(output.classes, target),
        "fit": functional.binary_cross_entropy_with_logits(output.fit, iou),
    }
    near = iou >= _REFINED_FROM
    goals = [
        torch.from_numpy(item.boxes[sample.label] if len(item.boxes) else sample.boxes.astype(np.float32))
        for item, sample in zip(batch.items, samples, strict=True)
    ]
    wanted = box_deltas(rois[:, 1:], torch.cat(goals).to(device))
    error = functional.smooth_l1_loss(output.deltas, wanted, reduction="none", beta=0.1).sum(1)
    losses["refine"] = (error * near).sum() / near.sum().clamp(min=1)
    if model.mask is not None:
        losses["mask"] = _mask_losses(model, images, dense, batch, samples)
    return losses


def _mask_losses(
    model: SiteNetwork,
    images: Tensor,
    dense: DenseOutput,
    batch: Batch,
    samples: Sequence[RoiSample],
) -> Tensor:
    boxes, targets = [], []
    for item, sample in zip(batch.items, samples, strict=True):
        usable = [
            row
            for row in np.flatnonzero(sample.iou >= _MASK_FROM)
            if item.masks[int(sample.label[row])] is not None
        ]
        # Spread over the labels: neighbouring rows are jitters of one label.
        usable = usable[:: max(1, len(usable) // _MASKS_PER_FRAME)][:_MASKS_PER_FRAME]
        boxes.append(torch.from_numpy(sample.boxes[usable].astype(np.float32)).to(images.device))
        targets += [item.mask_target(int(sample.label[row]), sample.boxes[row], MASK_SIZE) for row in usable]
    rois = rois_of(boxes)
    if model.mask is None or not targets:
        return images.new_zeros(())
    logits = model.mask(images, dense, rois)
    return mask_loss(logits, torch.from_numpy(np.stack(targets).astype(np.float32)).to(images.device))
