from __future__ import annotations

import cv2
import numpy as np
import pytest

from curate.errors import DataError, ImageError
from curate.scene import Plate, frame_health, frame_signature, judge_frames, measure_frame, near_duplicates
from curate.synth import SyntheticScene


def colour_bars() -> np.ndarray:
    colours = [(235, 235, 235), (235, 235, 16), (16, 235, 235), (16, 235, 16), (235, 16, 235), (235, 16, 16)]
    return np.repeat(np.array(colours, np.uint8)[None], 180, 0).repeat(40, 1)


def test_good_frames_are_good(scene: SyntheticScene, plate: Plate) -> None:
    verdicts = frame_health(scene.frames[:40], plate)
    assert [verdict.reason for verdict in verdicts if verdict.faults] == []
    assert all(verdict.severity == 0 for verdict in verdicts)


def test_each_fault_is_named(scene: SyntheticScene, plate: Plate) -> None:
    good = scene.frames[:20]
    faulty = {
        "blurred": cv2.GaussianBlur(scene.image(25), (11, 11), 3.0),
        "frozen": good[-1].copy(),
        "offline": np.full_like(good[0], 70),
        "moved": np.roll(scene.image(26), (7, 6), (0, 1)),
        "overexposed": np.clip(scene.image(27).astype(int) * 4, 0, 255).astype(np.uint8),
    }
    images = [*good, faulty.pop("frozen"), *faulty.values(), colour_bars()]
    verdicts = frame_health(images, plate)
    expected = ["frozen", "blurred", "offline", "moved", "overexposed", "offline"]
    for name, verdict in zip(expected, verdicts[20:], strict=True):
        assert name in verdict.faults
        assert 0 < verdict.severity <= 1
        assert verdict.reason
    assert not any(verdict.faults for verdict in verdicts[:20])


def test_blur_needs_a_distribution_and_a_still_source_is_not_frozen(scene: SyntheticScene) -> None:
    soft = [cv2.GaussianBlur(scene.image(i), (11, 11), 3.0) for i in range(12)]
    assert not any(verdict.faults for verdict in frame_health(soft))  # this camera is always soft
    assert not frame_health([soft[0]])[0].faults
    assert frame_health([]) == []
    still = [measure_frame(soft[0], soft[0]) for _ in range(10)]
    assert not any(verdict.faults for verdict in judge_frames(still))
    with pytest.raises(ImageError):
        measure_frame(np.zeros((4, 4), np.uint8))


def test_near_duplicates_see_a_small_person_but_not_noise(scene: SyntheticScene) -> None:
    rng = np.random.default_rng(0)
    frame = scene.image(10)
    noisy = np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
    brighter = np.clip(frame * 1.02, 0, 255).astype(np.uint8)
    changed = frame.copy()
    changed[90:114, 100:110] = 255 - changed[90:114, 100:110]
    signatures = [frame_signature(image) for image in (frame, noisy, changed, brighter, changed)]
    assert near_duplicates(signatures).tolist() == [-1, 0, -1, 0, 2]
    assert near_duplicates([]).tolist() == []
    with pytest.raises(DataError, match="frame 1"):
        near_duplicates([signatures[0], np.zeros((3, 3), np.uint8)])
