"""Polygons with holes: validity, rasterising, tracing. Built on shapely; pixels are unit squares.

Tracing a mask follows pixel edges, so that rasterising the traced polygon gives the mask back to the pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from shapely.geometry import MultiPolygon as ShapelyMultiPolygon
from shapely.geometry import Polygon as ShapelyPolygon
from shapely.geometry import box as shapely_box

from curate.errors import FormatError
from curate.geometry.rle import mask_to_rle, rle_to_mask
from curate.geometry.shapes import Mask, Polygon, Rle
from curate.types import BoxTuple, MaskArray, Ring

__all__ = [
    "mask_to_polygons",
    "polygons_area",
    "polygons_bbox",
    "polygons_from_shapely",
    "polygons_to_mask",
    "polygons_to_shapely",
    "polygons_valid_reason",
    "repair_polygons",
    "simplify_polygons",
    "to_bbox",
    "to_mask",
    "to_rle",
]


def _ring(coords: object) -> Ring:
    points = [(float(x), float(y)) for x, y in np.asarray(coords, float)[:, :2]]
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    return tuple(points)


def polygons_to_shapely(polygons: Sequence[Polygon]) -> ShapelyMultiPolygon:
    """Polygons as one shapely MultiPolygon, not repaired.

    Raises:
        FormatError: A ring has fewer than three points or a coordinate is not finite.
    """
    parts = []
    for polygon in polygons:
        for ring in (polygon.exterior, *polygon.holes):
            if len(ring) < 3:
                raise FormatError(f"a polygon ring needs at least three points, got {len(ring)}")
            if not np.isfinite(np.asarray(ring, float)).all():
                raise FormatError("a polygon's coordinates must be finite numbers")
        parts.append(ShapelyPolygon(polygon.exterior, polygon.holes))
    return ShapelyMultiPolygon(parts)


def polygons_from_shapely(shape: shapely.Geometry) -> tuple[Polygon, ...]:
    """All areas of a shapely geometry as polygons (lines and points are dropped)."""
    result = []
    for part in shapely.get_parts(shape).tolist() if hasattr(shape, "geoms") else [shape]:
        if isinstance(part, ShapelyPolygon):
            if not part.is_empty and part.area > 0:
                holes = tuple(_ring(hole.coords) for hole in part.interiors)
                result.append(Polygon(_ring(part.exterior.coords), holes))
        elif hasattr(part, "geoms"):
            result.extend(polygons_from_shapely(part))
    return tuple(result)


def polygons_valid_reason(polygons: Sequence[Polygon]) -> str:
    """Empty when valid, else why not ("Self-intersection[12 40]")."""
    for polygon in polygons:
        reason = shapely.is_valid_reason(polygons_to_shapely([polygon]))
        if reason != "Valid Geometry":
            return str(reason)
    return ""


def repair_polygons(polygons: Sequence[Polygon]) -> tuple[Polygon, ...]:
    """The same area as valid polygons: self-crossings become separate parts (shapely.make_valid)."""
    parts = [shapely.make_valid(polygons_to_shapely([polygon])) for polygon in polygons]
    return polygons_from_shapely(shapely.union_all(parts))


def polygons_area(polygons: Sequence[Polygon]) -> float:
    """Area of the union in square pixels."""
    parts = [shapely.make_valid(polygons_to_shapely([polygon])) for polygon in polygons]
    return float(shapely.union_all(parts).area)


def polygons_bbox(polygons: Sequence[Polygon]) -> BoxTuple:
    """Bounds of the exterior rings.

    Raises:
        FormatError: There is no point at all.
    """
    points = [point for polygon in polygons for point in polygon.exterior]
    if not points:
        raise FormatError("a polygon without points has no box")
    array = np.asarray(points, float)
    x1, y1 = array.min(0)
    x2, y2 = array.max(0)
    return (float(x1), float(y1), float(x2), float(y2))


def polygons_to_mask(polygons: Sequence[Polygon], height: int, width: int) -> MaskArray:
    """Rasterise to (height, width); each ring as COCO does it, holes cut out, parts united.

    Raises:
        FormatError: A ring has fewer than three points or a coordinate is not finite.
    """
    result = np.zeros((height, width), bool)
    for polygon in polygons:
        part = _fill(polygon.exterior, height, width)
        for hole in polygon.holes:
            part &= ~_fill(hole, height, width)
        result |= part
    return result


def _fill(ring: Ring, height: int, width: int) -> MaskArray:
    from faster_coco_eval.core import mask as mask_api

    points = np.asarray(ring, float)
    if len(points) < 3:
        raise FormatError(f"a polygon ring needs at least three points, got {len(points)}")
    if not np.isfinite(points).all():
        raise FormatError("a polygon's coordinates must be finite numbers")
    # The C code walks along every edge pixel by pixel in 32-bit integers: what lies a whole frame away
    # from the frame is cut off before.
    if (np.abs(points - (width / 2, height / 2)) > 1.5 * max(width, height, 1)).any():
        shape = shapely.make_valid(ShapelyPolygon(ring))
        kept = polygons_from_shapely(shapely.intersection(shape, shapely_box(-1, -1, width + 1, height + 1)))
        return polygons_to_mask(kept, height, width)
    packed = mask_api.frPyObjects([points.ravel().tolist()], height, width)
    return np.asarray(mask_api.decode(packed)[..., 0], bool)


def mask_to_polygons(mask: MaskArray, *, tolerance: float = 0.0) -> tuple[Polygon, ...]:
    """Trace an (H, W) mask along its pixel edges, with holes.

    Args:
        mask: Boolean mask.
        tolerance: Simplify by at most so many pixels (topology kept); 0 is exact.
    """
    rle = mask_to_rle(mask)
    if len(rle.counts) < 2:
        return ()
    bounds = np.cumsum((0, *rle.counts))
    starts, stops = bounds[1:-1:2], bounds[2::2]
    boxes = []
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        column, row = divmod(start, rle.height)
        last_column, last_row = divmod(stop - 1, rle.height)
        # A run may go on over the foot of one column into the next: cut it there.
        for x in range(column, last_column + 1):
            top = row if x == column else 0
            foot = last_row + 1 if x == last_column else rle.height
            boxes.append(shapely_box(x, top, x + 1, foot))
    shape = shapely.union_all(boxes)
    # union_all leaves a vertex at every pixel of a straight edge; simplify(0) takes the collinear ones out.
    return polygons_from_shapely(shape.simplify(tolerance, preserve_topology=True))


def simplify_polygons(polygons: Sequence[Polygon], tolerance: float) -> tuple[Polygon, ...]:
    """Fewer vertices, moved by at most `tolerance` pixels, topology kept."""
    return polygons_from_shapely(polygons_to_shapely(polygons).simplify(tolerance, preserve_topology=True))


def to_mask(mask: Mask, height: int, width: int) -> MaskArray:
    """Either kind of mask as an (H, W) array."""
    return rle_to_mask(mask) if isinstance(mask, Rle) else polygons_to_mask(mask, height, width)


def to_rle(mask: Mask, height: int, width: int) -> Rle:
    """Either kind of mask as run lengths."""
    return mask if isinstance(mask, Rle) else mask_to_rle(polygons_to_mask(mask, height, width))


def to_bbox(mask: Mask) -> BoxTuple | None:
    """Tight box of either kind of mask; None when it is empty."""
    from curate.geometry.rle import rle_to_bbox

    if isinstance(mask, Rle):
        return rle_to_bbox(mask)
    return polygons_bbox(mask) if mask else None
