import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from curate.geometry.combine import subtracted, united
from curate.geometry.polygons import polygons_area, polygons_bbox, polygons_valid_reason
from curate.geometry.shapes import Polygon

side = st.integers(1, 3000).map(lambda value: value / 100)


def box(x: float, y: float, width: float, height: float) -> tuple[Polygon, ...]:
    return (Polygon(((x, y), (x + width, y), (x + width, y + height), (x, y + height))),)


def test_halves_that_share_a_border_become_one_without_a_point_on_it():
    whole = united(box(10.25, 5, 4, 8), box(14.25, 5, 6, 8))
    assert len(whole) == 1
    assert len(whole[0].exterior) == 4
    assert polygons_bbox(whole) == (10.25, 5, 20.25, 13)


def test_what_lies_inside_becomes_a_hole_and_what_covers_all_leaves_nothing():
    (ring,) = subtracted(box(0, 0, 20, 20), box(5, 5, 5, 5))
    assert len(ring.holes) == 1
    assert polygons_area((ring,)) == 375
    assert subtracted(box(5, 5, 5, 5), box(0, 0, 20, 20)) == ()


@given(side, side, side, side, side, side)
def test_areas_add_up(x, y, width, height, wide, high):
    first, second = box(10, 10, width, height), box(x, y, wide, high)
    both, left = united(first, second), subtracted(first, second)
    assert polygons_valid_reason(both) == ""
    assert np.isclose(
        polygons_area(both), polygons_area(left or box(0, 0, 1e-9, 1e-9)) + wide * high, atol=0.5
    )
