"""Injected errors: the promised number, the promised kind, the truth about each, and all of it reversible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.annotations import IssueType
from curate.errors import DataError
from curate.geometry.boxes import box_iou, box_iou_pairwise
from curate.geometry.rle import rle_to_mask
from curate.issues import DEFAULT_RATES, FrameTable, LabelTable, inject, restore
from curate.issues.inject_boxes import disturbed_boxes
from curate.issues.inject_masks import MASK_ERRORS, corrupt_mask, followed_box
from curate.issues.masks import mask_agreement


def _same(a: LabelTable, b: LabelTable) -> bool:
    return (
        a.ids == b.ids
        and np.array_equal(a.boxes, b.boxes)
        and np.array_equal(a.classes, b.classes)
        and np.array_equal(a.frames, b.frames)
        and a.masks == b.masks
        and a.tracks == b.tracks
    )


def _tables(kit, masks: bool = False) -> tuple[FrameTable, LabelTable]:
    rows, _ = kit.world()
    inputs = kit.build(rows, [])
    labels = inputs.labels
    if masks:
        labels = replace(labels, masks=tuple(kit.ellipse(row.box) for row in rows))
    return inputs.frames, labels


@pytest.mark.parametrize("masks", [False, True])
def test_twelve_percent_by_default_whatever_types_apply(kit, masks):
    frames, labels = _tables(kit, masks)
    truth = inject(frames, labels, kit.classes, seed=1).truth
    assert len(truth) == pytest.approx(0.12 * len(labels), abs=4)
    assert {error.type for error in truth} == {
        kind for kind in DEFAULT_RATES if masks or kind is not IssueType.INACCURATE_MASK
    }
    alone = inject(frames, replace(labels, classes=np.zeros(len(labels), int)), ("person",), seed=1)
    assert len(alone.truth) == pytest.approx(0.12 * len(labels), abs=4)
    assert IssueType.WRONG_CLASS not in {error.type for error in alone.truth}


@given(
    seed=st.integers(0, 2**31 - 1),
    rates=st.fixed_dictionaries({kind: st.floats(0, 0.16) for kind in DEFAULT_RATES}),
    masks=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_rates_truth_and_way_back(kit, seed, rates, masks):
    frames, labels = _tables(kit, masks)
    if masks:
        few = np.flatnonzero(np.asarray(labels.frames) < 12)
        labels = LabelTable(
            tuple(labels.ids[row] for row in few), labels.revisions[few], labels.frames[few], labels.boxes[few],
            labels.classes[few], masks=tuple(labels.masks[row] for row in few),
        )  # fmt: skip
    result = inject(frames, labels, kit.classes, rates=rates, seed=seed)
    again = inject(frames, labels, kit.classes, rates=rates, seed=seed)
    assert _same(result.labels, again.labels)
    assert result.truth == again.truth
    for kind, rate in rates.items():
        if kind is IssueType.INACCURATE_MASK and not masks:
            assert not [error for error in result.truth if error.type is kind]
        elif kind is not IssueType.SPURIOUS:
            assert sum(error.type is kind for error in result.truth) == round(rate * len(labels))
        else:
            # A free place may not be found for all of them.
            assert sum(error.type is kind for error in result.truth) <= round(rate * len(labels))
    assert len({error.annotation_id for error in result.truth}) == len(result.truth)
    assert _same(restore(result, labels), labels)
    limits = np.array([kit.width, kit.height, kit.width, kit.height])
    assert (result.labels.boxes >= 0).all()
    assert (result.labels.boxes <= limits).all()
    assert (result.labels.boxes[:, 2:] > result.labels.boxes[:, :2]).all()


def test_each_error_is_what_it_is_called(kit):
    frames, labels = _tables(kit)
    rates = {kind: 0.1 for kind in DEFAULT_RATES if kind is not IssueType.INACCURATE_MASK}
    result = inject(frames, labels, kit.classes, rates=rates, seed=5)
    at = {name: row for row, name in enumerate(result.labels.ids)}
    for error in result.truth:
        row = at.get(error.annotation_id)
        if error.type is IssueType.MISSING:
            assert row is None
            continue
        assert row is not None
        box = result.labels.boxes[row]
        on_frame = labels.boxes[np.asarray(labels.frames) == result.labels.frames[row]]
        if error.type is IssueType.BAD_LOCATION:
            assert 0.35 < box_iou(box, np.array(error.true_box))[0, 0] < 0.8
        elif error.type is IssueType.WRONG_CLASS:
            assert result.labels.classes[row] != error.true_class
        elif error.type is IssueType.SPURIOUS:
            assert error.true_box is None
            assert box_iou(box, on_frame).max() < 0.1
        else:
            assert box_iou(box, on_frame).max() > 0.35
    ghosts = [error for error in result.truth if error.kind == "ghost"]
    assert len({error.frame_id for error in ghosts}) > 5


def test_labels_that_do_not_count_or_were_reviewed_are_left_alone(kit):
    frames, labels = _tables(kit)
    reviewed = np.arange(len(labels)) < 200
    result = inject(frames, replace(labels, reviewed=reviewed), kit.classes, seed=2)
    safe = set(labels.ids[:200])
    assert not safe & {error.annotation_id for error in result.truth}


@given(seed=st.integers(0, 2**31 - 1))
@settings(max_examples=40, deadline=None)
def test_disturbed_boxes_hit_the_range_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 500, (50, 2))
    boxes = np.concatenate([corners, np.minimum(corners + rng.uniform(6, 120, (50, 2)), 600)], 1)
    wrong = disturbed_boxes(boxes, rng.random(50) < 0.5, np.full((50, 2), 600), rng)
    assert (wrong >= 0).all()
    assert (wrong <= 600).all()
    assert (box_iou_pairwise(boxes, wrong) < 0.9).all()
    assert np.median(box_iou_pairwise(boxes, wrong)) == pytest.approx(0.57, abs=0.12)


@given(seed=st.integers(0, 2**31 - 1), wide=st.integers(3, 80), high=st.integers(3, 120))
@settings(max_examples=40, deadline=None)
def test_spoiled_masks_are_wrong_but_not_absurd(kit, seed, wide, high):
    right = kit.ellipse((100, 100, 100 + wide, 100 + high))
    near = kit.ellipse((105 + wide, 110, 145 + wide, 180))
    how, wrong = corrupt_mask(right, [near], np.random.default_rng(seed))
    assert how in {*MASK_ERRORS, "merge"}
    assert rle_to_mask(wrong).any()
    region, boundary = mask_agreement([right], [wrong])
    assert region[0] < 0.8
    assert 0 <= boundary[0] <= 1


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({IssueType.OUTLIER: 0.1}, "cannot be injected"),
        ({IssueType.MISSING: -0.1}, "between 0 and 1"),
        ({IssueType.MISSING: 0.7, IssueType.SPURIOUS: 0.7}, "must not exceed 1"),
    ],
)
def test_impossible_rates_are_one_clear_error(kit, rates, message):
    frames, labels = _tables(kit)
    with pytest.raises(DataError, match=message):
        inject(frames, labels, kit.classes, rates=rates)


def test_no_labels_no_errors(kit):
    inputs = kit.build([], [])
    assert inject(inputs.frames, inputs.labels, kit.classes).truth == ()


def test_what_one_stroke_makes_wrong_twice_is_said(kit):
    frames, labels = _tables(kit, masks=True)
    found = inject(
        frames, labels, kit.classes, rates={IssueType.INACCURATE_MASK: 0.4, IssueType.BAD_LOCATION: 0.4}
    )
    at = {name: row for row, name in enumerate(found.labels.ids)}
    kept = followed = 0
    for error in found.truth:
        row = at[error.annotation_id]
        overlap = float(box_iou(found.labels.boxes[row], np.array(error.true_box))[0, 0])
        if error.type is IssueType.BAD_LOCATION:
            # The mask went with the box.
            assert error.also == (IssueType.INACCURATE_MASK,)
            continue
        assert (IssueType.BAD_LOCATION in error.also) == (overlap < 0.9)
        same = bool(np.array_equal(found.labels.boxes[row], labels.boxes[error.row]))
        kept += same
        followed += not same
        if error.kind == "mask_shift":
            assert same, "moved with its box it would be a badly placed label"
    assert kept > 20
    assert followed > 20


def test_a_box_follows_its_mask_as_far_off_as_it_was(kit):
    old = kit.ellipse((100, 100, 140, 200))
    new = kit.ellipse((110, 120, 160, 240))
    moved = followed_box(np.array([99.5, 100, 141, 202]), old, new)
    assert moved.tolist() == [109.5, 120, 161, 242]
    assert followed_box(np.array([0.0, 0, 5, 5]), replace(old, counts=(old.height * old.width,)), new).tolist() == [
        0, 0, 5, 5,
    ]  # fmt: skip
    # Off by more than the new mask is wide: then the mask's own bounds.
    tiny = kit.ellipse((10, 10, 12, 12))
    assert followed_box(np.array([120.0, 100, 140, 200]), old, tiny).tolist() == [10, 10, 12, 12]
