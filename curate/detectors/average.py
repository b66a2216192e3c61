"""An exponential average of the weights: what a run keeps of the noise of its steps is half as much."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]

_WARM_UP = 10.0


class WeightAverage:
    """Exponential moving average of a model's weights (Polyak and Juditsky, 1992).

    After n updates the decay is min(decay, (1 + n) / (10 + n)), so that the first weights are soon forgotten.

    Args:
        model: Its weights now are the first average.
        decay: In (0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the weights after optimiser step `step` (from 1)."""
        decay = min(self._decay, (1 + step) / (_WARM_UP + step))
        now = model.state_dict()
        own = [value for value in self.weights.values() if value.is_floating_point()]
        new = [now[name] for name, value in self.weights.items() if value.is_floating_point()]
        torch._foreach_lerp_(own, new, 1 - decay)
        for name, value in self.weights.items():
            if not value.is_floating_point():
                value.copy_(now[name])

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `weights` held."""
        for name, value in self.weights.items():
            value.copy_(tensors[name])
