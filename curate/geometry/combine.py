"""Polygons united with, or cut out of, others: exact, by shapely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely

from curate.geometry.polygons import polygons_from_shapely, polygons_to_shapely
from curate.geometry.shapes import Polygon
from curate.types import Ring

__all__ = ["subtracted", "united"]

_STRAIGHT = 0.005
"""Pixels by which a point may lie off the line between its neighbours and still be left out."""


def united(first: Sequence[Polygon], second: Sequence[Polygon]) -> tuple[Polygon, ...]:
    """The area of both, in hundredths of a pixel; parts that share a border become one.

    Raises:
        FormatError: A ring has fewer than three points or a coordinate is not finite.
    """
    return _tidy(shapely.union(_area(first), _area(second)))


def subtracted(first: Sequence[Polygon], second: Sequence[Polygon]) -> tuple[Polygon, ...]:
    """The area of the first without the second, in hundredths of a pixel; () when nothing is left.

    Raises:
        FormatError: A ring has fewer than three points or a coordinate is not finite.
    """
    return _tidy(shapely.difference(_area(first), _area(second)))


def _area(polygons: Sequence[Polygon]) -> shapely.Geometry:
    parts = [shapely.make_valid(polygons_to_shapely([polygon])) for polygon in polygons]
    return shapely.union_all(parts)


def _tidy(shape: shapely.Geometry) -> tuple[Polygon, ...]:
    polygons = polygons_from_shapely(shape.simplify(_STRAIGHT, preserve_topology=True))
    rounded = [
        Polygon(_rounded(part.exterior), tuple(_rounded(hole) for hole in part.holes)) for part in polygons
    ]
    return tuple(part for part in rounded if shapely.Polygon(part.exterior).area > _STRAIGHT)


def _rounded(ring: Ring) -> Ring:
    return tuple((float(x), float(y)) for x, y in np.round(np.array(ring), 2))
