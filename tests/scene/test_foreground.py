from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import DataError, ImageError
from curate.geometry import box_iou, box_iou_pairwise
from curate.geometry.rle import mask_to_rle
from curate.scene import (
    Plate,
    difference_channels,
    edge_contrast,
    foreground,
    foreground_fraction,
    foreground_mask,
    inside_share,
    regions_to_mask,
    snap_box,
    unlabelled_foreground,
)
from curate.synth import SyntheticScene

GROWN = np.array([[-4, -4, 4, 4]])


def moving(scene: SyntheticScene, index: int) -> np.ndarray:
    owner, tracks = scene.instances(index)
    return np.isin(owner, [number for number, track in tracks.items() if track != "car-0"])


def test_the_foreground_is_where_things_move(scene: SyntheticScene, plate: Plate) -> None:
    inter = union = 0
    for index in range(0, 60, 6):
        found = foreground_mask(foreground(scene.image(index), plate))
        truth = moving(scene, index)
        inter += int((found & truth).sum())
        union += int((found | truth).sum())
    assert inter / union > 0.75  # with shadows and noise in the picture


def test_light_does_not_count_as_foreground(scene: SyntheticScene, plate: Plate) -> None:
    frame = scene.image(12)
    lit = np.clip(frame * np.array([1.15, 1.1, 1.05]), 0, 255).astype(np.uint8)
    assert np.abs(foreground(lit, plate) - foreground(frame, plate)).mean() < 0.01
    channels, brighter = difference_channels(frame, plate), difference_channels(lit, plate)
    assert np.abs(channels - brighter).mean() < 0.03
    truth = moving(scene, 12)
    assert channels[truth].mean() > 4 * channels[~truth].mean()
    assert difference_channels(frame, plate, channels=1).shape == (180, 240, 1)


def test_labels_of_moving_things_have_foreground_standing_ones_do_not(
    scene: SyntheticScene, plate: Plate
) -> None:
    inside, standing = [], []
    for index in range(0, 60, 5):
        fg = foreground(scene.image(index), plate)
        labels = [a for a in scene.annotations_of(index, "f") if not a.occluded]
        boxes = np.array([a.bbox_xyxy for a in labels])
        shares = foreground_fraction(fg, boxes, [a.mask for a in labels])
        inside += [v for v, a in zip(shares, labels, strict=True) if a.label == "person"]
        standing += [v for v, a in zip(shares, labels, strict=True) if a.track_id == "car-0"]
    assert np.quantile(inside, 0.1) > 0.5
    assert np.median(standing) < 0.02


def test_closing_does_not_move_the_mask() -> None:
    fg = np.zeros((40, 40), np.float32)
    fg[10:20, 12:18] = 1
    fg[0:3, 0:3] = 1
    for close in (1, 3, 5, 9):
        assert np.array_equal(foreground_mask(fg, close=close), fg > 0)
    with pytest.raises(ValueError, match="odd"):
        foreground_mask(fg, close=4)
    assert foreground_mask(fg, least_area=20).sum() == 60


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-5, 25), min_size=4, max_size=4), st.integers(0, 1000))
def test_box_means_count_cut_pixels_by_their_share(corners: list[float], seed: int) -> None:
    values = np.random.default_rng(seed).random((17, 19)).astype(np.float32)
    x1, x2 = sorted((corners[0], corners[1] + 0.01))
    y1, y2 = sorted((corners[2], corners[3] + 0.01))
    if x2 <= x1 or y2 <= y1:
        return
    across = np.clip(np.minimum(np.arange(19) + 1, x2) - np.maximum(np.arange(19), x1), 0, None)
    down = np.clip(np.minimum(np.arange(17) + 1, y2) - np.maximum(np.arange(17), y1), 0, None)
    expected = (down[:, None] * across * values).sum() / ((x2 - x1) * (y2 - y1))
    assert foreground_fraction(values, np.array([[x1, y1, x2, y2]]))[0] == pytest.approx(expected, abs=1e-4)


def test_mask_fraction_reads_the_mask_and_checks_its_size() -> None:
    fg = np.random.default_rng(0).random((30, 40)).astype(np.float32)
    mask = np.random.default_rng(1).random((30, 40)) > 0.7
    box = np.array([[0, 0, 40, 30], [5, 5, 9, 9]])
    values = foreground_fraction(fg, box, [mask_to_rle(mask), None])
    assert values == pytest.approx([fg[mask].mean(), fg[5:9, 5:9].mean()], abs=1e-5)
    with pytest.raises(DataError, match="expected a mask of 40 x 30"):
        foreground_fraction(fg, box[:1], [mask_to_rle(mask.T)])
    with pytest.raises(DataError, match="finite"):
        foreground_fraction(fg, np.array([[0, 0, np.nan, 4]]))
    assert foreground_fraction(fg, np.zeros((0, 4))).shape == (0,)


def test_a_removed_label_comes_back_as_leftover(scene: SyntheticScene, plate: Plate) -> None:
    found = total = surplus = 0
    for index in range(0, 60, 4):
        labels = scene.annotations_of(index, "f")
        boxes = np.array([a.bbox_xyxy for a in labels])
        alone = [
            i for i, a in enumerate(labels)
            if a.label == "person" and not a.occluded and box_iou(boxes[i : i + 1] + GROWN, boxes).sum() < 1.0
        ]  # fmt: skip
        fg = foreground(scene.image(index), plate)
        for drop in alone:
            pieces = unlabelled_foreground(fg, np.delete(boxes, drop, axis=0))
            total += 1
            found += any(box_iou_pairwise(boxes[drop][None], np.array([p.box]))[0] > 0.5 for p in pieces)
        surplus += len(unlabelled_foreground(fg, boxes))
    assert total >= 10
    assert found / total > 0.8
    assert surplus / 15 < 1.0


def test_leftovers_are_exact_and_respect_regions() -> None:
    fg = np.zeros((60, 80), np.float32)
    fg[10:30, 10:18] = 0.9
    fg[10:30, 50:60] = 0.8
    [left, right] = sorted(unlabelled_foreground(fg, np.zeros((0, 4))), key=lambda piece: piece.box)
    assert left.box == (10, 10, 18, 30)
    assert left.area == 160
    assert left.strength == pytest.approx(0.9)
    assert left.mask.counts[1] == 20
    assert [piece.box for piece in unlabelled_foreground(fg, np.array([[49, 9, 61, 31]]))] == [left.box]
    region = regions_to_mask([[(0, 0), (30, 0), (30, 60), (0, 60)]], 60, 80)
    assert [piece.box for piece in unlabelled_foreground(fg, np.zeros((0, 4)), exclude=region)] == [right.box]
    assert inside_share(
        np.array([[10, 10, 18, 30], [20, 0, 40, 10], [50, 0, 60, 9]]), region
    ) == pytest.approx([1, 0.5, 0], abs=0.03)
    with pytest.raises(DataError, match="three points"):
        regions_to_mask([[(0, 0), (1, 1)]], 10, 10)


def test_snapping_tightens_loose_boxes_and_refuses_empty_and_merged_ones() -> None:
    fg = np.zeros((80, 100), np.float32)
    fg[20:60, 30:46] = 1
    assert snap_box(fg, (22, 12, 54, 68)) == (30, 20, 46, 60)
    assert snap_box(fg, (33, 22, 50, 62)) == (30, 20, 46, 60)
    assert snap_box(fg, (60, 10, 80, 60)) is None
    fg[30:50, 46:100] = 1  # a second body grown together with the first
    assert snap_box(fg, (22, 12, 54, 68)) is None
    assert snap_box(fg, (-50, -50, -40, -40)) is None


def test_snapping_improves_loose_labels_of_people(scene: SyntheticScene, plate: Plate) -> None:
    before, after = [], []
    for index in range(0, 60, 4):
        fg = foreground(scene.image(index), plate)
        for label in scene.annotations_of(index, "f"):
            if label.label != "person" or label.occluded:
                continue
            box = np.array(label.bbox_xyxy)
            size = np.tile(box[2:] - box[:2], 2)
            loose = box + 0.2 * size * [-1, -1, 1, 1]
            snapped = snap_box(fg, tuple(loose))
            before.append(box_iou_pairwise(box[None], loose[None])[0])
            after.append(
                before[-1] if snapped is None else box_iou_pairwise(box[None], np.array([snapped]))[0]
            )
    assert np.mean(after) > np.mean(before) + 0.15


def test_edge_contrast_tells_where_the_outline_should_be() -> None:
    fg = np.zeros((60, 80), np.float32)
    fg[20:40, 30:50] = 1
    exact = fg > 0
    shifted = np.roll(exact, 3, axis=1)
    fat = np.zeros_like(exact)
    fat[17:43, 27:53] = True
    result = edge_contrast(fg, [mask_to_rle(m) for m in (exact, shifted, fat, np.zeros_like(exact))])
    assert result.contrast[0] == pytest.approx(1)
    assert result.gain[0] > 0.2
    assert result.shift[0].tolist() == [0, 0]
    assert result.gain[1] < 0
    assert result.shift[1].tolist() == [-3, 0]
    assert result.gain[2] < 0
    assert result.growth[2] == -3
    assert (result.contrast[3], result.gain[3]) == (0, 0)
    with pytest.raises(DataError, match="expected a mask"):
        edge_contrast(fg, [mask_to_rle(exact.T)])


def test_frames_of_another_size_are_refused(plate: Plate) -> None:
    with pytest.raises(ImageError, match="240 x 180"):
        foreground(np.zeros((10, 10, 3), np.uint8), plate)
    with pytest.raises(ImageError, match="uint8"):
        difference_channels(np.zeros((180, 240, 3)), plate)
