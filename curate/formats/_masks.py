"""Boxes and masks from files: read with care, and fitted to their frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry import box as shapely_box

from curate.errors import FormatError
from curate.formats._values import as_number, shown
from curate.formats.report import BadItem, ImportReport
from curate.geometry import Mask, Polygon, Rle
from curate.geometry.polygons import (
    polygons_bbox,
    polygons_from_shapely,
    polygons_to_shapely,
    polygons_valid_reason,
    repair_polygons,
)
from curate.geometry.rle import mask_to_rle, rle_from_coco, rle_to_bbox
from curate.types import BoxTuple, MaskArray, Point, Ring

__all__ = [
    "crop_mask",
    "fit_box",
    "fit_mask",
    "mask_box",
    "parse_bbox",
    "parse_segmentation",
    "ring_of",
    "single_ring",
    "tight_rows",
    "valid_polygons",
]

_OUTSIDE = 2.0
"""A label tool's rounding puts a box up to so many pixels out of its frame; more is a mistake."""
_FAR = 1e7
"""Beyond any picture, and long before areas overflow."""
_SILENT = 0.011
"""Rounding to 0.01 px is no news."""


def parse_bbox(value: Any) -> BoxTuple | None:
    """COCO's [x, y, width, height] as corners; None when there is none."""
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4:
        raise BadItem("wrong_type", f"bbox must be [x, y, width, height], got {shown(value)}")
    x, y, width, height = (as_number(number, "bbox") for number in value)
    box = (x, y, x + width, y + height)
    if width <= 0 or height <= 0 or box[2] <= x or box[3] <= y:
        raise BadItem("box_size", f"bbox needs a width and a height above 0, got {shown(value)}")
    return box


def parse_segmentation(value: Any, item: str, report: ImportReport) -> Mask | None:
    """COCO's list of rings or RLE; None when there is none.

    A self-crossing ring is repaired and reported.
    """
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        try:
            return rle_from_coco(value)
        except FormatError as error:
            raise BadItem("rle", error.message) from error
    if not isinstance(value, list):
        raise BadItem(
            "wrong_type", f"segmentation must be a list of rings or an RLE object, got {shown(value)}"
        )
    return valid_polygons([ring_of(ring) for ring in value], item, report)


def valid_polygons(rings: Sequence[Ring], item: str, report: ImportReport) -> tuple[Polygon, ...]:
    """One polygon for each ring.

    What crosses itself is repaired and reported; a bridge of no width between the parts of one ring (YOLO's way
    to write holes and several parts) is taken out without a word.
    """
    if any(abs(value) > _FAR for ring in rings for point in ring for value in point):
        raise BadItem("polygon", f"a polygon's coordinates must lie within {_FAR:,.0f} px")
    polygons = tuple(Polygon(ring) for ring in rings)
    reason = polygons_valid_reason(polygons)
    if not reason:
        return polygons
    parts = _without_bridges(rings[0]) if len(rings) == 1 else ()
    if parts:
        return parts
    repaired = repair_polygons(polygons)
    if not repaired:
        raise BadItem("polygon", f"the polygon has no area ({reason})")
    report.note(item, "polygon_repaired", f"the polygon was not valid ({reason}); its area was kept")
    return repaired


def _without_bridges(ring: Ring) -> tuple[Polygon, ...]:
    """The rings that bridges of no width join: edges walked both ways go, what is left is filled by even and odd.

    Empty when something else is wrong with the ring.
    """
    edges = Counter((a, b) for a, b in zip(ring, (*ring[1:], ring[0]), strict=True) if a != b)
    kept = edges.copy()
    for (a, b), count in edges.items():
        kept[a, b] = count - min(count, edges.get((b, a), 0))
    following: dict[Point, list[Point]] = {}
    for (a, b), count in kept.items():
        following.setdefault(a, []).extend([b] * count)
    shape: shapely.Geometry = shapely.Polygon()
    for loop in _loops(following):
        part = shapely.Polygon(loop)
        if not part.is_valid:
            return ()
        shape = shapely.symmetric_difference(shape, part)
    return polygons_from_shapely(shape)


def _loops(following: dict[Point, list[Point]]) -> Iterator[list[Point]]:
    """Closed walks that meet no point twice; every edge belongs to one."""
    while following:
        path = [next(iter(following))]
        place = {path[0]: 0}
        while following.get(path[-1]):
            last = path[-1]
            here = following[last].pop()
            if not following[last]:
                del following[last]
            if here in place:
                loop = path[place[here] :]
                for point in loop[1:]:
                    del place[point]
                del path[place[here] + 1 :]
                if len(loop) > 2:
                    yield loop
            else:
                place[here] = len(path)
                path.append(here)
        following.pop(path[-1], None)


def ring_of(value: Any) -> Ring:
    """A flat list x1, y1, x2, y2, ... as a ring."""
    if not isinstance(value, list):
        raise BadItem("wrong_type", f"a ring must be a list [x1, y1, x2, y2, ...], got {shown(value)}")
    if len(value) % 2:
        raise BadItem("polygon", f"a ring needs an even number of coordinates, got {len(value)}")
    numbers = [as_number(number, "segmentation") for number in value]
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    if len(points) > 1 and points[0] == points[-1]:
        points.pop()
    if len(points) < 3:
        raise BadItem("polygon", f"a polygon needs at least three points, got {len(points)}")
    return tuple(points)


def crop_mask(rows: MaskArray, left: int, top: int, width: int, height: int) -> Rle:
    """A mask given for a rectangle of its picture, as run lengths of the whole picture."""
    whole = np.zeros((height, width), bool)
    y, x = rows.shape
    if left < 0 or top < 0 or left + x > width or top + y > height:
        raise BadItem(
            "rle", f"the mask of {x} x {y} at {left}, {top} leaves its picture of {width} x {height}"
        )
    whole[top : top + y, left : left + x] = rows
    return mask_to_rle(whole)


def tight_rows(mask: MaskArray) -> tuple[MaskArray, int, int]:
    """The part of a mask that holds all of it, with its left and top; one empty pixel of an empty mask."""
    ys, xs = np.nonzero(mask.any(1))[0], np.nonzero(mask.any(0))[0]
    if not len(ys):
        return np.zeros((1, 1), bool), 0, 0
    return mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1], int(xs[0]), int(ys[0])


def single_ring(mask: Mask | None) -> Ring | None:
    """The ring of a mask that is one polygon without holes, else None."""
    if isinstance(mask, tuple) and len(mask) == 1 and not mask[0].holes:
        return mask[0].exterior
    return None


def mask_box(mask: Mask) -> BoxTuple:
    """Tight box of a mask."""
    box = rle_to_bbox(mask) if isinstance(mask, Rle) else polygons_bbox(mask)
    if box is None or box[2] <= box[0] or box[3] <= box[1]:
        raise BadItem("no_shape", "the mask is empty and there is no bbox")
    return box


def fit_box(box: BoxTuple, width: int, height: int, item: str, report: ImportReport) -> BoxTuple:
    """Clip a box that is up to 2 px out of its frame; farther out is a bad item."""
    beyond = _beyond(box, width, height)
    if beyond <= 0:
        return box
    _refuse_far(beyond, "box", width, height)
    clipped = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height)))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        raise BadItem("box_outside", f"the box lies outside its frame of {width} x {height}")
    if beyond > _SILENT:
        report.note(item, "box_clipped", f"the box reached {beyond:.2f} px out of its frame and was clipped")
    return clipped


def fit_mask(mask: Mask, width: int, height: int, item: str, report: ImportReport) -> Mask:
    """Refuse an RLE of another size; clip polygons like boxes."""
    if isinstance(mask, Rle):
        if (mask.width, mask.height) != (width, height):
            raise BadItem(
                "rle", f"the RLE is {mask.width} x {mask.height} pixels, its frame {width} x {height}"
            )
        return mask
    beyond = _beyond(polygons_bbox(mask), width, height)
    if beyond <= _SILENT:
        return mask
    _refuse_far(beyond, "polygon", width, height)
    frame = shapely_box(0, 0, width, height)
    clipped = tuple(
        piece
        for polygon in mask
        for piece in polygons_from_shapely(shapely.intersection(polygons_to_shapely([polygon]), frame))
    )
    if not clipped:
        raise BadItem("box_outside", f"the polygon lies outside its frame of {width} x {height}")
    report.note(
        item, "polygon_clipped", f"the polygon reached {beyond:.2f} px out of its frame and was clipped"
    )
    return clipped


def _beyond(box: BoxTuple, width: int, height: int) -> float:
    return max(-box[0], -box[1], box[2] - width, box[3] - height)


def _refuse_far(beyond: float, what: str, width: int, height: int) -> None:
    if beyond > _OUTSIDE:
        raise BadItem(
            "box_outside",
            f"the {what} reaches {beyond:.1f} px out of its frame of {width} x {height}",
            "were the labels made on pictures of another size?",
        )
