"""Datumaro's own format: annotations/<subset>.json."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from curate.annotations import Annotation, Frame
from curate.errors import FormatError
from curate.formats._carry import (
    CARRY_KEY,
    carried,
    carried_json,
    round_coordinate,
    with_carried,
    written_box,
)
from curate.formats._masks import parse_bbox, parse_segmentation, ring_of, single_ring, valid_polygons
from curate.formats._peek import peek_json
from curate.formats._sources import files_under, load_json
from curate.formats._values import (
    as_flag,
    as_id,
    as_number,
    as_text,
    clean_json,
    comparable_name,
    id_number,
    is_id_number,
    required,
    shown,
)
from curate.formats._write import Stems, json_list, write_folder
from curate.formats.labelset import Content, FileLabel, LabelExport, LabelSet, Picture
from curate.formats.report import BadItem, ImportReport
from curate.geometry.polygons import to_rle
from curate.geometry.rle import rle_to_coco

__all__ = ["is_datumaro", "read_datumaro", "write_datumaro"]

_FLAGS = ("occluded", "difficult", "ignore")
_NATIVE = (*_FLAGS, "iscrowd", "track_id", "score")
_OWN = (*_FLAGS, "is_crowd", "track_id", "score", CARRY_KEY)


def is_datumaro(path: Path) -> bool:
    """JSON with "categories" as an object and "items"."""
    try:
        files = _json_files(path)
        data = peek_json(files[0]) if files else None
        return isinstance(data, dict) and isinstance(data.get("categories"), dict) and "items" in data
    except (FormatError, OSError):
        return False


def read_datumaro(path: Path, report: ImportReport) -> LabelSet:
    """Read Datumaro's JSON, all subsets.

    Boxes, polygons and masks are read; other kinds are left out and reported (other_shape). A box and polygons of
    one label in one group are one object. Kinds of bad items: wrong_type, missing_key, not_finite, duplicate_id,
    unknown_category, box_size, polygon, rle.

    Args:
        path: The dataset's folder, or one file of annotations/.
        report: Policy and report.

    Raises:
        FormatError: No such file, or a bad item under the policy "fail".
    """
    files = _json_files(path)
    if not files:
        raise FormatError("expected annotations/*.json of Datumaro", file=path)
    report.file = str(path)
    pictures: dict[str, Picture] = {}
    labels: list[FileLabel] = []
    for file in files:
        data = load_json(file, what="a Datumaro file")
        if not isinstance(data, dict) or not isinstance(data.get("items"), list):
            raise FormatError('expected an object with "categories" and "items" of Datumaro', file=file)
        names = _names(data, file)
        for number, entry in enumerate(data["items"]):
            _read_item(entry, f"{file.stem}, items[{number}]", names, pictures, labels, report)
    return LabelSet(tuple(pictures.values()), tuple(_distinct(labels)), str(path))


def _json_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    inner = path / "annotations"
    return files_under(inner if inner.is_dir() else path, {".json"})


def _names(data: Mapping[str, Any], file: Path) -> list[str]:
    categories = data.get("categories")
    label = categories.get("label") if isinstance(categories, dict) else None
    entries = label.get("labels") if isinstance(label, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise FormatError('expected class names under "categories", "label", "labels"', file=file)
    try:
        return [as_text(required(entry, "name"), "a class name") for entry in entries]
    except BadItem as bad:
        raise FormatError(bad.message, file=file, item="categories") from bad


def _read_item(
    entry: Any,
    item: str,
    names: Sequence[str],
    pictures: dict[str, Picture],
    labels: list[FileLabel],
    report: ImportReport,
) -> None:
    try:
        picture = _picture(entry, item)
        if picture.key in pictures:
            raise BadItem("duplicate_id", f"there are two items with the id {picture.key}")
        shapes = entry.get("annotations") or []
        if not isinstance(shapes, list):
            raise BadItem("wrong_type", f"annotations must be a list, got {shown(shapes)}")
    except BadItem as bad:
        report.reject(item, bad)
        return
    pictures[picture.key] = picture
    found: list[tuple[FileLabel, Any]] = []
    for number, shape in enumerate(shapes):
        where = f"{picture.item}, annotation {number}"
        try:
            label = _label(shape, picture.key, f"{picture.key}/{number}", names, where, report)
            if label is not None:
                found.append((label, shape.get("group")))
        except BadItem as bad:
            report.reject(where, bad)
    labels += _grouped(found)


def _picture(entry: Any, item: str) -> Picture:
    if not isinstance(entry, dict):
        raise BadItem("wrong_type", f"expected an object, got {shown(entry)}")
    key = as_text(required(entry, "id"), "id")
    image = entry.get("image") or entry.get("media") or {}
    if not isinstance(image, dict):
        raise BadItem("wrong_type", f"image must be an object, got {shown(image)}")
    names = []
    if image.get("path"):
        names.append(comparable_name(as_text(image["path"], "path")))
    names.append(comparable_name(key))
    size = image.get("size")
    sides: list[int | None] = [None, None]
    if size is not None:
        if not isinstance(size, list) or len(size) != 2:
            raise BadItem("wrong_type", f"size must be [height, width], got {shown(size)}")
        numbers = [as_number(side, "size") for side in size]
        sides = [int(side) if 0 < side < 2**31 else None for side in numbers]
    return Picture(key, tuple(names), None, sides[1], sides[0], f"item {key}")


def _label(
    shape: Any, picture: str, label_id: str, names: Sequence[str], item: str, report: ImportReport
) -> FileLabel | None:
    if not isinstance(shape, dict):
        raise BadItem("wrong_type", f"expected an object, got {shown(shape)}")
    kind = shape.get("type")
    if kind not in ("bbox", "polygon", "mask"):
        report.leave_out(item, "other_shape", f"only boxes, polygons and masks are read, got {shown(kind)}")
        return None
    number = required(shape, "label_id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(names):
        raise BadItem("unknown_category", f"label_id {shown(number)} is not among the {len(names)} classes")
    box = parse_bbox(required(shape, "bbox")) if kind == "bbox" else None
    if kind == "polygon":
        mask: Any = valid_polygons([ring_of(required(shape, "points"))], item, report)
    elif kind == "mask":
        rle = required(shape, "rle")
        if not isinstance(rle, dict):
            raise BadItem("wrong_type", f"rle must be an object, got {shown(rle)}")
        mask = parse_segmentation(rle, item, report)
    else:
        mask = None
    attributes = shape.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise BadItem("wrong_type", f"attributes must be an object, got {shown(attributes)}")
    score, track = attributes.get("score"), attributes.get("track_id")
    is_score = isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
    own_id = shape.get("id")
    rest = {key: value for key, value in attributes.items() if key not in _OWN}
    if score is not None and not is_score:
        rest["score"] = score
    label = FileLabel(
        label_id if own_id in (None, 0) else str(as_id(own_id, "id")),
        picture,
        names[number],
        box,
        mask,
        score=float(score) if is_score and score is not None else None,
        track_id=None if track is None else str(as_id(track, "track_id")),
        iscrowd=as_flag(attributes.get("is_crowd", 0), "is_crowd"),
        attributes=clean_json(rest, item),
        item=item,
        occluded=as_flag(attributes.get("occluded", 0), "occluded"),
        difficult=as_flag(attributes.get("difficult", 0), "difficult"),
        ignore=as_flag(attributes.get("ignore", 0), "ignore"),
    )
    return with_carried(label, attributes.get(CARRY_KEY))


def _grouped(found: Sequence[tuple[FileLabel, Any]]) -> list[FileLabel]:
    """The box and the polygons of one label in one group become one label."""
    result: list[FileLabel] = []
    places: dict[tuple[str, int], int] = {}
    for label, group in found:
        if not isinstance(group, int) or isinstance(group, bool) or group == 0:
            result.append(label)
            continue
        place = places.setdefault((label.label, group), len(result))
        if place == len(result):
            result.append(label)
            continue
        first = result[place]
        if label.mask is None and first.bbox_xyxy is None:
            result[place] = replace(first, bbox_xyxy=label.bbox_xyxy)
        elif isinstance(label.mask, tuple) and (first.mask is None or isinstance(first.mask, tuple)):
            result[place] = replace(first, mask=(first.mask or ()) + label.mask)
        elif label.mask is not None and first.mask is None:
            result[place] = replace(first, mask=label.mask)
        else:
            result.append(label)
    return result


def _distinct(labels: Sequence[FileLabel]) -> list[FileLabel]:
    """Many tools number annotations anew on every item: an id seen before gets its item before it."""
    seen: set[str] = set()
    result = []
    for label in labels:
        if label.id in seen:
            label = replace(label, id=f"{label.picture}:{label.id}")
        seen.add(label.id)
        result.append(label)
    return result


def write_datumaro(path: Path, export: LabelExport) -> None:
    """Write annotations/default.json. A mask of one ring without holes is a polygon, any other a mask.

    Raises:
        DataError: A class is not among the classes.
        ProjectError: There is something at `path`, or it cannot be written.
    """
    write_folder(path, _files(export))


def _files(export: LabelExport) -> Iterator[tuple[str, Content]]:
    for frame in export.frames():
        image = export.image(frame)
        if image is not None:
            yield f"images/default/{frame.name}", image
    yield "annotations/default.json", _default_json(export)


def _default_json(export: LabelExport) -> Iterator[bytes]:
    head = {
        "dm_format_version": "1.0",
        "media_type": 2,
        "infos": {},
        "categories": {
            "label": {
                "labels": [{"name": name, "parent": "", "attributes": []} for name in export.classes],
                "label_groups": [],
                "attributes": [],
            }
        },
    }
    text = json.dumps(head, separators=(",", ":"), ensure_ascii=True)
    yield f'{text[:-1]},"items":'.encode("ascii")
    yield from json_list(_items(export))
    yield b"}\n"


def _items(export: LabelExport) -> Iterator[dict[str, Any]]:
    numbers = {name: number for number, name in enumerate(export.classes)}
    stems = Stems()
    for frame, labels in export.by_frame():
        yield {
            "id": stems.stem(frame),
            "annotations": [
                _shape(label, frame, export.own_id(label), number, numbers)
                for number, label in enumerate(labels, start=1)
            ],
            "attr": {},
            "image": {"path": frame.name, "size": [frame.height, frame.width]},
        }


def _shape(
    label: Annotation, frame: Frame, own_id: str, number: int, numbers: Mapping[str, int]
) -> dict[str, Any]:
    is_number = is_id_number(own_id) and own_id != "0"
    native = (*_NATIVE, "id") if is_number else _NATIVE
    own, rest = carried(
        label,
        own_id,
        native=native,
        plain=lambda key, value: _plain(key, value),
        box_is_written=not label.mask,
    )
    attributes: dict[str, Any] = {**own, **{name: True for name in _FLAGS if getattr(label, name)}}
    if label.iscrowd:
        attributes["is_crowd"] = True
    if label.track_id is not None:
        attributes["track_id"] = id_number(label.track_id)
    if label.score is not None:
        attributes["score"] = label.score
    if rest:
        attributes[CARRY_KEY] = carried_json(rest)
    shape: dict[str, Any] = {
        "id": int(own_id) if is_number else number,
        "attributes": attributes,
        "group": 0,
        "label_id": numbers[label.label],
        "z_order": 0,
    }
    ring = single_ring(label.mask)
    if not label.mask:
        x1, y1, x2, y2 = written_box(label.bbox_xyxy)
        sides = [round_coordinate(value) for value in (x1, y1, x2 - x1, y2 - y1)]
        return {"type": "bbox", **shape, "bbox": sides}
    if ring is not None:
        points = [round_coordinate(value) for point in ring for value in point]
        return {"type": "polygon", **shape, "points": points}
    return {"type": "mask", **shape, "rle": rle_to_coco(to_rle(label.mask, frame.height, frame.width))}


def _plain(key: str, value: Any) -> bool:
    return key not in _OWN and (value is None or isinstance(value, bool | int | float | str))
