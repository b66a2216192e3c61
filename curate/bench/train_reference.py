"""The loop of torchvision's references/detection as it stands there, around our network: the pace to beat.

Every epoch decodes every image again (PIL), mirrors it at random, batches it in worker processes, and takes SGD
steps with momentum .9 and weight decay 1e-4 in the default memory layout; every step the losses are read back.
"""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import psutil
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from curate.detectors.config import TrainConfig, TrainingSample
from curate.detectors.frames import Batch, Item, load_image
from curate.detectors.learner import Learner
from curate.detectors.letterbox import fit_canvas, letterbox
from curate.errors import TrainingError

__all__ = ["REFERENCE_RATE", "ReferenceLoop", "cpu_seconds", "reference_pace"]

REFERENCE_RATE = 0.02 / 16
"""Its learning rate for each frame of a batch: .02 for eight processes of two frames."""
_DROPS = (16 / 26, 22 / 26)

_WORKERS = min(
    4, os.cpu_count() or 1
)  # The reference's default is 4; more than there are cores only slow it.


class _Files(Dataset[tuple[torch.Tensor, Item]]):
    """Encoded images and their labels; decoding and mirroring on access."""

    def __init__(self, samples: Sequence[TrainingSample], input_size: int) -> None:
        self._samples = samples
        self._input_size = input_size
        self._encoded = [_encode(load_image(sample)) for sample in samples]

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Item]:
        sample = self._samples[index]
        image = np.asarray(Image.open(io.BytesIO(self._encoded[index])).convert("RGB"))
        canvas = fit_canvas(image.shape[0], image.shape[1], self._input_size)
        pixels = letterbox(image, canvas)
        boxes, ignore = sample.boxes * canvas.scale, sample.ignore_boxes * canvas.scale
        if torch.rand(()) < 0.5:
            pixels[:, : canvas.content_width] = pixels[:, : canvas.content_width][:, ::-1].copy()
            boxes, ignore = (_mirrored(values, canvas.content_width) for values in (boxes, ignore))
        masks = (None,) * len(boxes)
        whole = (np.ones(4), np.zeros(4))
        item = Item(boxes.astype(np.float32), sample.classes, ignore.astype(np.float32), masks, whole)
        return torch.from_numpy(pixels), item


def _encode(image: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _mirrored(boxes: Any, width: int) -> Any:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)


def _collate(entries: list[tuple[torch.Tensor, Item]]) -> Batch:
    return Batch(torch.stack([pixels for pixels, _ in entries]), tuple(item for _, item in entries))


class ReferenceLoop:
    """The loop, one step at a time.

    Args:
        learner: Network and losses, in the default memory layout.
        samples: Labelled frames.
        config: Batch size, input size, seed; `steps` are what the schedule is spread over.
        rate: Learning rate after the warm-up.
    """

    def __init__(
        self, learner: Learner, samples: Sequence[TrainingSample], config: TrainConfig, rate: float
    ) -> None:
        torch.manual_seed(config.seed)
        loader = DataLoader(
            _Files(samples, config.input_size),
            batch_size=config.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=_WORKERS,
            collate_fn=_collate,
        )
        parameters = [parameter for group in learner.groups for parameter in group.parameters]
        self._optimizer = torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=1e-4)
        self._schedule = _schedule(self._optimizer, len(loader), config.steps)
        self._learner = learner
        self._batches = _epochs(loader)
        self._step = 0
        learner.model.train()

    def advance(self) -> None:
        """One step.

        Raises:
            TrainingError: The loss is not finite.
        """
        losses = self._learner.losses(next(self._batches), self._step)
        total = torch.stack(list(losses.values())).sum()
        if not math.isfinite(float(total.item())):
            raise TrainingError(f"the reference loop's loss is not finite at step {self._step + 1}")
        self._optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._schedule.step()
        self._step += 1


def _schedule(
    optimizer: torch.optim.Optimizer, epoch: int, steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """Linear warm-up over the first epoch, at most 1,000 steps; a tenth from 16 / 26 and from 22 / 26 of the steps."""
    warm_up = max(1, min(1000, epoch - 1))
    drops = [round(steps * share) for share in _DROPS]

    def factor(step: int) -> float:
        return min(1.0, 1e-3 + (1 - 1e-3) * step / warm_up) * 0.1 ** sum(step >= drop for drop in drops)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def reference_pace(
    learner: Learner, samples: Sequence[TrainingSample], config: TrainConfig, steps: int, warm_up: int
) -> tuple[float, float]:
    """Images a second of the reference loop, and seconds of CPU an image, its workers included.

    Args:
        learner: Network and losses, in the default memory layout.
        samples: Labelled frames.
        config: Batch size, input size, seed.
        steps: Timed steps.
        warm_up: Steps before them.
    """
    # The rate is far below the reference's .02: the pace does not depend on it, and nothing may diverge.
    loop = ReferenceLoop(learner, samples, config, 1e-5)
    for _ in range(warm_up):
        loop.advance()
    started, spent = time.perf_counter(), cpu_seconds()
    for _ in range(steps):
        loop.advance()
    images = steps * config.batch_size
    return images / (time.perf_counter() - started), (cpu_seconds() - spent) / images


def cpu_seconds() -> float:
    """CPU time of this process and its living children."""
    process = psutil.Process()
    own = [process, *process.children(recursive=True)]
    return sum(sum(entry.cpu_times()[:2]) for entry in own)


def _epochs(loader: DataLoader[tuple[torch.Tensor, Item]]) -> Iterator[Batch]:
    while True:
        yield from loader
