"""Regions of the frame drawn as polygons: ignore regions, far zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from curate.errors import DataError
from curate.geometry.polygons import polygons_to_mask
from curate.geometry.shapes import Polygon
from curate.types import MaskArray, Point

__all__ = ["regions_to_mask"]


def regions_to_mask(regions: Iterable[Sequence[Point]], height: int, width: int) -> MaskArray:
    """Union of polygons, each [(x, y), ...] in pixels, as an (height, width) mask; parts outside are cut off.

    Raises:
        DataError: A region has fewer than three points or a coordinate that is not finite.
    """
    polygons = []
    for number, region in enumerate(regions):
        points = tuple((float(x), float(y)) for x, y in region)
        if len(points) < 3 or not np.isfinite(np.asarray(points)).all():
            raise DataError(
                f"a region needs at least three points with finite coordinates, got {points}",
                item=f"region {number}",
            )
        polygons.append(Polygon(points))
    return polygons_to_mask(polygons, height, width)
