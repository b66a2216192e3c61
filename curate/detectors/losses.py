"""Which cells are responsible for which object, and the losses of the dense head and the box heads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_iou, generalized_box_iou_loss

from curate.detectors.ignored import not_judged
from curate.detectors.nanodet import BINS

__all__ = ["Assignment", "DenseTargets", "assign", "dense_losses", "mask_loss"]

_TOP_IOUS = 10
_GIOU_WEIGHT = 2.0
_DISTRIBUTION_WEIGHT = 0.25


@dataclass(frozen=True)
class DenseTargets:
    """Labels of one image in input pixels.

    Attributes:
        boxes: (N, 4).
        classes: (N,).
        ignore: (K, 4) boxes that are not judged.
        ignored: Summed-area table of the regions that are not judged; None without any.
    """

    boxes: Tensor
    classes: Tensor
    ignore: Tensor
    ignored: Tensor | None = None


class Assignment(NamedTuple):
    """For every cell the object that it must find, -1 for none (A,); and whether it counts at all (A,)."""

    matched: Tensor
    counted: Tensor


@torch.no_grad()
def assign(probabilities: Tensor, boxes: Tensor, centres: Tensor, targets: DenseTargets) -> Assignment:
    """Dynamic top-k assignment (the idea of SimOTA; Ge et al., YOLOX, 2021), by IoU x sqrt(probability).

    An object takes as many cells as the sum of its ten best IoUs says (at least one), among the cells
    whose centre lies inside its box (the nearest cell where none does). A cell that two objects want
    goes to the one that it fits better.

    Args:
        probabilities: (A, C) of all cells of one image.
        boxes: (A, 4) decoded.
        centres: (A, 2).
        targets: Labels of the image.
    """
    cells_count, count = len(boxes), len(targets.boxes)
    matched = torch.full((cells_count,), -1, dtype=torch.long, device=boxes.device)
    counted = ~(not_judged(boxes, targets.ignore, targets.ignored) | _inside(centres, targets.ignore))
    if not count:
        return Assignment(matched, counted)
    low, high = targets.boxes[:, None, :2], targets.boxes[:, None, 2:]
    inside = ((centres[None] > low) & (centres[None] < high)).all(2)
    distance = (centres[None] - (low + high) / 2).square().sum(2)
    inside[torch.arange(count, device=boxes.device), distance.argmin(1)] = True
    iou = box_iou(targets.boxes, boxes) * inside
    fit = iou * probabilities[:, targets.classes].T.sqrt() + 1e-6 * inside
    wanted = iou.topk(min(_TOP_IOUS, cells_count), dim=1).values.sum(1).floor().long().clamp(min=1)
    order = fit.argsort(dim=1, descending=True, stable=True).argsort(dim=1, stable=True)
    taken = (order < wanted[:, None]) & inside
    best, owner = torch.where(taken, fit, fit.new_tensor(-1.0)).max(0)
    matched[best >= 0] = owner[best >= 0]
    return Assignment(matched, counted | (matched >= 0))


def _inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """(A,) whether a centre lies in one of the boxes (K, 4)."""
    within = (centres[:, None] > boxes[None, :, :2]) & (centres[:, None] < boxes[None, :, 2:])
    return within.all(2).any(1)


def dense_losses(
    logits: Tensor,
    distances: Tensor,
    boxes: Tensor,
    grid: tuple[Tensor, Tensor],
    targets: list[DenseTargets],
) -> dict[str, Tensor]:
    """Quality focal loss, GIoU and distribution focal loss of a batch.

    The class target of a responsible cell is the IoU that its box reaches (Li et al., Generalized Focal
    Loss, 2020), so a score means "right and well placed".

    Args:
        logits: (B, A, C).
        distances: (B, A, 4 * BINS).
        boxes: (B, A, 4) decoded from `distances`.
        grid: Centres (A, 2) and strides (A,) of the cells.
        targets: Labels per image.

    Returns:
        "quality", "giou" and "distribution", weighted, ready to be added up.
    """
    centres, strides = grid
    quality = torch.zeros_like(logits)
    counted = torch.zeros(logits.shape[:2], dtype=torch.bool, device=logits.device)
    found, wanted, cell_index = [], [], []
    probabilities = logits.detach().sigmoid()
    for index, target in enumerate(targets):
        matched, counted[index] = assign(probabilities[index], boxes[index].detach(), centres, target)
        cell = torch.nonzero(matched >= 0)[:, 0]
        labels = matched[cell]
        found.append(boxes[index, cell])
        wanted.append(target.boxes[labels])
        cell_index.append(torch.stack([torch.full_like(cell, index), cell]))
        iou = _paired_iou(found[-1].detach(), wanted[-1])
        quality[index, cell, target.classes[labels]] = iou
    image, cell = torch.cat(cell_index, 1)
    goal, pred = torch.cat(wanted), torch.cat(found)
    weight = quality.sum(2)[image, cell].clamp(min=0.05)
    norm = weight.sum().clamp(min=1.0)
    focal = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    focal = (focal * (logits.sigmoid() - quality).square() * counted[..., None]).sum() / norm
    giou = (generalized_box_iou_loss(pred, goal) * weight).sum() / norm
    distribution = _distribution_loss(distances[image, cell], goal, centres[cell], strides[cell])
    return {
        "quality": focal,
        "giou": _GIOU_WEIGHT * giou,
        "distribution": _DISTRIBUTION_WEIGHT * (distribution * weight).sum() / norm,
    }


def _paired_iou(a: Tensor, b: Tensor) -> Tensor:
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared
    return shared / union.clamp(min=1e-6)


def _distribution_loss(logits: Tensor, goal: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
    """(P,) cross-entropy with the two bins next to the true distance of every side, mean over sides."""
    sides = torch.cat([centres - goal[:, :2], goal[:, 2:] - centres], 1) / strides[:, None]
    sides = sides.clamp(0, BINS - 1 - 0.01)
    low = sides.floor()
    log = logits.reshape(-1, 4, BINS).log_softmax(2)
    at_low = log.gather(2, low.long()[..., None])[..., 0]
    at_high = log.gather(2, low.long()[..., None] + 1)[..., 0]
    loss: Tensor = -(at_low * (low + 1 - sides) + at_high * (sides - low)).mean(1)
    return loss


def mask_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy plus dice of (L, 28, 28) logits and targets in [0, 1]."""
    entropy = functional.binary_cross_entropy_with_logits(logits, targets)
    found = logits.sigmoid()
    shared = (found * targets).sum((1, 2))
    dice = 1 - (2 * shared + 1) / (found.sum((1, 2)) + targets.sum((1, 2)) + 1)
    return entropy + dice.mean()
