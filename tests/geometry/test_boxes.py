from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from curate.geometry import (
    box_area,
    box_iou,
    box_iou_pairwise,
    clip_boxes,
    xywh_to_xyxy,
    xyxy_to_xywh,
)

coordinate = st.integers(0, 200).map(lambda number: number / 4)
raw = st.integers(0, 6).flatmap(lambda count: arrays(float, (count, 4), elements=coordinate))
boxes = raw.map(lambda a: np.concatenate([np.minimum(a[:, :2], a[:, 2:]), np.maximum(a[:, :2], a[:, 2:])], 1))


@given(boxes)
def test_the_two_ways_to_write_a_box_are_inverse(value):
    np.testing.assert_array_equal(xywh_to_xyxy(xyxy_to_xywh(value)), value)


@given(boxes, boxes)
def test_iou_lies_in_0_1_and_is_symmetric(a, b):
    iou = box_iou(a, b)
    assert iou.shape == (len(a), len(b))
    assert ((iou >= 0) & (iou <= 1)).all()
    np.testing.assert_allclose(iou, box_iou(b, a).T)


@given(boxes)
def test_a_box_with_area_has_iou_1_with_itself_and_one_without_has_0(value):
    np.testing.assert_allclose(np.diag(box_iou(value, value)), box_area(value) > 0)
    np.testing.assert_allclose(box_iou_pairwise(value, value), np.diag(box_iou(value, value)))


@given(boxes, boxes)
def test_iou_is_what_counting_quarter_pixels_gives(a, b):
    def cells(box):
        grid = np.zeros((200, 200), bool)
        x1, y1, x2, y2 = (box * 4).astype(int)
        grid[y1:y2, x1:x2] = True
        return grid

    for i, first in enumerate(a[:2]):
        for j, second in enumerate(b[:2]):
            union = (cells(first) | cells(second)).sum()
            want = (cells(first) & cells(second)).sum() / union if union else 0
            np.testing.assert_allclose(box_iou(a, b)[i, j], want)


@given(boxes, st.integers(1, 60), st.integers(1, 60))
def test_clipped_boxes_lie_in_the_frame_and_stay_if_they_did(value, width, height):
    clipped = clip_boxes(value, width, height)
    assert (clipped >= 0).all()
    assert (clipped[:, ::2] <= width).all()
    assert (clipped[:, 1::2] <= height).all()
    inside = (value[:, 2] <= width) & (value[:, 3] <= height)
    np.testing.assert_array_equal(clipped[inside], value[inside])


def test_an_inverted_box_has_no_area_and_no_overlap():
    inverted = np.array([[10.0, 10, 5, 20]])
    assert box_area(inverted).tolist() == [0.0]
    assert box_iou(inverted, np.array([[0.0, 0, 30, 30]])).tolist() == [[0.0]]
