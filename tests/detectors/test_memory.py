"""The memory of a prediction is counted, not measured."""

from __future__ import annotations

import pytest
import torch

from curate.detectors import GenericDetector
from curate.detectors.memory import prediction_mb
from curate.tables import Detections


class Doubles:
    """Holds a megabyte and makes two more, of which one is gone when the other comes."""

    def __init__(self) -> None:
        self._weight = torch.ones(2**18)

    def predict(self, images):
        first = self._weight * 2
        del first
        return [Detections.empty() for _ in images] if (self._weight * 3).sum() > 0 else []


class Keeps(Doubles):
    """The same, but keeps both."""

    def predict(self, images):
        first = self._weight * 2
        second = self._weight + first
        return [Detections.empty() for _ in images] if second.sum() > 0 else []


def test_what_is_freed_does_not_count_twice(scene):
    image = scene.image(0)
    assert prediction_mb(Doubles(), image) == pytest.approx(2, abs=0.01)
    assert prediction_mb(Keeps(), image) == pytest.approx(3, abs=0.01)


def test_a_larger_input_takes_more_than_the_weights_do(scene, weights):
    small, large = (
        prediction_mb(GenericDetector(weights, scene.classes, input_size=size, device="cpu"), scene.image(0))
        for size in (64, 256)
    )
    bytes_of_weights = 3.75e6 * 4
    assert bytes_of_weights / 2**20 < small < large
