"""The loop of torchvision's references/detection as it stands there, around our network: the pace to beat.

Every epoch decodes every image again (PIL), mirrors it at random, batches it in worker processes, and takes SGD
steps with momentum .9 and weight decay 1e-4 in the default memory layout; every step the losses are read back.
"""

from __future__ import annotations

import io
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

__all__ = ["cpu_seconds", "reference_pace"]

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
    # The rate is far below the reference's .02: the pace does not depend on it, and nothing may diverge.
    optimizer = torch.optim.SGD(parameters, lr=1e-5, momentum=0.9, weight_decay=1e-4)
    learner.model.train()
    batches = _epochs(loader)
    started = spent = 0.0
    for step in range(warm_up + steps):
        if step == warm_up:
            started, spent = time.perf_counter(), cpu_seconds()
        losses = learner.losses(next(batches), step)
        total = torch.stack(list(losses.values())).sum()
        float(total.item())
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
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
