"""Which frames are shown how often, and how light and weather change them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from curate.detectors import TrainingSample, TrainingStopped, train_detector
from curate.detectors.balance import EpochOrder, repeat_factors
from curate.detectors.frames import FrameCache
from curate.detectors.light import Light, draw_light, relight
from curate.errors import ConfigError

CPU = torch.device("cpu")


def labels(*frames):
    return [np.array(frame, np.int64) for frame in frames]


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.0, [1, 1, 1, 1, 1]),
        # Class 0 is on four of five frames, class 1 on one; many labels on one frame do not make it common.
        (0.8, [1, 1, 2, 1, 1]),
        (0.2, [1, 1, 1, 1, 1]),
        (1.0, [1.118, 1.118, 2.236, 1.118, 1]),
    ],
)
def test_frames_with_rare_classes_get_lvis_factors(threshold, expected):
    given = labels([0], [0, 0], [1, 1, 1, 0], [0], [])
    np.testing.assert_allclose(repeat_factors(given, threshold), expected, atol=1e-3)


def test_every_epoch_shows_all_frames_and_the_mean_is_the_factor():
    factors = np.array([1.0, 1.0, 2.5, 1.3, 1.0])
    order = EpochOrder(factors, seed=3)
    length = round(factors.sum())
    epochs = [[order.frame(position + length * epoch) for position in range(length)] for epoch in range(400)]
    counts = np.array([np.bincount(epoch, minlength=5) for epoch in epochs])
    assert (counts >= 1 - (factors.sum() > length)).all()
    np.testing.assert_allclose(counts.mean(0), factors * length / factors.sum(), atol=0.08)
    assert (np.abs(counts - factors * length / factors.sum()) < 1 + 1e-9).all()
    assert epochs[0] != epochs[1]
    # Any position can be asked for first: a resumed run needs no history.
    assert [EpochOrder(factors, seed=3).frame(place) for place in (900, 7, 0)] == [
        order.frame(place) for place in (900, 7, 0)
    ]


def test_where_no_class_is_rare_the_order_is_that_without_balance(scene):
    plain, balanced = (
        FrameCache(scene.samples(6), replace(scene.config, balance=value), None) for value in (0.0, 1.0)
    )
    assert [plain._indices(step) for step in range(9)] == [balanced._indices(step) for step in range(9)]


def one_rare(scene):
    """Ten frames of which only the last has a person."""
    samples = []
    for index in range(10):
        boxes, classes = scene.objects(index)
        kept = classes == 0 if index < 9 else classes >= 0
        image = lambda index=index: scene.image(index)  # noqa: E731
        samples.append(TrainingSample(f"frame-{index}", image, boxes[kept], classes[kept]))
    return samples


def test_a_stopped_balanced_run_in_bad_weather_ends_with_the_same_weights(scene, weights, tmp_path):
    config = replace(scene.config, balance=0.9, weather=0.7, steps=5)
    shown = FrameCache(one_rare(scene), config, None)
    assert sum(step_index == 9 for step in range(6) for step_index in shown._indices(step)) >= 2
    whole = train_detector(one_rare(scene), scene.classes, config, weights, tmp_path / "whole")
    with pytest.raises(TrainingStopped):
        train_detector(
            one_rare(scene), scene.classes, config, weights, tmp_path / "cut", should_stop=lambda: True
        )
    cut = train_detector(one_rare(scene), scene.classes, config, weights, tmp_path / "cut")
    for name, value in whole._network.state_dict().items():
        assert torch.equal(value, cut._network.state_dict()[name]), name


def test_light_is_gain_then_contrast_then_tint():
    canvas = torch.full((2, 2, 3, 6), 100, dtype=torch.uint8)
    light = Light(gain=1.2, contrast=0.9, tint=np.array([1.0, 1.05, 0.95]))
    pixels = relight(canvas, [light, None])
    expected = (100 * 1.2 - 128) * 0.9 + 128
    np.testing.assert_allclose(pixels[0, 0, 0, :3], expected * light.tint, rtol=1e-5)
    assert (pixels[0, ..., 3:] == 100).all()  # difference channels stay
    assert (pixels[1] == 100).all()
    bright = relight(torch.full((1, 1, 1, 3), 250, dtype=torch.uint8), [replace(light, contrast=1.2)])
    assert float(bright.max()) == 255


def test_weather_comes_as_often_as_asked_and_differs_from_clear_air():
    drawn = [draw_light(np.random.default_rng(seed), 0.3) for seed in range(600)]
    assert np.mean([not light.clear for light in drawn]) == pytest.approx(0.3, abs=0.06)
    kinds = [(light.haze > 0, light.rain > 0, light.noise > 0) for light in drawn if not light.clear]
    assert {sum(kind) for kind in kinds} == {1}
    assert len(set(kinds)) == 3
    assert all(draw_light(np.random.default_rng(seed), 0.0).clear for seed in range(50))


def clear(**weather):
    return Light(1.0, 1.0, np.ones(3), seed=4, **weather)


def test_haze_is_thickest_far_away_rain_falls_in_streaks_and_noise_has_its_strength():
    canvas = torch.full((1, 200, 100, 3), 60, dtype=torch.uint8)
    hazy = relight(canvas, [clear(haze=1.0)])[0, :, 0, 0]
    assert (hazy.diff() < 0).all()
    assert hazy[0] == pytest.approx(205 - 145 * np.exp(-1), abs=0.01)
    rainy = relight(canvas, [clear(rain=0.004, streak=0.05)])[0, ..., 0]
    wet = rainy > 60
    assert 0.01 < float(wet.float().mean()) < 0.08
    assert float((wet[1:] & wet[:-1]).sum() / wet.sum()) > 0.85  # streaks of ten pixels
    noisy = relight(canvas, [clear(noise=8.0)])[0]
    assert float(noisy.std()) == pytest.approx(8, rel=0.05)
    assert float(noisy.mean()) == pytest.approx(60, abs=0.5)


def test_a_batch_cut_into_parts_has_the_same_weather(scene):
    batch = FrameCache(scene.samples(6), replace(scene.config, batch_size=4, weather=1.0), None).batch(2)
    whole = batch.pixels(CPU)
    assert torch.equal(whole, batch.pixels(CPU))
    assert torch.equal(whole, torch.cat([part.pixels(CPU) for part in batch.parts(4)]))
    assert not torch.equal(whole, batch.canvases.float())


@pytest.mark.parametrize("wrong", [{"balance": -0.1}, {"balance": 1.5}, {"weather": 1.1}])
def test_impossible_shares_are_refused(scene, wrong):
    with pytest.raises(ConfigError, match="must be at"):
        replace(scene.config, **wrong)
