"""From dense predictions to boxes: cell centres, distance distributions, non-maximum suppression."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from curate.detectors.nanodet import BINS, STRIDES

__all__ = [
    "CANDIDATES",
    "KEPT",
    "NMS_IOU",
    "VOTE_IOU",
    "VOTE_SPREAD",
    "candidates",
    "cells",
    "decode_boxes",
    "group_logits",
    "suppress",
    "vote_weights",
]

NMS_IOU = 0.6
VOTE_IOU = 0.7
_SLACK = 0.02
VOTE_SPREAD = 0.025
CANDIDATES = 1000
"""Boxes of a frame, the best-scored ones, that suppression looks at."""
KEPT = 200
"""Most detections of a frame."""


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


def candidates(scores: Tensor, threshold: float) -> tuple[Tensor, Tensor, Tensor]:
    """Which cells may hold an object, so that only their boxes need decoding.

    Args:
        scores: (A, C) probabilities.
        threshold: Lower scores are left out.

    Returns:
        Cells (M,), classes (M,) and scores (M,), at most the 1,000 of the highest score.
    """
    cell, klass = torch.nonzero(scores >= threshold, as_tuple=True)
    values = scores[cell, klass]
    if len(values) > CANDIDATES:
        values, best = values.topk(CANDIDATES)
        cell, klass = cell[best], klass[best]
    return cell, klass, values


def suppress(boxes: Tensor, scores: Tensor, classes: Tensor, *, vote: bool = False) -> tuple[Tensor, Tensor]:
    """Non-maximum suppression within each class.

    Args:
        boxes: (M, 4).
        scores: (M,).
        classes: (M,).
        vote: A box that is kept moves to the mean of the boxes of its class around it, itself included, weighted
            by score and nearness (Gidaris and Komodakis, 2015; the weights are those of He et al., Bounding Box
            Regression with Uncertainty, 2019). Its score stays.

    Returns:
        Indices (N,) of the boxes that are kept and their boxes (N, 4), best first, at most 200.
    """
    kept = batched_nms(boxes, scores, classes, NMS_IOU)[:KEPT]
    found = boxes[kept]
    if vote and len(kept):
        mine, voter = _near(found, boxes, classes[kept], classes)
        iou = _overlap(found.index_select(0, mine), boxes.index_select(0, voter))
        votes = torch.nonzero(iou >= VOTE_IOU)[:, 0]
        mine, voter = mine[votes], voter[votes]
        weight = vote_weights(iou[votes], scores[voter])[:, None]
        share = torch.zeros_like(found[:, :1]).index_add_(0, mine, weight)
        found = torch.zeros_like(found).index_add_(0, mine, weight * boxes[voter]) / share
    return kept, found


def vote_weights(iou: Tensor, scores: Tensor) -> Tensor:
    """Weights with which boxes of these scores vote on boxes of their class that they overlap by `iou`."""
    return scores * torch.exp(-((1 - iou) ** 2) / VOTE_SPREAD) * (iou >= VOTE_IOU)


def _near(found: Tensor, boxes: Tensor, kinds: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (P,), (P,) of indices of one class, among them all whose IoU reaches VOTE_IOU.

    The middles of such boxes differ in x by no more than (1 / VOTE_IOU - 1) / 2 of a width (the wider box begins where
    the other does): nineteen pairs of twenty need no closer look.
    """
    middles, wanted = (values[:, ::2].double().mean(1) for values in (boxes, found))
    row = torch.cat([middles, wanted]).abs().max() * 4 + 1  # classes lie one after the other
    places, order = (middles + classes * row).sort()
    reach = (found[:, 2] - found[:, 0]) * (1 / VOTE_IOU - 1 + _SLACK) / 2
    low = torch.searchsorted(places, wanted + kinds * row - reach)
    counts = torch.searchsorted(places, wanted + kinds * row + reach, right=True) - low
    mine = torch.repeat_interleave(counts)
    place = torch.arange(len(mine), device=boxes.device) + (low - counts.cumsum(0) + counts).index_select(
        0, mine
    )
    return mine, order.index_select(0, place)


def _overlap(first: Tensor, second: Tensor) -> Tensor:
    """(P,) IoU of boxes (P, 4) with boxes (P, 4)."""
    sides = torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    shared = sides.clamp_(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)
