"""A run's state on disk: one safetensors file, replaced in one step, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from curate.files import write_atomically

__all__ = ["Checkpoint", "load_checkpoint", "optimizer_tensors", "restore_optimizer"]

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Checkpoint:
    """State after `step` steps.

    Attributes:
        fingerprint: Of the run that it belongs to.
        step: Steps done.
        seconds: Time spent.
        tensors: Weights as "model.<name>", their average as "average.<name>" and AdamW's moments as
            "optimizer.<name>.<moment>".
        parts: Into how many parts a batch is cut to fit into memory.
    """

    fingerprint: str
    step: int
    seconds: float
    tensors: Mapping[str, Tensor]
    parts: int = 1

    def save(self, path: Path) -> None:
        """Write it, so that a kill at any moment leaves the old file or the new one.

        Raises:
            ProjectError: The folder cannot be written.
        """
        metadata = {
            "fingerprint": self.fingerprint,
            "step": self.step,
            "seconds": self.seconds,
            "parts": self.parts,
        }
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.tensors.items()}
        write_atomically(path, to_bytes(tensors, {"run": json.dumps(metadata)}))


def load_checkpoint(path: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint of a run; None when there is none, it is broken, or it belongs to another run."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            metadata = json.loads((file.metadata() or {}).get("run", "{}"))
            if metadata.get("fingerprint") != fingerprint:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, ValueError, OSError):
        return None
    step, seconds, parts = int(metadata["step"]), float(metadata["seconds"]), int(metadata.get("parts", 1))
    return Checkpoint(fingerprint, step, seconds, tensors, parts)


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """AdamW's moments by parameter name."""
    state: dict[Any, dict[str, Tensor]] = optimizer.state
    return {
        f"optimizer.{name}.{moment}": state[parameter][moment]
        for name, parameter in model.named_parameters()
        if parameter in state
        for moment in _MOMENTS
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, model: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Put `optimizer_tensors` back, on the parameters' devices and in their memory layout."""
    for name, parameter in model.named_parameters():
        if f"optimizer.{name}.step" not in tensors:
            continue
        first, second = (torch.empty_like(parameter) for _ in range(2))
        first.copy_(tensors[f"optimizer.{name}.exp_avg"])
        second.copy_(tensors[f"optimizer.{name}.exp_avg_sq"])
        optimizer.state[parameter] = {
            "step": tensors[f"optimizer.{name}.step"].clone().to(parameter.device),
            "exp_avg": first,
            "exp_avg_sq": second,
        }
