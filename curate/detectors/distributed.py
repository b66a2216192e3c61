"""Several processes that train one detector, as `torchrun` starts them: each takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch import distributed as dist

from curate.errors import ModelError

__all__ = ["World", "join_world"]


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    Attributes:
        rank: From 0; 0 writes files and reports.
        size: Number of processes; 1 when it trains alone.
        local_rank: Number on this machine, which picks the GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their mean over the processes, in one message."""
        if self.size == 1:
            return
        chosen = list(parameters)
        # A head without a target has no gradient in one process, and may have one in another.
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in chosen]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        at = 0
        for parameter, gradient in zip(chosen, gradients, strict=True):
            # In the parameter's own memory layout: the fused optimiser walks through both side by side.
            parameter.grad = torch.empty_like(parameter).copy_(
                flat[at : at + gradient.numel()].view(gradient.shape)
            )
            at += gradient.numel()

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def mean(self, values: Tensor) -> Tensor:
        """Mean of a tensor over the processes."""
        if self.size == 1:
            return values
        total = values.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


def join_world() -> World:
    """The world that torchrun's variables describe (RANK, WORLD_SIZE, LOCAL_RANK); alone without them.

    Raises:
        ModelError: The variables are there but the processes cannot meet.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size <= 1:
        return World()
    try:
        if not dist.is_initialized():
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"the {size} training processes cannot meet: {error}", hint="start them with torchrun"
        ) from error
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", "0")))
