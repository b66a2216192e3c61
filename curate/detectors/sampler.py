"""Which anchors and boxes of a frame are learnt from, as a function of seed and step alone."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["SeededSampler"]


class SeededSampler:
    """A balanced sample of objects and background, as torchvision's sampler takes it, but from a generator of its own.

    torchvision's draws from the process's random state, which neither a resumed run nor trainings side by side could
    repeat.

    Args:
        count: Rows taken of a frame.
        positive_share: At most this share of them are objects.
    """

    def __init__(self, count: int, positive_share: float) -> None:
        self._count = count
        self._positives = int(count * positive_share)
        self._generator = torch.Generator()

    def seed(self, *numbers: int) -> None:
        """What is drawn from now on follows from these numbers."""
        mixed = 0
        for number in numbers:
            mixed = (mixed * 1_000_003 + number + 1) % (1 << 62)
        self._generator.manual_seed(mixed)

    def __call__(self, labels: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Which rows are taken, as masks: objects (labels from 1) and background (0) of every frame; -1 never."""
        objects, background = [], []
        for label in labels:
            positive, negative = torch.where(label >= 1)[0], torch.where(label == 0)[0]
            taken = min(len(positive), self._positives)
            objects.append(self._mask(label, positive, taken))
            background.append(self._mask(label, negative, min(len(negative), self._count - taken)))
        return objects, background

    def _mask(self, label: Tensor, rows: Tensor, count: int) -> Tensor:
        mask = torch.zeros_like(label, dtype=torch.uint8)
        order = torch.randperm(len(rows), generator=self._generator)[:count]
        mask[rows[order.to(rows.device)]] = 1
        return mask
