"""What a format has no place for goes along under one name, as JSON, where the format lets attributes through.

The JSON object under "crossguard" holds fields of `Annotation` that the format lacks, a box that the shape alone
would not give back, and attributes that its kind of values cannot hold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from curate.annotations import Annotation
from curate.formats._values import as_flag, as_id, as_number, clean_json, shown
from curate.formats.labelset import FileLabel
from curate.formats.report import BadItem
from curate.geometry import Mask
from curate.geometry.polygons import to_bbox
from curate.types import BoxTuple

__all__ = [
    "CARRY_KEY",
    "box_of_shape",
    "carried",
    "carried_json",
    "round_coordinate",
    "with_carried",
    "written_box",
]

CARRY_KEY = "crossguard"
_FLAGS = ("occluded", "difficult", "ignore", "iscrowd")


def round_coordinate(value: float) -> float:
    """To 0.0001 px, so that no tool's own rounding adds up to 0.01; never minus zero."""
    return round(float(value), 4) + 0.0


def written_box(box: BoxTuple) -> BoxTuple:
    """A box to 0.0001 px, never without area: a reader refuses a box of no width."""
    (x1, x2), (y1, y2) = _span(box[0], box[2]), _span(box[1], box[3])
    return (x1, y1, x2, y2)


def _span(low: float, high: float) -> tuple[float, float]:
    a, b = round_coordinate(low), round_coordinate(high)
    return (a, b) if a < b else (math.floor(low * 10_000) / 10_000, math.floor(low * 10_000 + 1) / 10_000)


def box_of_shape(mask: Mask | None) -> BoxTuple | None:
    """The box that a reader takes from a mask when none is given."""
    return None if mask is None else to_bbox(mask)


def carried(
    annotation: Annotation,
    own_id: str,
    *,
    native: Collection[str],
    plain: Callable[[str, Any], bool],
    box_is_written: bool = True,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What to write of a label beside shape and class.

    Args:
        annotation: The label.
        own_id: Its id.
        native: Fields that the format has a place for, of "id", "track_id", "score" and the flags.
        plain: Whether the format can hold an attribute of this name and value.
        box_is_written: False where the file will only hold the mask.

    Returns:
        Attributes to write as such, and the object to write under `CARRY_KEY` (empty: nothing).
    """
    own = {
        key: value for key, value in annotation.attributes.items() if key != CARRY_KEY and plain(key, value)
    }
    rest: dict[str, Any] = {name: True for name in _FLAGS if name not in native and getattr(annotation, name)}
    if "id" not in native:
        rest["id"] = own_id
    for name in ("track_id", "score"):
        if name not in native and getattr(annotation, name) is not None:
            rest[name] = getattr(annotation, name)
    others = {key: value for key, value in annotation.attributes.items() if key not in own}
    if others:
        rest["attributes"] = others
    if not box_is_written and annotation.bbox_xyxy != box_of_shape(annotation.mask):
        rest["bbox"] = list(written_box(annotation.bbox_xyxy))
    return own, rest


def carried_json(rest: Mapping[str, Any]) -> str:
    """The carried object as one line of ASCII."""
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)


def with_carried(label: FileLabel, value: Any) -> FileLabel:
    """A label with what was carried put back; `value` is the object or its JSON text, None for nothing."""
    if value is None:
        return label
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise BadItem("wrong_type", f'"{CARRY_KEY}" must be a JSON object, got {shown(value)}') from None
    if not isinstance(value, dict):
        raise BadItem("wrong_type", f'"{CARRY_KEY}" must be a JSON object, got {shown(value)}')
    changes: dict[str, Any] = {name: as_flag(value[name], name) for name in _FLAGS if name in value}
    if "id" in value:
        changes["id"] = str(as_id(value["id"], "id"))
    if "track_id" in value:
        track = value["track_id"]
        changes["track_id"] = None if track is None else str(as_id(track, "track_id"))
    if value.get("score") is not None:
        score = as_number(value["score"], "score")
        if not 0 <= score <= 1:
            raise BadItem("wrong_type", f"score must lie in 0..1, got {shown(value['score'])}")
        changes["score"] = score
    if "bbox" in value:
        changes["bbox_xyxy"] = _box(value["bbox"])
    more = value.get("attributes", {})
    if not isinstance(more, dict):
        raise BadItem("wrong_type", f'attributes under "{CARRY_KEY}" must be an object, got {shown(more)}')
    changes["attributes"] = {**label.attributes, **clean_json(more, "attributes")}
    return replace(label, **changes)


def _box(value: Any) -> BoxTuple:
    if not isinstance(value, list) or len(value) != 4:
        raise BadItem("wrong_type", f"bbox must be [x1, y1, x2, y2], got {shown(value)}")
    x1, y1, x2, y2 = (as_number(side, "bbox") for side in value)
    if x2 <= x1 or y2 <= y1:
        raise BadItem("box_size", f"bbox needs x2 > x1 and y2 > y1, got {shown(value)}")
    return (x1, y1, x2, y2)
