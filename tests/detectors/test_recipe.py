"""Weight averaging and copy-paste: what they change, and that runs with them are repeated exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from safetensors.torch import load_file

from curate.detectors import train_detector
from curate.detectors.average import WeightAverage
from curate.detectors.frames import FrameCache
from curate.detectors.labels import CanvasLabels, MaskCrop
from curate.detectors.letterbox import difference_channels, fit_canvas, letterbox
from curate.detectors.paste import Cutout, PasteBank, paste_objects


def test_the_average_follows_the_weights_and_forgets_the_first():
    model = torch.nn.Linear(2, 1)
    with torch.no_grad():
        model.weight.zero_()
    average = WeightAverage(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
    average.update(model, 1)
    torch.testing.assert_close(average.weights["weight"], torch.full((1, 2), 9 / 11))
    for step in range(20, 60):
        average.update(model, step)
    torch.testing.assert_close(average.weights["weight"], torch.ones(1, 2))
    assert not average.weights["weight"].requires_grad


def test_averaged_weights_are_the_detector(scene, weights, tmp_path):
    """The run's last weights differ from those that it keeps; both runs took the same steps."""
    config = replace(scene.config, learning_rate=1e-3)
    for name, decay in (("last", 0.0), ("average", 0.9)):
        folder = tmp_path / name
        train_detector(scene.samples(4), scene.classes, replace(config, ema=decay), weights, folder)
    last, average = (load_file(tmp_path / name / "model.safetensors") for name in ("last", "average"))
    assert not torch.equal(last["dense.stem.weight"], average["dense.stem.weight"])
    assert (tmp_path / "last" / "metrics.jsonl").read_text().count("\n") == config.steps


BOXES = np.array([[10.0, 40, 20, 60], [70, 30, 90, 70]])


def pasted(boxes, *, scale=1.0, size=(28, 14)):
    """Objects of flat colour 200 pasted into a black picture where objects of their class were seen."""
    image = np.zeros((80, 100, 3), np.uint8)
    labels = CanvasLabels(
        boxes, np.zeros(len(boxes), np.int64), np.zeros((0, 4)), tuple(_whole(b) for b in boxes)
    )
    cutout = Cutout(np.full((*size, 3), 200, np.uint8), np.ones(size), 0)
    bank = PasteBank([BOXES], [np.zeros(2, np.int64)])
    random = np.random.default_rng(3)
    return image, *paste_objects(image, labels, [cutout] * 6, bank, np.full(4, scale), random)


def _whole(box):
    return MaskCrop(np.ones((int(box[3] - box[1]), int(box[2] - box[0])), bool), int(box[0]), int(box[1]))


def test_objects_are_pasted_where_such_objects_were_seen():
    image, picture, labels = pasted(np.zeros((0, 4)))
    assert not image.any()
    assert len(labels.boxes) > 1
    assert labels.masks == (None,) * len(labels.boxes)
    for x1, y1, x2, y2 in labels.boxes.astype(int):
        assert (picture[y1 + 1 : y2 - 1, x1 + 1 : x2 - 1] == 200).all()
        feet = np.abs(BOXES[:, 3] - y2)
        assert feet.min() <= 5
        height = (BOXES[:, 3] - BOXES[:, 1])[feet.argmin()]
        assert abs((y2 - y1) - height) <= 2
        assert abs((x2 - x1) - height / 2) <= 2


def test_a_label_that_is_covered_is_no_longer_judged():
    """A small label under a large object: it goes to the ignored regions or away, never stays with a mask."""
    small = np.array([[74.0, 50, 84, 66]])
    _, picture, labels = pasted(small)
    covered = (picture[50:66, 74:84] > 0).mean()
    kept = (labels.boxes == small).all(1)
    assert kept.any() == (covered < 0.35)
    if kept.any():
        assert (labels.masks[int(kept.argmax())] is None) == (covered >= 0.02)


def test_pasting_into_a_batch_is_repeatable_and_differences_follow(scene):
    config = replace(scene.config, paste=3.0, background_channels=True, batch_size=4)
    samples = scene.samples(8, masks=True)
    first, second = (FrameCache(samples, config, scene.plate).batch(2) for _ in range(2))
    assert torch.equal(first.canvases, second.canvases)
    plain = FrameCache(samples, replace(config, paste=0.0), scene.plate).batch(2)
    assert sum(len(item.boxes) for item in first.items) > sum(len(item.boxes) for item in plain.items)
    for item in first.items:
        assert len(item.masks) == len(item.boxes) == len(item.classes)
    assert any(mask is not None for item in first.items for mask in item.masks)


def test_differences_of_a_pasted_frame_are_those_of_its_pixels(scene):
    config = replace(scene.config, paste=4.0, background_channels=True)
    cache = FrameCache(scene.samples(6, masks=True), config, scene.plate)
    image, canvas = cache._frame(0)
    labels = CanvasLabels(*scene.objects(0), np.zeros((0, 4)), (None, None))
    result, more = cache._paste(image, canvas, labels, np.random.default_rng(1))
    assert len(more.boxes) > 2
    plate = letterbox(scene.plate, fit_canvas(96, 128, 128))
    np.testing.assert_array_equal(result[..., 3:], difference_channels(result[..., :3], plate))
