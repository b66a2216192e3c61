"""Letterbox, difference channels, decoding, suppression, pasted masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou

from curate.detectors.decode import (
    VOTE_IOU,
    VOTE_SPREAD,
    candidates,
    cells,
    decode_boxes,
    group_logits,
    suppress,
)
from curate.detectors.inference import choose_device, given_boxes, paste_mask, prepare
from curate.detectors.letterbox import difference_channels, fit_canvas, letterbox, normalise
from curate.errors import ModelError
from curate.geometry.rle import rle_to_bbox, rle_to_mask


@given(st.integers(20, 4000), st.integers(20, 4000), st.sampled_from([128, 416, 608]))
def test_canvas_holds_the_frame_and_is_a_multiple_of_32(height, width, size):
    canvas = fit_canvas(height, width, size)
    assert canvas.height % 32 == canvas.width % 32 == 0
    assert 0 <= canvas.height - canvas.content_height < 32
    assert 0 <= canvas.width - canvas.content_width < 32
    assert max(canvas.content_height, canvas.content_width) == size
    assert width * canvas.scale_x == pytest.approx(canvas.content_width)


def test_boxes_go_to_the_input_and_back():
    prepared = prepare(np.zeros((576, 768, 3), np.uint8), 416, torch.device("cpu"))
    boxes = np.array([[0.0, 0, 768, 576], [100.5, 20.25, 130, 99]])
    np.testing.assert_allclose(prepared.to_frame(prepared.to_input(boxes)), boxes, atol=1e-3)
    assert prepared.tensor.shape == (1, 3, 320, 416)


def test_letterbox_is_bgr_top_left_on_black():
    image = np.zeros((50, 100, 3), np.uint8)
    image[..., 0] = 200
    canvas = letterbox(image, fit_canvas(50, 100, 128))
    assert canvas.shape == (64, 128, 3)
    assert canvas[0, 0].tolist() == [0, 0, 200]
    assert canvas[:64, :, 2].all()
    tall = letterbox(np.full((100, 40, 3), 9, np.uint8), fit_canvas(100, 40, 128))
    assert tall[:, :51].all()
    assert not tall[:, 51:].any()


def test_difference_channels_see_objects_and_not_exposure():
    plate = np.random.default_rng(0).integers(60, 120, (40, 60, 3), dtype=np.uint8)
    # log(v + 8) shifts by a constant when v + 8 is scaled.
    brighter = ((plate.astype(float) + 8) * 1.5 - 8).round().astype(np.uint8)
    brighter[10:20, 10:20] = 250
    difference = difference_channels(brighter, plate)
    assert difference[10:20, 10:20].min() > 25
    outside = np.ones((40, 60), bool)
    outside[10:20, 10:20] = False
    assert difference[outside].max() <= 2


def test_plate_and_image_must_fit():
    image = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(ModelError, match="plate"):
        letterbox(image, fit_canvas(40, 60, 64), np.zeros((41, 60, 3), np.uint8))
    with pytest.raises(ModelError, match=r"\(H, W, 3\)"):
        letterbox(image[..., 0], fit_canvas(40, 60, 64))
    canvas = letterbox(image, fit_canvas(40, 60, 64), image)
    assert normalise(torch.from_numpy(canvas)[None]).shape == (1, 6, 64, 64)


def test_distances_decode_to_the_box_around_the_cell_centre():
    grid = ((2, 2), (1, 1), (1, 1))
    centres, strides = cells(grid, torch.device("cpu"))
    assert centres[0].tolist() == [4, 4]
    assert centres[3].tolist() == [12, 12]
    assert strides.tolist() == [8, 8, 8, 8, 16, 32]
    logits = torch.full((6, 4, 11), -50.0)
    for side, bin_index in enumerate((1, 2, 3, 4)):
        logits[:, side, bin_index] = 50
    boxes = decode_boxes(logits.flatten(1), centres, strides)
    torch.testing.assert_close(boxes[3], torch.tensor([12.0 - 8, 12 - 16, 12 + 24, 12 + 32]))
    torch.testing.assert_close(boxes[5], torch.tensor([16.0 - 32, 16 - 64, 16 + 96, 16 + 128]))


def test_a_class_of_several_rows_takes_the_largest():
    logits = torch.tensor([[1.0, 5, 2], [4, 0, 3]])
    assert group_logits(logits, ((0,), (1, 2))).tolist() == [[1, 5], [4, 3]]
    assert group_logits(logits, ((0,), (1,), (2,))) is logits


def found(boxes, scores, *, vote=False):
    """Boxes, scores and classes that candidates above .01 leave."""
    cell, klass, values = candidates(scores, 0.01)
    kept, moved = suppress(boxes[cell], values, klass, vote=vote)
    return moved, values[kept], klass[kept]


def test_only_the_best_thousand_are_candidates():
    scores = torch.rand((900, 2), generator=torch.Generator().manual_seed(0))
    cell, klass, values = candidates(scores, 0.2)
    assert len(values) == 1000
    assert torch.equal(values, scores[cell, klass])
    assert values.min() >= scores.flatten().sort(descending=True).values[999]


@given(st.integers(0, 2**31), st.integers(1, 40))
def test_voting_is_the_weighted_mean_by_torchvisions_overlap(seed, count):
    random = torch.Generator().manual_seed(seed)
    corner = torch.rand((count, 2), generator=random) * 8
    boxes = torch.cat([corner, corner + 4 + 3 * torch.rand((count, 2), generator=random)], 1)
    scores = torch.rand(count, generator=random) + 0.01
    classes = torch.randint(0, 2, (count,), generator=random)
    kept, moved = suppress(boxes, scores, classes, vote=True)
    iou = box_iou(boxes[kept], boxes) * (classes[kept, None] == classes)
    weight = scores * torch.exp(-((1 - iou) ** 2) / VOTE_SPREAD) * (iou >= VOTE_IOU)
    torch.testing.assert_close(moved, weight @ boxes / weight.sum(1, keepdim=True))


def test_suppression_keeps_the_best_of_each_class():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]])
    scores = torch.tensor([[0.9, 0.0], [0.8, 0.7], [0.005, 0.6]])
    kept, values, classes = found(boxes, scores)
    assert values.tolist() == pytest.approx([0.9, 0.7, 0.6])
    assert classes.tolist() == [0, 1, 1]
    assert kept[2].tolist() == [50, 50, 60, 60]


def test_neighbours_of_a_class_vote_on_the_box_by_score_and_nearness():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 11], [0, 0, 10, 9], [0, 0, 10, 20], [50, 50, 60, 60]])
    scores = torch.tensor([[0.9, 0.0], [0.3, 0.0], [0.0, 0.8], [0.5, 0.0], [0.4, 0.0]])
    kept, values, classes = found(boxes, scores, vote=True)
    assert values.tolist() == pytest.approx([0.9, 0.8, 0.5, 0.4])
    assert classes.tolist() == [0, 1, 0, 0]
    near = 0.3 * np.exp(-((1 - 10 / 11) ** 2) / 0.025)
    assert kept[0].tolist() == pytest.approx([0, 0, 10, (0.9 * 10 + near * 11) / (0.9 + near)])
    assert kept[1:].tolist() == [[0, 0, 10, 9], [0, 0, 10, 20], [50, 50, 60, 60]]


@given(st.floats(0, 60), st.floats(0, 30), st.floats(2, 40), st.floats(2, 30))
def test_a_full_mask_fills_its_box(x, y, width, height):
    box = np.array([x, y, x + width, y + height])
    mask = paste_mask(np.ones((28, 28)), box, 64, 96)
    found = rle_to_bbox(mask)
    assert found is not None
    np.testing.assert_allclose(found, np.clip(box, 0, [96, 64, 96, 64]), atol=1.0)


def test_a_half_mask_fills_half_of_its_box():
    probability = np.zeros((28, 28))
    probability[:, :14] = 1
    mask = rle_to_mask(paste_mask(probability, np.array([10.0, 10, 50, 30]), 64, 96))
    assert mask[10:30, 10:30].all()
    assert mask.sum() == 400


def test_device_and_boxes_are_checked():
    assert choose_device("cpu").type == "cpu"
    for name in ("abacus", "meta", "cuda:99"):
        with pytest.raises(ModelError):
            choose_device(name)
    with pytest.raises(ModelError, match="empty or not finite"):
        given_boxes(np.array([[0, 0, np.nan, 1]]))
    with pytest.raises(ModelError, match="empty or not finite"):
        given_boxes(np.array([[5, 5, 5, 9]]))
