"""Label Studio's JSON export: rectangles, polygons and brush masks of image tasks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from curate.annotations import Annotation, Frame
from curate.errors import FormatError
from curate.files import write_atomically
from curate.formats._brush import mask_to_brush, parse_brush
from curate.formats._carry import CARRY_KEY, carried, with_carried, written_box
from curate.formats._masks import single_ring, valid_polygons
from curate.formats._peek import peek_json
from curate.formats._sources import load_json, single_file
from curate.formats._values import as_id, as_number, as_text, clean_json, comparable_name, required, shown
from curate.formats._write import json_list
from curate.formats.labelset import FileLabel, LabelExport, LabelSet, Picture
from curate.formats.report import BadItem, ImportReport
from curate.geometry import Mask
from curate.geometry.polygons import to_mask
from curate.geometry.rle import mask_to_rle
from curate.types import BoxTuple

__all__ = ["is_labelstudio", "read_labelstudio", "write_labelstudio"]

_SHAPES = ("rectanglelabels", "polygonlabels", "brushlabels")
_OTHERS = ("ellipselabels", "keypointlabels", "videorectangle", "vectorlabels", "ellipse", "keypoint")
_NATIVE = ("id", "score")
_DIGITS = 8


def is_labelstudio(path: Path) -> bool:
    """A JSON list of tasks with "data"."""
    try:
        data = peek_json(single_file(path, ".json"))
        return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and "data" in data[0]
    except (FormatError, OSError):
        return False


def read_labelstudio(path: Path, report: ImportReport) -> LabelSet:
    """Read a Label Studio export ("JSON", not "JSON-MIN").

    Of several annotations of a task the one marked as ground truth counts, else the newest that was not cancelled;
    the others are left out and reported (other_annotator). A task with neither annotation nor prediction was not
    looked at. Choices for a region become its attributes. Turned rectangles become the upright box around them
    (rotated). Kinds of bad items: wrong_type, missing_key, not_finite, duplicate_id, box_size, polygon, rle.

    Args:
        path: The JSON file.
        report: Policy and report.

    Raises:
        FormatError: Not such a file, or a bad item under the policy "fail".
    """
    data = load_json(single_file(path, ".json"), what="a Label Studio file")
    if not isinstance(data, list):
        raise FormatError("expected a list of tasks of Label Studio", file=path)
    report.file = str(path)
    pictures: list[Picture] = []
    labels: list[FileLabel] = []
    seen: set[str] = set()
    for number, task in enumerate(data):
        item = f"task number {number}"
        try:
            if not isinstance(task, dict):
                raise BadItem("wrong_type", f"expected an object, got {shown(task)}")
            key = str(as_id(task.get("id", number), "id"))
            item = f"task {key}"
            if key in seen:
                raise BadItem("duplicate_id", f"there are two tasks with the id {key}")
            results = _results(task, item, report)
            if results is None:
                continue
            picture = Picture(key, _names(task), None, *_size(results), item)
        except BadItem as bad:
            report.reject(item, bad)
            continue
        seen.add(key)
        pictures.append(picture)
        labels += _read_results(results, picture, report)
    return LabelSet(tuple(pictures), tuple(_distinct(labels)), str(path))


def _results(task: Mapping[str, Any], item: str, report: ImportReport) -> list[Any] | None:
    """The results that count; None where nobody looked."""
    found: list[Mapping[str, Any]] = []
    for key in ("annotations", "completions"):
        entries = task.get(key) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise BadItem("wrong_type", f"{key} must be a list of objects, got {shown(entries)}")
        found += [entry for entry in entries if not entry.get("was_cancelled")]
    if not found:
        predictions = task.get("predictions") or []
        if not isinstance(predictions, list) or not all(isinstance(entry, dict) for entry in predictions):
            raise BadItem("wrong_type", f"predictions must be a list of objects, got {shown(predictions)}")
        found = predictions
    if not found:
        return None
    found = sorted(
        found, key=lambda entry: (entry.get("ground_truth") is True, str(entry.get("updated_at", "")))
    )
    if len(found) > 1:
        report.leave_out(item, "other_annotator", f"{len(found) - 1} other annotations of the task")
    result = found[-1].get("result", [])
    if not isinstance(result, list):
        raise BadItem("wrong_type", f"result must be a list, got {shown(result)}")
    return result


def _names(task: Mapping[str, Any]) -> tuple[str, ...]:
    """Names that the picture may have: of its URL, and of the file before it was uploaded."""
    data = required(dict(task), "data")
    if not isinstance(data, dict):
        raise BadItem("wrong_type", f"data must be an object, got {shown(data)}")
    texts = [data[key] for key in ("image", *sorted(map(str, data))) if isinstance(data.get(key), str)]
    if isinstance(task.get("file_upload"), str):
        texts.append(task["file_upload"])
    names: list[str] = []
    for text in texts:
        try:
            parts = urlsplit(text)
        except ValueError:
            continue
        local = parse_qs(parts.query).get("d", [])
        for path in [*local, unquote(parts.path)]:
            plain = re.sub(r"^.*/upload/[0-9]+/", "", path)
            for name in (plain, re.sub(r"^[0-9a-f]{8}-", "", plain)):
                try:
                    names.append(comparable_name(name))
                except BadItem:
                    continue
    if not names:
        raise BadItem("missing_key", 'there is no picture under "data"')
    return tuple(dict.fromkeys(names))


def _size(results: Sequence[Any]) -> tuple[int | None, int | None]:
    for result in results:
        if isinstance(result, dict) and result.get("type") in _SHAPES:
            sides = (result.get("original_width"), result.get("original_height"))
            if all(isinstance(side, int) and 0 < side < 2**31 for side in sides):
                return sides
    return None, None


def _read_results(results: Sequence[Any], picture: Picture, report: ImportReport) -> list[FileLabel]:
    choices: dict[str, dict[str, Any]] = {}
    for result in results:
        if isinstance(result, dict) and result.get("type") in ("choices", "textarea", "number", "rating"):
            value = result.get("value")
            if isinstance(value, dict) and isinstance(result.get("from_name"), str):
                content = value.get("text" if result["type"] == "textarea" else result["type"])
                content = content[0] if isinstance(content, list) and len(content) == 1 else content
                choices.setdefault(str(result.get("id")), {})[result["from_name"]] = content
    labels = []
    for number, result in enumerate(results, start=1):
        item = f"{picture.item}, result {number}"
        try:
            label = _label(result, picture, choices, number, item, report)
            if label is not None:
                labels.append(label)
        except BadItem as bad:
            report.reject(item, bad)
    return labels


def _label(
    result: Any,
    picture: Picture,
    choices: Mapping[str, Mapping[str, Any]],
    number: int,
    item: str,
    report: ImportReport,
) -> FileLabel | None:
    if not isinstance(result, dict):
        raise BadItem("wrong_type", f"expected an object, got {shown(result)}")
    kind = result.get("type")
    if kind in _OTHERS:
        report.leave_out(
            item, "other_shape", f"only rectangles, polygons and brushes are read, got {shown(kind)}"
        )
    if kind not in _SHAPES:
        return None
    value = required(result, "value")
    if not isinstance(value, dict):
        raise BadItem("wrong_type", f"value must be an object, got {shown(value)}")
    names = value.get(kind) or value.get("labels")
    if not isinstance(names, list) or not names:
        raise BadItem("missing_key", f'there is no class under "{kind}"')
    width, height = (_side(result, key) for key in ("original_width", "original_height"))
    box: BoxTuple | None = None
    mask: Mask | None = None
    if kind == "rectanglelabels":
        box = _box(value, width, height, item, report)
    elif kind == "polygonlabels":
        mask = valid_polygons([_ring(value, width, height)], item, report)
    else:
        if value.get("format") not in ("rle", None):
            raise BadItem("rle", f"a brush of the format {shown(value['format'])} cannot be read")
        mask = mask_to_rle(parse_brush(required(value, "rle"), width, height))
    own_id = result.get("id")
    score = result.get("score")
    is_score = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
    label = FileLabel(
        f"{picture.key}/{number}" if own_id is None else str(as_id(own_id, "id")),
        picture.key,
        as_text(names[0], "a class name"),
        box,
        mask,
        score=float(score) if is_score and score is not None else None,
        attributes=clean_json(dict(choices.get(str(own_id), {})), item),
        item=item,
    )
    meta = result.get("meta")
    return with_carried(label, meta.get(CARRY_KEY) if isinstance(meta, dict) else None)


def _side(result: Mapping[str, Any], key: str) -> int:
    side = as_number(required(dict(result), key), key)
    if side != int(side) or not 0 < side < 2**31:
        raise BadItem("wrong_type", f"{key} must be a whole number of pixels above 0, got {shown(side)}")
    return int(side)


def _box(value: Mapping[str, Any], width: int, height: int, item: str, report: ImportReport) -> BoxTuple:
    x, y, w, h = (as_number(required(dict(value), key), key) for key in ("x", "y", "width", "height"))
    x, y, w, h = _pixels(x, width), _pixels(y, height), _pixels(w, width), _pixels(h, height)
    if w <= 0 or h <= 0 or x + w <= x or y + h <= y:
        raise BadItem("box_size", f"a rectangle needs a width and a height above 0, got {w:g} and {h:g}")
    angle = math.radians(as_number(value.get("rotation") or 0, "rotation"))
    if math.sin(angle) == 0 and math.cos(angle) > 0:
        return (x, y, x + w, y + h)
    # Turned clockwise about its upper left corner.
    sine, cosine = math.sin(angle), math.cos(angle)
    xs = [x + a * cosine - b * sine for a, b in ((0, 0), (w, 0), (w, h), (0, h))]
    ys = [y + a * sine + b * cosine for a, b in ((0, 0), (w, 0), (w, h), (0, h))]
    report.note(item, "rotated", "the rotated box became the upright box around it")
    return (min(xs), min(ys), max(xs), max(ys))


def _ring(value: Mapping[str, Any], width: int, height: int) -> tuple[tuple[float, float], ...]:
    points = required(dict(value), "points")
    if not isinstance(points, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in points):
        raise BadItem("wrong_type", f"points must be a list of [x, y], got {shown(points)}")
    ring = [
        (_pixels(as_number(x, "points"), width), _pixels(as_number(y, "points"), height)) for x, y in points
    ]
    if len(ring) > 1 and ring[0] == ring[-1]:
        ring.pop()
    if len(ring) < 3:
        raise BadItem("polygon", f"a polygon needs at least three points, got {len(ring)}")
    return tuple(ring)


def _distinct(labels: Sequence[FileLabel]) -> list[FileLabel]:
    """Region ids are unique in a task only: one seen before gets its task before it."""
    seen: set[str] = set()
    result = []
    for label in labels:
        fresh = label if label.id not in seen else replace(label, id=f"{label.picture}:{label.id}")
        seen.add(fresh.id)
        result.append(fresh)
    return result


def write_labelstudio(path: Path, export: LabelExport) -> None:
    """Write tasks that Label Studio imports, with the names "label" and "image" for the controls.

    A mask of one ring without holes is a polygon, any other a brush; what has no place goes into a region's "meta".

    Raises:
        ProjectError: The file cannot be written; what was there before is untouched.
    """
    write_atomically(path, chain(json_list(_tasks(export)), (b"\n",)), make_folder=False)


def _tasks(export: LabelExport) -> Iterator[dict[str, Any]]:
    for number, (frame, labels) in enumerate(export.by_frame(), start=1):
        results = [_result(label, frame, export.own_id(label)) for label in labels]
        annotation = {"id": number, "was_cancelled": False, "ground_truth": False, "result": results}
        yield {"id": number, "data": {"image": frame.name}, "annotations": [annotation], "predictions": []}


def _result(label: Annotation, frame: Frame, own_id: str) -> dict[str, Any]:
    _, rest = carried(
        label, own_id, native=_NATIVE, plain=lambda key, value: False, box_is_written=not label.mask
    )
    kind, value = _value(label, frame)
    result: dict[str, Any] = {
        "id": own_id,
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "original_width": frame.width,
        "original_height": frame.height,
        "image_rotation": 0,
        "value": {**value, kind: [label.label]},
        "meta": {CARRY_KEY: rest},
    }
    if label.score is not None:
        result["score"] = label.score
    return result


def _value(label: Annotation, frame: Frame) -> tuple[str, dict[str, Any]]:
    ring = single_ring(label.mask)
    if not label.mask:
        x1, y1, x2, y2 = written_box(label.bbox_xyxy)
        sides = {
            "x": _percent(x1, frame.width),
            "y": _percent(y1, frame.height),
            "width": _percent(x2 - x1, frame.width),
            "height": _percent(y2 - y1, frame.height),
        }
        return "rectanglelabels", {**sides, "rotation": 0}
    if ring is not None:
        points = [[_percent(x, frame.width), _percent(y, frame.height)] for x, y in ring]
        return "polygonlabels", {"points": points, "closed": True}
    return "brushlabels", {
        "format": "rle",
        "rle": mask_to_brush(to_mask(label.mask, frame.height, frame.width)),
    }


def _pixels(percent: float, side: int) -> float:
    """To 0.0001 px: a third of 48 is 16 again."""
    return round(percent / 100 * side, 4) + 0.0


def _percent(value: float, side: int) -> float:
    return round(value / side * 100, _DIGITS) + 0.0
