"""Detectors timed side by side."""

from __future__ import annotations

import numpy as np

from curate.tables import Detections
from curate.workflows.speed import time_side_by_side


class Watched:
    """A detector that notes when it was asked."""

    def __init__(self, name, calls):
        self.name, self.calls = name, calls

    def predict(self, images):
        self.calls.append(self.name)
        return [Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)) for _ in images]


def test_every_detector_sees_every_frame_and_begins_in_turn():
    calls: list[str] = []
    detectors = {name: Watched(name, calls) for name in "abc"}
    image = np.zeros((4, 4, 3), np.uint8)
    first = time_side_by_side(detectors, image, 0)
    assert calls == list("aabbcc") + list("abcbcacab")
    calls.clear()
    second = time_side_by_side(detectors, image, 1)
    assert calls == list("bcacababc")
    assert set(first) == set(second) == set("abc")
    assert all(seconds > 0 for seconds in (*first.values(), *second.values()))
