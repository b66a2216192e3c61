from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from curate.errors import FormatError
from curate.geometry import Polygon
from curate.geometry.polygons import (
    mask_to_polygons,
    polygons_area,
    polygons_bbox,
    polygons_to_mask,
    polygons_valid_reason,
    repair_polygons,
    simplify_polygons,
    to_bbox,
    to_mask,
    to_rle,
)
from curate.geometry.rle import mask_to_rle

masks = array_shapes(min_dims=2, max_dims=2, max_side=14).flatmap(lambda shape: arrays(bool, shape))
BOW_TIE = Polygon(((0.0, 0.0), (10.0, 10.0), (10.0, 0.0), (0.0, 10.0)))
point = st.tuples(st.integers(-5, 25).map(float), st.integers(-5, 25).map(float))


@given(masks)
def test_tracing_and_rasterising_give_the_mask_back_to_the_pixel(mask):
    polygons = mask_to_polygons(mask)
    np.testing.assert_array_equal(polygons_to_mask(polygons, *mask.shape), mask)
    assert polygons_valid_reason(polygons) == ""
    assert polygons_area(polygons) == pytest.approx(mask.sum())


def test_holes_and_parts_are_kept(ring_mask):
    polygons = mask_to_polygons(ring_mask)
    assert sorted(len(polygon.holes) for polygon in polygons) == [0, 1]
    assert to_bbox(polygons) == to_bbox(mask_to_rle(ring_mask)) == (3, 2, 30, 20)
    np.testing.assert_array_equal(to_mask(polygons, 20, 30), ring_mask)
    assert to_rle(polygons, 20, 30) == mask_to_rle(ring_mask)


@given(st.lists(point, min_size=3, max_size=7))
def test_repaired_polygons_are_valid_and_stay_within_the_old_bounds(ring):
    repaired = repair_polygons([Polygon(tuple(ring))])
    assert polygons_valid_reason(repaired) == ""
    if repaired:
        old, new = polygons_bbox([Polygon(tuple(ring))]), polygons_bbox(repaired)
        assert new[0] >= old[0] - 1e-9
        assert new[1] >= old[1] - 1e-9
        assert new[2] <= old[2] + 1e-9
        assert new[3] <= old[3] + 1e-9


def test_a_bow_tie_becomes_two_triangles_of_the_same_area():
    assert "Self-intersection" in polygons_valid_reason([BOW_TIE])
    repaired = repair_polygons([BOW_TIE])
    assert len(repaired) == 2
    assert polygons_area(repaired) == pytest.approx(50)


def test_a_valid_polygon_is_repaired_to_itself():
    square = Polygon(
        ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0), (1.0, 9.0)), (((3.0, 3.0), (5.0, 3.0), (5.0, 5.0)),)
    )
    assert polygons_area(repair_polygons([square])) == pytest.approx(polygons_area([square]))
    assert len(repair_polygons([square])[0].holes) == 1


def test_the_union_of_overlapping_polygons_counts_once():
    a = Polygon(((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)))
    b = Polygon(((5.0, 0.0), (15.0, 0.0), (15.0, 10.0), (5.0, 10.0)))
    assert polygons_area([a, b]) == pytest.approx(150)
    assert polygons_to_mask([a, b], 20, 20).sum() == 150


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=3, max_size=5))
def test_far_away_coordinates_are_cut_off_and_never_crash(ring):
    assert polygons_to_mask([Polygon(tuple(ring))], 12, 16).shape == (12, 16)


def test_a_polygon_far_larger_than_the_frame_fills_it():
    huge = Polygon(((-1e8, -1e8), (1e8, -1e8), (1e8, 1e8), (-1e8, 1e8)))
    assert polygons_to_mask([huge], 12, 16).all()


@pytest.mark.parametrize("ring", [((0.0, 0.0), (5.0, 5.0)), ((0.0, 0.0), (5.0, float("nan")), (1.0, 2.0))])
def test_two_points_or_nan_are_refused(ring):
    with pytest.raises(FormatError, match=r"three points|finite"):
        polygons_to_mask([Polygon(ring)], 10, 10)
    with pytest.raises(FormatError, match=r"three points|finite"):
        polygons_area([Polygon(ring)])


def test_nothing_has_no_box_and_simplifying_keeps_the_area_near(ring_mask):
    with pytest.raises(FormatError, match="no box"):
        polygons_bbox([])
    assert to_bbox(()) is None
    assert mask_to_polygons(np.zeros((4, 4), bool)) == ()
    simple = simplify_polygons(mask_to_polygons(ring_mask), 0.5)
    assert polygons_area(simple) == pytest.approx(ring_mask.sum(), rel=0.05)
