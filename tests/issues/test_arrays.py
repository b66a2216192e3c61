"""The vectorised helpers against the plain loops that they replace."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.geometry.iou import mask_iou
from curate.geometry.rle import mask_to_rle, rle_to_bbox, rle_to_mask
from curate.issues import cluster_boxes, recurring
from curate.issues.masks import crop_rle, mask_agreement, mask_bounds, paste_rle
from curate.issues.pairs import match_one_to_one


def _random_boxes(rng, count, side=100):
    corners = rng.uniform(0, side, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(5, 40, (count, 2))], 1)


@given(seed=st.integers(0, 10_000), count=st.integers(0, 80))
@settings(max_examples=50, deadline=None)
def test_matching_is_the_greedy_loop(seed, count):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 10, count), rng.integers(0, 12, count)
    weight = rng.random(count) - 0.1
    used_a, used_b, expected = set(), set(), np.full(10, -1)
    for at in np.argsort(-weight):
        if weight[at] > 0 and a[at] not in used_a and b[at] not in used_b:
            expected[a[at]] = b[at]
            used_a.add(a[at])
            used_b.add(b[at])
    assert match_one_to_one(a, b, weight, 10, 12).tolist() == expected.tolist()


@given(seed=st.integers(0, 10_000), iou=st.sampled_from([0.4, 0.5, 0.7]))
@settings(max_examples=30, deadline=None)
def test_places_hold_boxes_that_overlap_and_leave_no_twin_outside(seed, iou):
    """Fixtures far apart, each jittering: as many places as fixtures, whatever the grid does at its seams."""
    rng = np.random.default_rng(seed)
    centres = np.array([(x, y) for x in range(100, 1000, 150) for y in range(100, 700, 150)], float)
    sizes = rng.uniform(20, 60, centres.shape)
    fixture = rng.integers(len(centres), size=400)
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], 1)[fixture] + rng.normal(
        0, 0.4, (400, 4)
    )
    places = cluster_boxes(boxes, np.zeros(400, int), iou=iou)
    assert len(np.unique(np.column_stack([places, fixture]), axis=0)) == len(np.unique(fixture))
    assert len(np.unique(places)) == len(np.unique(fixture))


def test_places_never_mix_classes_and_count_frames():
    boxes = np.tile([10.0, 10.0, 40.0, 60.0], (6, 1))
    found = recurring(np.array([0, 0, 1, 2, 3, 3]), boxes, np.array([0, 0, 0, 0, 1, 1]), 10)
    assert len(np.unique(found.ids)) == 2
    assert found.counts.tolist() == [3, 3, 3, 3, 1, 1]
    assert found.shares[0] == pytest.approx(0.3)
    assert found.stillness.tolist() == [1, 1, 1, 1, 0, 0]


@given(seed=st.integers(0, 10_000), height=st.integers(1, 30), width=st.integers(1, 30))
@settings(max_examples=60, deadline=None)
def test_crops_of_run_lengths(seed, height, width):
    rng = np.random.default_rng(seed)
    mask = rng.random((height, width)) < rng.random()
    rle = mask_to_rle(mask)
    x1, y1 = rng.integers(width), rng.integers(height)
    x2, y2 = rng.integers(x1 + 1, width + 1), rng.integers(y1 + 1, height + 1)
    window = (int(x1), int(y1), int(x2), int(y2))
    crop = crop_rle(rle, window)
    assert np.array_equal(crop, mask[y1:y2, x1:x2])
    alone = np.zeros_like(mask)
    alone[y1:y2, x1:x2] = crop
    assert np.array_equal(rle_to_mask(paste_rle(crop, window, height, width)), alone)
    assert mask_bounds(rle) == rle_to_bbox(rle)


def test_mask_agreement_is_that_of_whole_masks(kit):
    a, b = kit.ellipse((100, 100, 160, 220)), kit.ellipse((108, 100, 170, 215))
    region, boundary = mask_agreement([a, a, a, None], [b, a, None, b])
    assert region[0] == pytest.approx(mask_iou(rle_to_mask(a), rle_to_mask(b)))
    assert 0 < boundary[0] < region[0]
    assert (region[1], boundary[1]) == (1, 1)
    assert np.isnan(region[2:]).all()
