"""A tiny fixed-camera scene of coloured boxes, and the bundled weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import curate
from curate.detectors import TrainConfig, TrainingSample
from curate.geometry.rle import mask_to_rle


class Scene:
    """Frames of 96 x 128 with red and blue rectangles that move over a textured ground."""

    classes = ("cone", "person")
    config = TrainConfig(
        steps=6, batch_size=2, input_size=128, checkpoint_every=2, device="cpu", warmup_steps=2, ema=0.9
    )

    def __init__(self) -> None:
        random = np.random.default_rng(7)
        self.plate = random.integers(90, 130, (96, 128, 3), dtype=np.uint8)

    def objects(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        random = np.random.default_rng([11, index])
        first = np.array([random.integers(4, 40), random.integers(4, 50)])
        second = np.array([random.integers(70, 96), random.integers(4, 40)])
        low = np.stack([first, second])
        boxes = np.concatenate([low, low + np.array([[22, 34], [20, 44]])], 1)
        return boxes.astype(float), np.array([0, 1])

    def image(self, index: int) -> np.ndarray:
        image = self.plate.copy()
        for (x1, y1, x2, y2), klass in zip(*self.objects(index), strict=True):
            image[int(y1) : int(y2), int(x1) : int(x2)] = ((220, 40, 30), (30, 60, 220))[klass]
        return image

    def sample(self, index: int, *, masks: bool = False) -> TrainingSample:
        boxes, classes = self.objects(index)
        shapes = []
        for x1, y1, x2, y2 in boxes.astype(int):
            mask = np.zeros((96, 128), bool)
            mask[y1:y2, x1:x2] = True
            shapes.append(mask_to_rle(mask))
        return TrainingSample(
            f"frame-{index}", lambda: self.image(index), boxes, classes, tuple(shapes) if masks else ()
        )

    def samples(self, count: int, *, masks: bool = False) -> list[TrainingSample]:
        return [self.sample(index, masks=masks) for index in range(count)]


@pytest.fixture(scope="session", autouse=True)
def small_networks(one_thread):
    """All of these tests."""


@pytest.fixture(scope="session")
def scene() -> Scene:
    return Scene()


@pytest.fixture(scope="session")
def weights() -> Path:
    return Path(curate.__file__).parent / "assist" / "weights" / "nanodet_g_coco_416.onnx"
