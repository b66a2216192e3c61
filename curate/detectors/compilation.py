"""torch.compile for the part of a network that takes most of a step, where that pays."""

from __future__ import annotations

import sys

import torch
from torch import nn

from curate.detectors.config import TrainConfig

__all__ = ["Compilation", "pays"]

_WORTH_STEPS = 2000


def pays(config: TrainConfig, device: torch.device) -> bool:
    """Whether a run compiles: as `config.compile` says; "auto" on CUDA from 2,000 steps on.

    Compiling the bundled detector takes half a minute and more, for every size of frames again. What it saves is a
    share of a step of some hundredths of a second: shorter runs would only lose. On processors four fifths of a step
    are convolutions, which it leaves as they are.
    """
    if config.compile == "auto":
        return device.type == "cuda" and config.steps >= _WORTH_STEPS
    return config.compile == "on"


class Compilation:
    """A module that is compiled as long as the compiler works.

    Args:
        module: Its forward pass is compiled in place; copies of it (the detector that is kept) are not.
        config: Settings of the run.
        device: Where it trains.
    """

    def __init__(self, module: nn.Module, config: TrainConfig, device: torch.device) -> None:
        self._remark = ""
        self._active = pays(config, device)
        if self._active:
            module.compile()

    def remark(self) -> str:
        """What there is to tell since it was asked last; "" for nothing."""
        told, self._remark = self._remark, ""
        return told

    def gives_up(self, error: Exception) -> bool:
        """Whether an error was the compiler's (no C++ compiler, an operation that it does not know).

        The process then goes on without it.
        """
        known = sys.modules.get("torch._dynamo.exc")
        if not self._active or known is None or not isinstance(error, known.TorchDynamoException):
            return False
        self._active = False
        torch.compiler.set_stance("force_eager")
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        self._remark = f"torch.compile failed, training goes on without it: {reason}"
        return True
