"""What a reviewer may write: boxes and masks inside the frame, known classes, known flags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from curate.annotations import Frame, Mask, Polygon, Rle
from curate.errors import DataError
from curate.geometry.polygons import to_bbox
from curate.types import BoxTuple, Ring

__all__ = [
    "FLAGS",
    "checked_box",
    "checked_flags",
    "checked_label",
    "checked_mask",
    "checked_shape",
    "checked_track",
]

FLAGS = ("occluded", "difficult", "ignore")
"""The flags that a decision may change."""
_TOLERANCE = 0.01
"""Pixels that a coordinate may lie outside the frame by rounding; it is put back on the edge."""
_LONGEST_TRACK = 64


def checked_box(box: Sequence[float], frame: Frame, item: str) -> BoxTuple:
    """The box as floats inside the frame.

    Raises:
        DataError: Not four finite numbers, no area, or outside the frame.
    """
    if len(box) != 4 or not all(_is_finite(side) for side in box):
        raise DataError(f"a box needs four finite numbers x1, y1, x2, y2, got {tuple(box)!r}", item=item)
    x1, y1, x2, y2 = (_inside(float(s), (frame.width, frame.height)[i % 2], item) for i, s in enumerate(box))
    if x2 <= x1 or y2 <= y1:
        raise DataError(f"a box needs x2 > x1 and y2 > y1, got {(x1, y1, x2, y2)}", item=item)
    return (x1, y1, x2, y2)


def checked_mask(mask: Mask, frame: Frame, item: str) -> Mask:
    """The mask with its points inside the frame.

    Raises:
        DataError: A ring of fewer than three points, a point outside the frame, run lengths of another size,
            or nothing inside.
    """
    if isinstance(mask, Rle):
        if (mask.width, mask.height) != (frame.width, frame.height):
            raise DataError(
                f"a mask needs the size of its frame, {frame.width} x {frame.height},"
                f" got {mask.width} x {mask.height}",
                item=item,
            )
        if sum(mask.counts) != mask.width * mask.height or any(run < 0 for run in mask.counts):
            raise DataError("the run lengths of the mask do not fill its frame", item=item)
        if not sum(mask.counts[1::2]):
            raise DataError("the mask is empty", item=item, hint="delete the label instead")
        return mask
    return tuple(
        Polygon(_ring(part.exterior, frame, item), tuple(_ring(hole, frame, item) for hole in part.holes))
        for part in mask
    )


def checked_shape(
    box: Sequence[float] | None, mask: Mask | None, frame: Frame, item: str
) -> tuple[BoxTuple | None, Mask | None]:
    """Box and mask, each checked; a mask that comes alone brings its tight box.

    Raises:
        DataError: See `checked_box` and `checked_mask`.
    """
    checked = None if mask is None else checked_mask(mask, frame, item)
    if box is not None:
        return checked_box(box, frame, item), checked
    tight = to_bbox(checked) if checked else None
    return None if tight is None else checked_box(tight, frame, item), checked


def checked_label(label: str | None, classes: Sequence[str] | None, item: str) -> str:
    """The class name.

    Args:
        label: What the reviewer chose.
        classes: Allowed names; None when the class list is not known.
        item: For the message.

    Raises:
        DataError: No name, or not in the list.
    """
    if not label:
        raise DataError("a class is needed", item=item)
    if classes is not None and label not in classes:
        raise DataError(f"unknown class {label!r}; allowed: {', '.join(classes)}", item=item)
    return label


def checked_flags(flags: Mapping[str, bool], item: str) -> dict[str, Any]:
    """The flags to change.

    Raises:
        DataError: An unknown flag, or a value that is not true or false.
    """
    for name, value in flags.items():
        if name not in FLAGS or not isinstance(value, bool):
            raise DataError(f"expected true or false for {', '.join(FLAGS)}, got {name}={value!r}", item=item)
    return dict(flags)


def checked_track(track_id: str | None, item: str) -> str | None:
    """The id of a track, or None when none is given.

    Raises:
        DataError: Longer than 64 characters, or not printable.
    """
    if track_id is not None and not (0 < len(track_id) <= _LONGEST_TRACK and track_id.isprintable()):
        raise DataError(
            f"a track id needs 1 to {_LONGEST_TRACK} printable characters, got {track_id!r}", item=item
        )
    return track_id


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _inside(value: float, limit: int, item: str) -> float:
    if not -_TOLERANCE <= value <= limit + _TOLERANCE:
        raise DataError(f"{value} lies outside the frame (0..{limit})", item=item)
    return min(max(value, 0.0), float(limit))


def _ring(ring: Ring, frame: Frame, item: str) -> Ring:
    if len(ring) < 3:
        raise DataError(f"a polygon needs at least three points, got {len(ring)}", item=item)
    for point in ring:
        if len(point) != 2 or not all(_is_finite(value) for value in point):
            raise DataError(f"a point needs two finite numbers, got {point!r}", item=item)
    return tuple((_inside(x, frame.width, item), _inside(y, frame.height, item)) for x, y in ring)
