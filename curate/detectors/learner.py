"""What the trainer trains: a network, its groups of parameters, and the losses of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from curate.detectors.config import TrainConfig
from curate.detectors.decode import cells
from curate.detectors.frames import Batch
from curate.detectors.letterbox import normalise
from curate.detectors.losses import DenseTargets, dense_losses
from curate.detectors.model import SiteNetwork
from curate.detectors.nanodet import DenseOutput
from curate.detectors.roi_training import roi_losses, sample_rois
from curate.detectors.seeds import step_generator

__all__ = ["Learner", "ParameterGroup", "SiteLearner", "autocast", "multiplies_bfloat16", "trainable"]


class ParameterGroup(NamedTuple):
    """Parameters that share a learning rate and are clipped together."""

    parameters: Sequence[nn.Parameter]
    learning_rate: float


class Learner(Protocol):
    """A network with its losses."""

    @property
    def model(self) -> nn.Module:
        """The network."""
        ...

    @property
    def heavy(self) -> nn.Module:
        """The part of it that takes most of a step, and whose inputs have one shape: it may be compiled."""
        ...

    @property
    def groups(self) -> Sequence[ParameterGroup]:
        """All trainable parameters, the main learning rate first."""
        ...

    @property
    def side_by_side(self) -> bool:
        """Whether losses of two parts of a batch may be computed at the same time, in threads.

        Not where something is kept between the operations of a step, such as a sampler's state, or where statistics are
        taken over the batch.
        """
        ...

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Weighted losses of a batch, ready to be added up; `step` seeds what is random."""
        ...


def autocast(
    precision: str, device: torch.device, *, processors: bool = False
) -> AbstractContextManager[object]:
    """Where bfloat16 is wanted, the context that computes in it.

    "auto" means devices that multiply it in hardware: on others it takes ten times as long.

    Args:
        precision: "auto", "float32" or "bfloat16".
        device: Where it computes.
        processors: Whether "auto" takes processors in, too: for networks of which it was measured that they lose no
            accuracy by it (docs/benchmarks.md).
    """
    wanted = device.type == "cuda" or processors
    if precision == "float32" or (precision == "auto" and not (wanted and multiplies_bfloat16(device))):
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for products of bfloat16 (on processors AVX512-BF16 or AMX)."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # Torch has no public question for this; where the private ones are gone, the answer is no.
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Parameters that are not frozen."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


class SiteLearner:
    """The site's network: quality focal, GIoU and distribution focal loss, and the box heads' losses.

    Args:
        model: On its device.
        config: Settings of the run.
    """

    def __init__(self, model: SiteNetwork, config: TrainConfig) -> None:
        self._model = model
        self._config = config
        self._device = next(model.parameters()).device
        model.freeze(config.freeze)
        heads: list[nn.Module] = [model.roi] + ([model.mask] if model.mask is not None else [])
        # Apart, so that a bad moment of the heads does not slow the detector down.
        self._groups = (
            ParameterGroup(trainable(model.dense), config.learning_rate),
            ParameterGroup([p for head in heads for p in trainable(head)], config.roi_learning_rate),
        )

    @property
    def model(self) -> SiteNetwork:
        """The network."""
        return self._model

    @property
    def heavy(self) -> nn.Module:
        """The dense detector."""
        return self._model.dense

    @property
    def groups(self) -> Sequence[ParameterGroup]:
        """The COCO detector's own weights, then the new heads."""
        return self._groups

    @property
    def side_by_side(self) -> bool:
        """Yes: what is random is drawn from the step alone, and BatchNorm is folded into the convolutions."""
        return True

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Losses by name of a batch."""
        images = normalise(batch.pixels(self._device))
        with autocast(self._config.precision, self._device, processors=True):
            dense = _as_float(self._model.dense(images))
        logits, boxes = self._model.class_logits(dense), self._model.boxes(dense)
        targets = [
            DenseTargets(
                torch.from_numpy(item.boxes).to(self._device),
                torch.from_numpy(item.classes).to(self._device),
                torch.from_numpy(item.ignore).to(self._device),
                None if item.ignored is None else item.ignored.to(self._device),
            )
            for item in batch.items
        ]
        losses = dense_losses(logits, dense.distances, boxes, cells(dense.grid, self._device), targets)
        rois = sample_rois(batch, step_generator(self._config.seed, 3, step))
        return losses | roi_losses(self._model, images, dense, batch, rois)


def _as_float(dense: DenseOutput) -> DenseOutput:
    """Predictions in float32: distances of a pixel are too fine for eight bits of mantissa."""
    fine, pyramid = dense.fine, dense.pyramid
    return DenseOutput(
        dense.logits.float(),
        dense.distances.float(),
        (fine[0].float(), fine[1].float()),
        (pyramid[0].float(), pyramid[1].float(), pyramid[2].float()),
        dense.grid,
    )
