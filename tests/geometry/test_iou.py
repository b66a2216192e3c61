from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.geometry.iou import boundary_iou, boundary_region, mask_iou

pair = st.tuples(arrays(bool, (12, 15)), arrays(bool, (12, 15)))


@given(pair, st.integers(1, 4))
def test_both_lie_in_0_1_are_symmetric_and_1_for_the_same_mask(masks, distance):
    a, b = masks
    for measure in (mask_iou(a, b), boundary_iou(a, b, distance=distance)):
        assert 0 <= measure <= 1
    assert mask_iou(a, b) == mask_iou(b, a)
    assert boundary_iou(a, b, distance=distance) == boundary_iou(b, a, distance=distance)
    assert mask_iou(a, a) == boundary_iou(a, a, distance=distance) == 1


@given(arrays(bool, (10, 12)), st.integers(1, 3))
def test_the_band_is_the_pixels_with_something_outside_within_the_distance(mask, distance):
    padded = np.pad(mask, distance)
    want = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        window = padded[y : y + 2 * distance + 1, x : x + 2 * distance + 1]
        want[y, x] = not window.all()
    np.testing.assert_array_equal(boundary_region(mask, distance), want)


def test_a_frayed_edge_costs_more_at_the_boundary_than_in_the_area():
    a = np.zeros((100, 100), bool)
    a[20:80, 20:80] = True
    b = a.copy()
    b[20:24, 20:80:2] = False
    assert boundary_iou(a, b, distance=3) < mask_iou(a, b)
    assert 0 < boundary_iou(a, b) < 1
