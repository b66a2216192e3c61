"""One run in memory: model, optimiser, data, and the number of steps done."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from curate.detectors.average import WeightAverage
from curate.detectors.checkpoint import Checkpoint, optimizer_tensors, restore_optimizer
from curate.detectors.compilation import Compilation, pays
from curate.detectors.config import Progress, TrainConfig
from curate.detectors.distributed import World
from curate.detectors.frames import Batch, FrameCache
from curate.detectors.lanes import Lanes, lanes_for
from curate.detectors.learner import Learner
from curate.detectors.prefetch import Prefetch
from curate.errors import TrainingError

__all__ = ["Trainer"]

_CLIP_NORM = 10.0


class Trainer:
    """Takes steps, and can be put aside and taken up again between any two of them.

    A batch that does not fit into memory is cut into halves, quarters and so on, whose gradients are added up: the
    batch of the recipe stays what it is. On a processor its halves are worked on side by side, where the learner may.

    Args:
        learner: What is trained, on its device.
        frames: Its batches, made one step ahead.
        config: Settings.
        world: The processes that train together.
    """

    def __init__(
        self, learner: Learner, frames: FrameCache, config: TrainConfig, world: World | None = None
    ) -> None:
        self.step = 0
        self._learner = learner
        self._model = learner.model.train()
        self._config = config
        self._world = world or World()
        self._device = next(self._model.parameters()).device
        self._batches = Prefetch(frames, config.steps, self._device, (self._world.rank, self._world.size))
        self._parts = 1
        self._compilation = Compilation(learner.heavy, config, self._device)
        alone = not learner.side_by_side or pays(config, self._device)
        count = 1 if alone else min(lanes_for(self._device), config.batch_size)
        self._lanes = Lanes(count) if count > 1 else None
        self._optimizer = torch.optim.AdamW(
            [{"params": list(group.parameters)} for group in learner.groups],
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._average = WeightAverage(self._model, config.ema) if config.ema else None
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._started_at = 0

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self._device

    def resume(self, checkpoint: Checkpoint | None) -> None:
        """Go on from a checkpoint; start from the beginning without one."""
        if checkpoint is None:
            return
        tensors = checkpoint.tensors
        self._model.load_state_dict(_part(tensors, "model."))
        if self._average is not None:
            self._average.restore(_part(tensors, "average."))
        restore_optimizer(self._optimizer, self._model, tensors)
        self.step = self._started_at = checkpoint.step
        self._parts = checkpoint.parts
        self._seconds_before = checkpoint.seconds

    def checkpoint(self, run: str) -> Checkpoint:
        """The state after the steps done."""
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        if self._average is not None:
            tensors |= {f"average.{name}": value for name, value in self._average.weights.items()}
        tensors |= optimizer_tensors(self._optimizer, self._model)
        return Checkpoint(run, self.step, self._seconds(), tensors, self._parts)

    def snapshot(self) -> nn.Module:
        """A copy of the network as it would be if the run ended now: the averaged weights, if there are any."""
        model = copy.deepcopy(self._model)
        if self._average is not None:
            model.load_state_dict(self._average.weights)
        return model.eval()

    def advance(self) -> Progress:
        """One step of the optimiser.

        Raises:
            TrainingError: A loss or gradient is not finite, or not even one frame fits into memory.
        """
        factor = learning_rate_factor(self.step, self._config)
        for settings, group in zip(self._optimizer.param_groups, self._learner.groups, strict=True):
            settings["lr"] = group.learning_rate * factor
        values = self._gradients()
        for group in self._learner.groups:
            self._world.average(group.parameters)
            norm = nn.utils.clip_grad_norm_(group.parameters, _CLIP_NORM)
            self._require_finite({"gradient": float(norm)})
        self._optimizer.step()
        self.step += 1
        if self._average is not None:
            self._average.update(self._model, self.step)
        pace = (time.monotonic() - self._started) / (self.step - self._started_at)
        eta = pace * (self._config.steps - self.step)
        rate = self._config.learning_rate * factor
        remark = self._compilation.remark()
        return Progress(self.step, self._config.steps, self._seconds(), eta, rate, values, remark)

    def _gradients(self) -> dict[str, float]:
        """Gradients of this step's batch, in as many parts as memory asks for; the losses by name."""
        batch = self._batches.batch(self.step)
        while True:
            values: dict[str, float] | None = None
            try:
                values = self._accumulate(batch)
            except RuntimeError as error:
                if self._compilation.gives_up(error):
                    continue
                if not _out_of_memory(error):
                    raise
            if not self._world.any(values is None, self._device):
                break
            if self._parts >= len(batch.items):
                raise TrainingError(
                    f"not even one frame of {self._config.input_size} pixels fits into the memory of {self._device}",
                    hint="lower model.input_size, or train on another device",
                )
            self._parts *= 2
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
        assert values is not None
        names = list(values)
        means = self._world.mean(torch.tensor([values[name] for name in names], device=self._device))
        result = dict(zip(names, means.tolist(), strict=True)) if self._world.size > 1 else values
        self._require_finite(result)
        return result

    def _accumulate(self, batch: Batch) -> dict[str, float]:
        """Gradients and losses of a batch: side by side, or, where memory asks for parts, one after the other."""
        self._optimizer.zero_grad(set_to_none=True)
        if self._lanes is not None and self._parts == 1:
            found = self._lanes.map(partial(self._part, len(batch.items)), batch.parts(self._lanes.count))
        else:
            found = []
            for part in batch.parts(self._parts):
                found.append(self._part(len(batch.items), part))
                if not math.isfinite(found[-1]["total"]):
                    break
        return {name: sum(values[name] for values in found) for name in found[0]}

    def _part(self, frames: int, part: Batch) -> dict[str, float]:
        """Add the gradients of a part of a batch of so many frames; its share of the losses, by name."""
        share = len(part.items) / frames
        losses = self._learner.losses(part, self.step)
        total = torch.stack(list(losses.values())).sum()
        values = {name: share * value.item() for name, value in (losses | {"total": total}).items()}
        if math.isfinite(values["total"]):  # Else told by name; nothing is gained by its gradient.
            (total * share).backward()  # type: ignore[no-untyped-call]
        return values

    def _require_finite(self, values: Mapping[str, float]) -> None:
        wrong = {name: value for name, value in values.items() if not math.isfinite(value)}
        if wrong:
            raise TrainingError(
                f"not finite at step {self.step + 1}: {', '.join(f'{k} {v}' for k, v in wrong.items())}",
                hint="lower learning_rate, or look for broken labels",
            )

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine to 0; step counts from 0."""
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    left = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * left))


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _out_of_memory(error: RuntimeError) -> bool:
    """Whether it is a device's or the system's memory that gave out."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
