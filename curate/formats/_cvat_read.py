"""Reading and checking "CVAT for video 1.1" files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from curate.errors import FormatError
from curate.formats._cvat_types import CvatBox, CvatTrack, CvatVideo
from curate.formats._masks import mask_box, valid_polygons
from curate.formats._sources import load_xml
from curate.formats._values import as_text, shown
from curate.formats._xml import attribute, parse_points, to_number
from curate.formats.report import BadItem, ImportReport
from curate.types import BoxTuple

__all__ = [
    "MAX_BYTES",
    "ROTATED_NOTE",
    "attribute_values",
    "declared_labels",
    "flag",
    "other_shapes",
    "read_cvat_video",
    "upright",
]

MAX_BYTES = 2**28
"""Larger XML files are refused unless the caller says otherwise."""
other_shapes = ("polyline", "points", "ellipse", "cuboid", "skeleton", "mask", "tag")
ROTATED_NOTE = "the rotated box became the upright box around it"


def read_cvat_video(
    path: str | Path, *, report: ImportReport | None = None, max_bytes: int = MAX_BYTES
) -> CvatVideo:
    """Read the tracks of a "CVAT for video 1.1" file.

    Boxes and polygons are read: tracks of other shapes are left out and reported (other_shape) under any policy.
    A rotated box becomes the upright box around it, and is reported (rotated). Kinds of bad items (whole
    tracks): missing_key, wrong_type, not_finite, box_size, polygon, duplicate_frame, duplicate_id, no_keyframe.

    Args:
        path: The XML file.
        report: Policy and report; default: fail at the first bad item.
        max_bytes: Refuse larger files.

    Raises:
        FormatError: The file is missing, too large, not XML, declares entities, or is another kind of CVAT
            file; or, under the policy "fail", a track is bad.
    """
    report = report if report is not None else ImportReport()
    report.file = str(path)
    root = load_xml(Path(path), what="a CVAT XML file", max_bytes=max_bytes)
    if root.tag != "annotations":
        raise FormatError(f"expected <annotations> of CVAT, got <{shown(root.tag)[1:-1]}>", file=path)
    if root.find("image") is not None:
        raise FormatError(
            "this is a CVAT file for images", file=path, hint="import it as cvat, not as cvat-video"
        )
    labels = declared_labels(root)
    last = _last_frame(root)
    tracks: list[CvatTrack] = []
    seen: set[str] = set()
    for number, element in enumerate(root.findall("track")):
        item = f"track {element.get('id', f'number {number}')}"
        try:
            track = _track(element, item, labels, last, report)
            if track is None:
                continue
            if track.id in seen:
                raise BadItem("duplicate_id", f"there are two tracks with the id {track.id}")
            seen.add(track.id)
            tracks.append(track)
        except BadItem as bad:
            report.reject(item, bad)
    width, height = _size(root)
    return CvatVideo(tuple(tracks), labels, width, height, last, str(path), *_window(root))


def declared_labels(root: Element) -> dict[str, dict[str, str]]:
    labels: dict[str, dict[str, str]] = {}
    for label in root.iterfind("meta//label"):
        attributes = {
            attribute.findtext("name", ""): attribute.findtext("input_type", "")
            for attribute in label.iterfind("attributes/attribute")
        }
        labels[label.findtext("name", "")] = attributes
    return labels


def _size(root: Element) -> tuple[int | None, int | None]:
    size = root.find("meta//original_size")
    if size is None:
        return None, None
    width, height = (size.findtext(key, "").strip() for key in ("width", "height"))
    if not (re.fullmatch(r"[1-9]\d{0,8}", width) and re.fullmatch(r"[1-9]\d{0,8}", height)):
        return None, None
    return int(width), int(height)


def _last_frame(root: Element) -> int | None:
    text = (root.findtext("meta/task/stop_frame") or root.findtext("meta/job/stop_frame") or "").strip()
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None


def _window(root: Element) -> tuple[int, int]:
    """First frame and step of the task."""
    start = (root.findtext("meta/task/start_frame") or "").strip()
    step = re.fullmatch(r"\s*step=([1-9][0-9]{0,8})\s*", root.findtext("meta/task/frame_filter") or "")
    return int(start) if re.fullmatch(r"[0-9]{1,9}", start) else 0, int(step[1]) if step else 1


def _track(
    element: Element,
    item: str,
    labels: Mapping[str, Mapping[str, str]],
    last_of_task: int | None,
    report: ImportReport,
) -> CvatTrack | None:
    others = sorted({shape.tag for shape in element if shape.tag in other_shapes})
    if others:
        report.leave_out(
            item,
            "other_shape",
            f"only boxes and polygons are read, this track is made of {', '.join(others)}",
        )
        return None
    track_id = as_text(attribute(element, "id"), "id")
    label = as_text(attribute(element, "label"), "label")
    types = labels.get(label, {})
    keyframes: list[CvatBox] = []
    last_seen, dense = 0, False
    for shape in element:
        if shape.tag not in ("box", "polygon"):
            continue
        frame = _frame_number(shape)
        last_seen = max(last_seen, frame)
        # CVAT writes every frame of a track; what a person drew is marked. How CVAT moves a polygon's corners, only
        # CVAT knows: its polygons are taken as they are written.
        if shape.tag == "polygon":
            keyframes.append(_polygon(shape, frame, types, f"{item}, frame {frame}", report))
        elif shape.get("keyframe", "1") == "1":
            keyframes.append(_box(shape, frame, types, item, report))
        else:
            dense = True
    if not keyframes:
        raise BadItem("no_keyframe", "the track has no keyframe")
    keyframes.sort(key=lambda box: box.frame)
    for first, second in pairwise(keyframes):
        if first.frame == second.frame:
            raise BadItem("duplicate_frame", f"there are two keyframes at frame {first.frame}")
    held = last_seen if dense or last_of_task is None else max(last_seen, last_of_task)
    return CvatTrack(track_id, label, tuple(keyframes), held)


def _box(shape: Element, frame: int, types: Mapping[str, str], item: str, report: ImportReport) -> CvatBox:
    corners = [_coordinate(shape, key, frame) for key in ("xtl", "ytl", "xbr", "ybr")]
    outside = _flag_at(shape, "outside", frame)
    x1, y1, x2, y2 = corners
    if not outside and (x2 <= x1 or y2 <= y1):
        raise BadItem("box_size", f"frame {frame}: a box needs xbr > xtl and ybr > ytl, got {corners}")
    if shape.get("rotation") is not None and not outside:
        around = upright((x1, y1, x2, y2), _coordinate(shape, "rotation", frame))
        if around is not None:
            x1, y1, x2, y2 = around
            report.note(item, "rotated", f"frame {frame}: {ROTATED_NOTE}")
    return CvatBox(
        frame, (x1, y1, x2, y2), outside, _flag_at(shape, "occluded", frame), attribute_values(shape, types)
    )


def _polygon(
    shape: Element, frame: int, types: Mapping[str, str], item: str, report: ImportReport
) -> CvatBox:
    mask = valid_polygons([parse_points(attribute(shape, "points"))], item, report)
    return CvatBox(
        frame,
        mask_box(mask),
        _flag_at(shape, "outside", frame),
        _flag_at(shape, "occluded", frame),
        attribute_values(shape, types),
        mask,
    )


def attribute_values(shape: Element, types: Mapping[str, str]) -> dict[str, Any]:
    """A shape's attributes, read by their declared input types."""
    return {
        as_text(name, "an attribute's name"): _value(entry.text or "", types.get(name, ""))
        for entry in shape.iterfind("attribute")
        if (name := entry.get("name", ""))
    }


def upright(box: BoxTuple, degrees: float) -> BoxTuple | None:
    """The upright box around a box turned about its centre; None when it is not turned."""
    angle = math.radians(degrees)
    if math.sin(angle) == 0:
        return None
    x1, y1, x2, y2 = box
    x, y, a, b = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    half_width, half_height = a * cosine + b * sine, a * sine + b * cosine
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _frame_number(shape: Element) -> int:
    text = attribute(shape, "frame").strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadItem("wrong_type", f"frame must be a whole number from 0, got {shown(text)}")
    return int(text)


def _coordinate(shape: Element, key: str, frame: int) -> float:
    return to_number(attribute(shape, key), f"frame {frame}: {key}")


def _flag_at(shape: Element, key: str, frame: int) -> bool:
    try:
        return flag(shape, key)
    except BadItem as bad:
        raise BadItem(bad.kind, f"frame {frame}: {bad.message}") from None


def flag(shape: Element, key: str) -> bool:
    """A "0" or "1"; "0" when it is not there."""
    text = shape.get(key, "0")
    if text not in ("0", "1"):
        raise BadItem("wrong_type", f"{key} must be 0 or 1, got {shown(text)}")
    return text == "1"


def _value(text: str, input_type: str) -> Any:
    text = text.strip()
    if text in ("true", "false") and input_type in ("checkbox", ""):
        return text == "true"
    if input_type == "number" and re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    if input_type == "number" and re.fullmatch(r"-?[0-9]{1,15}\.[0-9]{1,15}", text):
        return float(text)
    return text
