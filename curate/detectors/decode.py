"""From dense predictions to boxes: cell centres, distance distributions, non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torchvision.ops import batched_nms, box_iou

from curate.detectors.nanodet import BINS, STRIDES

__all__ = ["NMS_IOU", "VOTE_IOU", "VOTE_SPREAD", "cells", "decode_boxes", "group_logits", "suppress"]

NMS_IOU = 0.6
VOTE_IOU = 0.7
VOTE_SPREAD = 0.025
_CANDIDATES = 1000
_KEPT = 200


@lru_cache(maxsize=32)
def cells(grid: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres (A, 2) in input pixels and strides (A,) of all cells; a centre lies half a cell inside."""
    centres, strides = [], []
    # Whoever asks first may be predicting; what is kept must serve a later training too.
    with torch.inference_mode(False):
        for (height, width), stride in zip(grid, STRIDES, strict=True):
            ys = (torch.arange(height, device=device) + 0.5) * stride
            xs = (torch.arange(width, device=device) + 0.5) * stride
            y, x = torch.meshgrid(ys, xs, indexing="ij")
            centres.append(torch.stack([x.flatten(), y.flatten()], 1))
            strides.append(torch.full((height * width,), float(stride), device=device))
        return torch.cat(centres), torch.cat(strides)


def decode_boxes(distances: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """Logits (..., A, 4 * BINS) of distance distributions to boxes (..., A, 4) in input pixels.

    The distance of a side is the mean of its distribution over 0 ... BINS - 1 strides.
    """
    bins = torch.arange(BINS, dtype=distances.dtype, device=distances.device)
    sides = distances.reshape(*distances.shape[:-1], 4, BINS).softmax(-1) @ bins * strides[:, None]
    return torch.cat([centres - sides[..., :2], centres + sides[..., 2:]], -1)


def group_logits(logits: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Logits of rows (..., R) to logits of classes (..., C): the largest of each class's rows."""
    if all(len(group) == 1 for group in groups):
        return logits
    return torch.stack([logits[..., list(group)].amax(-1) for group in groups], -1)


def suppress(
    boxes: Tensor, scores: Tensor, threshold: float, *, vote: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Non-maximum suppression within each class.

    Args:
        boxes: (A, 4).
        scores: (A, C) probabilities.
        threshold: Lower scores are dropped first.
        vote: A box that is kept moves to the mean of the boxes of its class around it, itself included, weighted
            by score and nearness (Gidaris and Komodakis, 2015; the weights are those of He et al., Bounding Box
            Regression with Uncertainty, 2019). Its score stays.

    Returns:
        Boxes (N, 4), scores (N,) and classes (N,), best first, at most 200.
    """
    cell, klass = torch.nonzero(scores >= threshold, as_tuple=True)
    values = scores[cell, klass]
    if len(values) > _CANDIDATES:
        values, best = values.topk(_CANDIDATES)
        cell, klass = cell[best], klass[best]
    candidates = boxes[cell]
    kept = batched_nms(candidates, values, klass, NMS_IOU)[:_KEPT]
    found = candidates[kept]
    if vote and len(kept):
        iou = box_iou(found, candidates) * (klass[kept, None] == klass)
        weight = values * torch.exp(-((1 - iou) ** 2) / VOTE_SPREAD) * (iou >= VOTE_IOU)
        found = weight @ candidates / weight.sum(1, keepdim=True)
    return found, values[kept], klass[kept]
