from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from curate.errors import FormatError
from curate.geometry import Rle
from curate.geometry.rle import (
    mask_to_rle,
    rle_area,
    rle_from_coco,
    rle_iou,
    rle_to_bbox,
    rle_to_coco,
    rle_to_mask,
)

masks = array_shapes(min_dims=2, max_dims=2, max_side=24).flatmap(lambda shape: arrays(bool, shape))


@given(masks)
def test_mask_runs_and_string_give_the_mask_back(mask):
    rle = mask_to_rle(mask)
    assert sum(rle.counts) == mask.size
    np.testing.assert_array_equal(rle_to_mask(rle), mask)
    assert rle_from_coco(rle_to_coco(rle)) == rle
    assert rle_from_coco({"size": list(mask.shape), "counts": list(rle.counts)}) == rle
    assert rle_area(rle) == mask.sum()


@given(masks)
def test_the_box_is_the_one_of_the_pixels(mask):
    box = rle_to_bbox(mask_to_rle(mask))
    if not mask.any():
        assert box is None
        return
    rows, columns = np.nonzero(mask)
    assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_the_box_of_a_huge_mask_is_found_without_its_pixels():
    side = 40_000
    rle = Rle(side, side, (side * 10 + 5, 7, side * side - side * 10 - 12))
    assert rle_to_bbox(rle) == (10, 5, 11, 12)


def test_runs_of_length_0_do_no_harm():
    rle = Rle(4, 4, (3, 0, 2, 4, 0, 0, 7))
    mask = rle_to_mask(rle)
    assert rle_to_bbox(rle) == rle_to_bbox(mask_to_rle(mask))
    assert rle_area(rle) == mask.sum() == 4


@given(st.lists(arrays(bool, (7, 9)), max_size=3), st.lists(arrays(bool, (7, 9)), max_size=3))
def test_iou_is_what_counting_pixels_gives(a, b):
    iou = rle_iou([mask_to_rle(mask) for mask in a], [mask_to_rle(mask) for mask in b])
    assert iou.shape == (len(a), len(b))
    for i, first in enumerate(a):
        for j, second in enumerate(b):
            union = (first | second).sum()
            if union:
                np.testing.assert_allclose(iou[i, j], (first & second).sum() / union)


@given(masks, st.integers(0, 400))
def test_a_string_cut_short_is_refused_or_still_fills_the_image(mask, cut):
    packed = rle_to_coco(mask_to_rle(mask))
    shortened = packed["counts"][: min(cut, max(0, len(packed["counts"]) - 1))]
    try:
        rle = rle_from_coco({**packed, "counts": shortened})
    except FormatError:
        return
    assert sum(rle.counts) == mask.size


@given(st.text(max_size=40) | st.binary(max_size=40))
def test_a_hostile_string_gives_a_format_error_or_a_whole_mask(text):
    try:
        rle = rle_from_coco({"size": [3, 4], "counts": text})
    except FormatError:
        return
    assert sum(rle.counts) == 12


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        {"size": [3, 4]},
        {"size": [3], "counts": [12]},
        {"size": [3, 4], "counts": None},
        {"size": [3, 4], "counts": [11]},
        {"size": [3, 4], "counts": [13, -1]},
        {"size": [3, 4], "counts": [6.5, 5.5]},
        {"size": [3, 4], "counts": ["12"]},
        {"size": [3, 4], "counts": [float("nan")]},
        {"size": [3, 4], "counts": [[12]]},
        {"size": ["3", 4], "counts": [12]},
        {"size": [0, 4], "counts": []},
        {"size": [-3, -4], "counts": [12]},
        {"size": [10**9, 10**9], "counts": [10**18]},
    ],
)
def test_a_broken_rle_is_refused(value):
    with pytest.raises(FormatError, match=r"RLE|run lengths"):
        rle_from_coco(value)


def test_masks_need_two_axes_and_runs_must_fill_the_image():
    with pytest.raises(FormatError, match="shape"):
        mask_to_rle(np.zeros((2, 2, 2), bool))
    with pytest.raises(FormatError, match="sum"):
        rle_to_mask(Rle(2, 2, (3,)))
