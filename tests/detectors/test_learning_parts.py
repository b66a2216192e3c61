"""Assignment, losses, augmentation, and the boxes that the heads learn from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from curate.detectors import TrainConfig, TrainingSample
from curate.detectors.decode import cells, decode_boxes
from curate.detectors.frames import FrameCache
from curate.detectors.losses import DenseTargets, assign, dense_losses, mask_loss
from curate.detectors.roi import apply_deltas, box_deltas, gather_evidence
from curate.detectors.roi_training import sample_rois
from curate.detectors.seeds import step_generator
from curate.errors import ConfigError, ImageError, TrainingError
from curate.geometry.rle import mask_to_rle

GRID = ((8, 8), (4, 4), (2, 2))


def targets(boxes, classes, ignore=()):
    return DenseTargets(
        torch.tensor(boxes).float().reshape(-1, 4),
        torch.tensor(classes).long(),
        torch.tensor(ignore).float().reshape(-1, 4),
    )


@pytest.fixture
def dense():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 84, 2, generator=generator).requires_grad_()
    distances = torch.randn(1, 84, 44, generator=generator).requires_grad_()
    return logits, distances


def test_every_object_gets_a_cell_of_its_own(dense):
    logits, distances = dense
    centres, strides = cells(GRID, torch.device("cpu"))
    boxes = decode_boxes(distances, centres, strides)[0]
    # The second one is so small that no cell's centre lies inside.
    labels = targets([[4, 4, 40, 60], [41, 41, 43, 43], [20, 8, 60, 50]], [0, 1, 1])
    matched, counted = assign(logits[0].sigmoid(), boxes, centres, labels)
    assert set(matched.unique().tolist()) == {-1, 0, 1, 2}
    assert counted.all()
    for label in (0, 2):
        inside = centres[matched == label]
        low, high = labels.boxes[label, :2], labels.boxes[label, 2:]
        assert ((inside > low) & (inside < high)).all()


def test_nothing_is_learnt_in_ignored_regions(dense):
    logits, distances = dense
    grid = cells(GRID, torch.device("cpu"))
    boxes = decode_boxes(distances, *grid)
    losses = dense_losses(logits, distances, boxes, grid, [targets([], [], [[0, 0, 32, 64]])])
    sum(losses.values()).backward()
    left = grid[0][:, 0] < 32
    assert not logits.grad[0, left].any()
    assert logits.grad[0, ~left].any()
    assert not distances.grad.any()


def test_right_answers_cost_less_than_wrong_ones():
    centres, strides = cells(GRID, torch.device("cpu"))
    label = [16.0, 16, 48, 48]
    sides = (
        torch.cat([centres - torch.tensor(label[:2]), torch.tensor(label[2:]) - centres], 1)
        / strides[:, None]
    )
    bins = torch.arange(11.0)
    distances = (-20 * (bins - sides.clamp(0, 10)[..., None]).square()).flatten(1)[None]
    boxes = decode_boxes(distances, centres, strides)
    matched = assign(torch.full((84, 1), 0.5), boxes[0], centres, targets([label], [0])).matched
    right = torch.where(matched >= 0, 9.0, -9.0)[None, :, None]

    def total(logits, moved):
        shifted = boxes + torch.tensor(moved)
        return float(
            sum(
                dense_losses(logits, distances, shifted, (centres, strides), [targets([label], [0])]).values()
            )
        )

    assert total(right, 0.0) < total(right, 6.0)
    assert total(right, 0.0) < total(-right, 0.0)


def test_mask_loss_falls_as_the_mask_gets_right():
    goal = torch.zeros(2, 28, 28)
    goal[:, 5:20, 5:20] = 1
    right, unsure, wrong = ((2 * goal - 1) * factor for factor in (8, 0, -8))
    assert mask_loss(right, goal) < mask_loss(unsure, goal) < mask_loss(wrong, goal)


def test_deltas_turn_one_box_into_the_other():
    a = torch.tensor([[0.0, 0, 10, 20], [5, 5, 9, 30]])
    b = torch.tensor([[2.0, 1, 14, 18], [1, 2, 30, 40]])
    torch.testing.assert_close(apply_deltas(a, box_deltas(a, b)), b)


def test_evidence_is_the_best_cell_at_the_given_box():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]])
    probabilities = torch.tensor([[0.2, 0.1], [0.9, 0.0], [0.0, 1.0]])
    evidence = gather_evidence(probabilities, boxes, torch.tensor([[0.0, 0, 10, 10]]))
    assert evidence.scores[0].tolist() == pytest.approx([0.45, 0.1])
    assert evidence.boxes[0].tolist() == [0, 0, 10, 5]
    assert float(evidence.iou) == pytest.approx(0.5)


@pytest.mark.parametrize("step", range(8))
def test_augmented_labels_stay_on_their_objects(step):
    """A box of which the left part is red; the red part is the mask."""
    image = np.full((96, 128, 3), 100, np.uint8)
    image[30:80, 40:80] = (20, 20, 220)
    image[40:70, 40:55] = (220, 20, 20)
    mask = np.zeros((96, 128), bool)
    mask[40:70, 40:55] = True
    sample = TrainingSample("half", lambda: image, [[40, 30, 80, 80]], [0], (mask_to_rle(mask),))
    batch = FrameCache([sample], TrainConfig(batch_size=1, input_size=256), None).batch(step)
    item, canvas = batch.items[0], batch.canvases[0].numpy().astype(int)
    rows, columns = np.nonzero(np.abs(canvas[..., 2] - canvas[..., 0]) > 60)
    found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(found, item.boxes[0], atol=2.5)
    box = item.boxes[0]
    steps = (np.arange(28) + 0.5) / 28
    xs = (box[0] + steps * (box[2] - box[0])).astype(int)
    ys = (box[1] + steps * (box[3] - box[1])).astype(int)
    red = (canvas[..., 2] - canvas[..., 0] > 0)[np.ix_(ys, xs)]
    assert ((item.mask_target(0, box, 28) > 0.5) == red).mean() > 0.95


def test_a_step_always_draws_the_same_batch(scene):
    def draw(step):
        return FrameCache(scene.samples(5), scene.config, scene.plate).batch(step)

    again = draw(4)
    assert torch.equal(draw(4).canvases, again.canvases)
    assert not torch.equal(draw(3).canvases, again.canvases)
    assert again.canvases.shape == (2, 96, 128, 6)


def test_every_frame_is_seen_once_an_epoch(scene):
    cache = FrameCache(scene.samples(6), scene.config, None)
    first = [index for step in range(3) for index in cache._indices(step)]
    second = [index for step in range(3, 6) for index in cache._indices(step)]
    assert sorted(first) == sorted(second) == list(range(6))
    assert first != second


def test_labels_pushed_out_of_the_picture_are_ignored_not_learnt():
    image = np.zeros((64, 64, 3), np.uint8)
    sample = TrainingSample("edge", lambda: image, [[-30, 10, 8, 40], [20, 20, 40, 40]], [0, 0])
    item = (
        FrameCache([sample], TrainConfig(batch_size=1, input_size=64, augment=False), None).batch(0).items[0]
    )
    assert item.boxes.tolist() == [[20, 20, 40, 40]]
    assert item.ignore.tolist() == [[0, 10, 8, 40]]


def test_heads_learn_from_good_bad_and_empty_boxes(scene):
    cache = FrameCache(scene.samples(4), scene.config, None)
    samples = sample_rois(cache.batch(0), step_generator(0, 3, 0))
    iou = np.concatenate([sample.iou for sample in samples])
    assert iou.max() > 0.99
    assert (iou < 0.15).sum() > 5
    assert ((iou > 0.3) & (iou < 0.9)).any()


def test_heads_leave_ignored_regions_alone():
    image = np.zeros((64, 64, 3), np.uint8)
    sample = TrainingSample("all", lambda: image, [], [], ignore_boxes=[[0, 0, 64, 64]])
    cache = FrameCache([sample], TrainConfig(batch_size=1, input_size=64, augment=False), None)
    assert len(sample_rois(cache.batch(0), step_generator(0, 3, 0))[0].boxes) == 0


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"input_size": 400}, {"learning_rate": float("nan")}, {"weight_decay": -1.0}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigError):
        TrainConfig(**wrong)


def test_impossible_samples_are_refused(tmp_path):
    with pytest.raises(TrainingError, match="one class"):
        TrainingSample("a", tmp_path, [[0, 0, 1, 1]], [])
    with pytest.raises(TrainingError, match="empty or not finite"):
        TrainingSample("a", tmp_path, [[0, 0, 0, 1]], [0])
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    cache = FrameCache([TrainingSample("a", broken, [], [])], TrainConfig(), None)
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        cache.batch(0)
