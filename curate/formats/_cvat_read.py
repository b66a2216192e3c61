"""Reading and checking "CVAT for video 1.1" files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeXml

from curate.errors import FormatError
from curate.formats._cvat_types import CvatBox, CvatTrack, CvatVideo
from curate.formats._values import as_text, shown
from curate.formats.report import BadItem, ImportReport

__all__ = ["MAX_BYTES", "read_cvat_video"]

MAX_BYTES = 2**28
"""Larger XML files are refused unless the caller says otherwise."""
_OTHER_SHAPES = ("polygon", "polyline", "points", "ellipse", "cuboid", "skeleton", "mask", "tag")


def read_cvat_video(
    path: str | Path, *, report: ImportReport | None = None, max_bytes: int = MAX_BYTES
) -> CvatVideo:
    """Read the tracks of a "CVAT for video 1.1" file.

    Only boxes are read: tracks of other shapes are left out and reported (other_shape) under either policy. A
    rotated box becomes the upright box around it, and is reported (rotated). Kinds of bad items (whole
    tracks): missing_key, wrong_type, not_finite, box_size, duplicate_frame, duplicate_id, no_keyframe.

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
    root = _load_xml(Path(path), max_bytes)
    if root.tag != "annotations":
        raise FormatError(f"expected <annotations> of CVAT, got <{shown(root.tag)[1:-1]}>", file=path)
    if root.find("image") is not None:
        raise FormatError(
            "this is a CVAT file for images", file=path, hint='export the task as "CVAT for video 1.1"'
        )
    labels = _labels(root)
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
    return CvatVideo(tuple(tracks), labels, width, height, last, str(path))


def _load_xml(path: Path, max_bytes: int) -> Element:
    try:
        if not path.is_file():
            what = "this is a folder" if path.is_dir() else "there is no such file"
            raise FormatError(f"expected a CVAT XML file, {what}", file=path)
        size = path.stat().st_size
        if size > max_bytes:
            raise FormatError(f"the file has {size:,} bytes, the limit is {max_bytes:,}", file=path)
        # forbid_dtd: CVAT writes none, and entities and outside references can only come through one.
        root = SafeXml.parse(path, forbid_dtd=True).getroot()
    except OSError as error:
        raise FormatError(f"cannot be read: {error.strerror or error}", file=path) from error
    except ParseError as error:
        line, column = error.position
        raise FormatError("not valid XML", file=path, item=f"line {line}, column {column + 1}") from error
    except DefusedXmlException as error:
        raise FormatError(
            "the XML declares a document type or entities, which CVAT never does; refused", file=path
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that does not exist, ...
        raise FormatError(f"not valid XML: {error}", file=path) from error
    if root is None:
        raise FormatError("the XML is empty", file=path)
    return root


def _labels(root: Element) -> dict[str, dict[str, str]]:
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


def _track(
    element: Element,
    item: str,
    labels: Mapping[str, Mapping[str, str]],
    last_of_task: int | None,
    report: ImportReport,
) -> CvatTrack | None:
    others = sorted({shape.tag for shape in element if shape.tag in _OTHER_SHAPES})
    if others:
        report.leave_out(
            item, "other_shape", f"only boxes are read, this track is made of {', '.join(others)}"
        )
        return None
    track_id = as_text(_attribute(element, "id"), "id")
    label = as_text(_attribute(element, "label"), "label")
    types = labels.get(label, {})
    keyframes: list[CvatBox] = []
    last_seen, dense = 0, False
    for shape in element.iterfind("box"):
        frame = _frame_number(shape)
        last_seen = max(last_seen, frame)
        # CVAT writes every frame of a track; what a person drew is marked.
        if shape.get("keyframe", "1") == "1":
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
    outside = _flag(shape, "outside", frame)
    x1, y1, x2, y2 = corners
    if not outside and (x2 <= x1 or y2 <= y1):
        raise BadItem("box_size", f"frame {frame}: a box needs xbr > xtl and ybr > ytl, got {corners}")
    if shape.get("rotation") is not None:
        angle = math.radians(_coordinate(shape, "rotation", frame))
        if math.sin(angle) != 0 and not outside:
            x1, y1, x2, y2 = _upright((x1, y1, x2, y2), angle)
            report.note(item, "rotated", f"frame {frame}: the rotated box became the upright box around it")
    attributes = {
        name: _value(attribute.text or "", types.get(name, ""))
        for attribute in shape.iterfind("attribute")
        if (name := attribute.get("name", ""))
    }
    return CvatBox(frame, (x1, y1, x2, y2), outside, _flag(shape, "occluded", frame), attributes)


def _upright(box: tuple[float, float, float, float], angle: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = box
    x, y, a, b = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    half_width, half_height = a * cosine + b * sine, a * sine + b * cosine
    return (x - half_width, y - half_height, x + half_width, y + half_height)


def _attribute(element: Element, key: str) -> str:
    value = element.get(key)
    if value is None:
        raise BadItem("missing_key", f'<{element.tag}> lacks "{key}"')
    return value


def _frame_number(shape: Element) -> int:
    text = _attribute(shape, "frame").strip()
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise BadItem("wrong_type", f"frame must be a whole number from 0, got {shown(text)}")
    return int(text)


def _coordinate(shape: Element, key: str, frame: int) -> float:
    text = _attribute(shape, key)
    try:
        value = float(text)
    except ValueError:
        raise BadItem("wrong_type", f"frame {frame}: {key} must be a number, got {shown(text)}") from None
    if not math.isfinite(value):
        raise BadItem("not_finite", f"frame {frame}: {key} must be finite, got {text}")
    return value


def _flag(shape: Element, key: str, frame: int) -> bool:
    text = shape.get(key, "0")
    if text not in ("0", "1"):
        raise BadItem("wrong_type", f"frame {frame}: {key} must be 0 or 1, got {shown(text)}")
    return text == "1"


def _value(text: str, input_type: str) -> Any:
    text = text.strip()
    if text in ("true", "false") and input_type in ("checkbox", ""):
        return text == "true"
    if input_type == "number" and re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    return text
