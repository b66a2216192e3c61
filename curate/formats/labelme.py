"""LabelMe (labelme's JSON): one file a picture with rectangles, polygons and masks."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from curate.annotations import Annotation, Frame
from curate.errors import FormatError, ImageError
from curate.formats._carry import CARRY_KEY, carried, round_coordinate, with_carried, written_box
from curate.formats._items import MAX_PIXELS
from curate.formats._masks import crop_mask, single_ring, tight_rows, valid_polygons
from curate.formats._peek import peek_json
from curate.formats._sources import files_under, load_json
from curate.formats._values import as_number, as_text, clean_json, comparable_name, required, shown
from curate.formats._write import FilePerFrame, write_folder
from curate.formats.images import decode_image
from curate.formats.labelset import Content, FileLabel, LabelExport, LabelSet, Picture
from curate.formats.report import BadItem, ImportReport
from curate.geometry import Mask, Rle
from curate.geometry.polygons import to_mask
from curate.types import BoxTuple, Point

__all__ = ["is_labelme", "read_labelme", "write_labelme"]

_FLAGS = ("occluded", "difficult", "ignore", "iscrowd")
_NATIVE = _FLAGS
_SHAPE_KEYS = ("label", "points", "group_id", "shape_type", "flags", "mask", CARRY_KEY)


def is_labelme(path: Path) -> bool:
    """JSON files with "shapes" and "imagePath"."""
    try:
        files = _json_files(path)
        data = peek_json(files[0]) if files else None
        return isinstance(data, dict) and isinstance(data.get("shapes"), list) and "imagePath" in data
    except (FormatError, OSError):
        return False


def read_labelme(path: Path, report: ImportReport) -> LabelSet:
    """Read labelme's files.

    Corners of rectangles and polygons are points in continuous coordinates, as labelme draws them; a mask's corners
    are its first and last pixel. Polygons of one label and group are the parts of one object. Circles become their
    box; points and lines are left out and reported (other_shape). Kinds of bad items: no_labelme, wrong_type,
    missing_key, not_finite, box_size, polygon, rle.

    Args:
        path: A folder or one file.
        report: Policy and report.

    Raises:
        FormatError: There is no JSON file, or a bad item under the policy "fail".
    """
    files = _json_files(path)
    if not files:
        raise FormatError("expected JSON files of labelme", file=path)
    folder = path if path.is_dir() else path.parent
    report.file = str(path)
    pictures: list[Picture] = []
    labels: list[FileLabel] = []
    for file in files:
        item = file.relative_to(folder).as_posix()
        try:
            data = load_json(file, what="a labelme file")
            picture = _picture(data, item)
        except (BadItem, FormatError) as error:
            report.reject(item, BadItem(getattr(error, "kind", "no_labelme"), error.message))
            continue
        pictures.append(picture)
        found: list[tuple[FileLabel, int | None]] = []
        for number, shape in enumerate(data["shapes"], start=1):
            where = f"{item}, shape {number}"
            try:
                label = _label(shape, picture, f"{picture.key}/{number}", where, report)
                if label is not None:
                    found.append((label, shape.get("group_id")))
            except BadItem as bad:
                report.reject(where, bad)
        labels += _joined(found)
    return LabelSet(tuple(pictures), tuple(labels), str(path))


def _json_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else files_under(path, {".json"})


def _picture(data: Any, item: str) -> Picture:
    if not isinstance(data, dict) or not isinstance(data.get("shapes"), list):
        raise BadItem("no_labelme", 'expected an object with "shapes" and "imagePath" of labelme')
    name = comparable_name(as_text(required(data, "imagePath"), "imagePath"))
    stem = PurePosixPath(item).with_suffix("").as_posix()
    sides: list[int | None] = []
    for key in ("imageWidth", "imageHeight"):
        value = data.get(key)
        number = None if value is None else as_number(value, key)
        sides.append(None if number is None or not 0 < number < 2**31 else int(number))
    # The picture lies beside its file: what folder it is in, the file's own place says.
    beside = (PurePosixPath(item).parent / name).as_posix()
    return Picture(stem, (beside, name, stem), None, sides[0], sides[1], item)


def _label(shape: Any, picture: Picture, label_id: str, item: str, report: ImportReport) -> FileLabel | None:
    if not isinstance(shape, dict):
        raise BadItem("wrong_type", f"expected an object, got {shown(shape)}")
    kind = shape.get("shape_type") or "polygon"
    if kind not in ("rectangle", "polygon", "mask", "circle"):
        report.leave_out(item, "other_shape", f"only areas are read, this is a {shown(kind)}")
        return None
    points = _points(required(shape, "points"))
    box: BoxTuple | None = None
    mask: Mask | None = None
    if kind == "polygon":
        if len(points) > 1 and points[0] == points[-1]:
            points = points[:-1]
        if len(points) < 3:
            raise BadItem("polygon", f"a polygon needs at least three points, got {len(points)}")
        mask = valid_polygons([tuple(points)], item, report)
    elif len(points) < 2:
        raise BadItem("wrong_type", f"a {kind} needs two points, got {len(points)}")
    elif kind == "mask":
        mask = _read_mask(shape, points, picture)
    else:
        box = _box(points, kind)
    flags = shape.get("flags") or {}
    if not isinstance(flags, dict):
        raise BadItem("wrong_type", f"flags must be an object, got {shown(flags)}")
    others = {key: value for key, value in flags.items() if key not in _FLAGS}
    more = {key: value for key, value in shape.items() if key not in _SHAPE_KEYS and value not in (None, "")}
    label = FileLabel(
        label_id,
        picture.key,
        as_text(required(shape, "label"), "label"),
        box,
        mask,
        attributes=clean_json({**others, **more}, item),
        item=item,
        occluded=flags.get("occluded") is True,
        difficult=flags.get("difficult") is True,
        ignore=flags.get("ignore") is True,
        iscrowd=flags.get("iscrowd") is True,
    )
    return with_carried(label, shape.get(CARRY_KEY))


def _points(value: Any) -> list[Point]:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise BadItem("wrong_type", f"points must be a list of [x, y], got {shown(value)}")
    return [(as_number(x, "points"), as_number(y, "points")) for x, y in value]


def _box(points: list[Point], kind: str) -> BoxTuple:
    (x1, y1), (x2, y2) = points[0], points[1]
    if kind == "circle":
        radius = float(np.hypot(x2 - x1, y2 - y1))
        box = (x1 - radius, y1 - radius, x1 + radius, y1 + radius)
    else:
        box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    if box[2] <= box[0] or box[3] <= box[1]:
        raise BadItem("box_size", f"a {kind} needs a width and a height above 0, got {points[:2]}")
    return box


def _read_mask(shape: Mapping[str, Any], points: list[Point], picture: Picture) -> Rle:
    text = required(dict(shape), "mask")
    if picture.width is None or picture.height is None:
        raise BadItem("missing_key", 'a file with masks needs "imageWidth" and "imageHeight"')
    if picture.width * picture.height > MAX_PIXELS:
        raise BadItem("rle", f"a mask of more than {MAX_PIXELS:,} pixels")
    try:
        data = base64.b64decode(as_text(text, "mask"), validate=True)
        rows = decode_image(data, max_pixels=picture.width * picture.height, name="the mask")[..., 0] > 0
    except (binascii.Error, ValueError, ImageError) as error:
        raise BadItem("rle", f"the mask is no PNG in base64 that can be read ({error})") from error
    left, top = round(points[0][0]), round(points[0][1])
    return crop_mask(rows, left, top, picture.width, picture.height)


def _joined(found: Sequence[tuple[FileLabel, Any]]) -> list[FileLabel]:
    """Polygons of one label and group become one label with several parts."""
    result: list[FileLabel] = []
    places: dict[tuple[str, int], int] = {}
    for label, group in found:
        is_group = isinstance(group, int) and not isinstance(group, bool)
        if not is_group or not isinstance(label.mask, tuple):
            result.append(label)
            continue
        place = places.setdefault((label.label, group), len(result))
        if place == len(result):
            result.append(label)
        else:
            first = result[place]
            before = first.mask if isinstance(first.mask, tuple) else ()
            result[place] = replace(first, mask=before + label.mask)
    return result


def write_labelme(path: Path, export: LabelExport) -> None:
    """Write <name>.json for every frame, without image data.

    A mask of one ring without holes is a polygon, any other a mask. Flags become labelme's flags; what it has no
    place for goes into a key "crossguard" of the shape, which labelme keeps.

    Raises:
        DataError: Two frames share a file.
        ProjectError: There is something at `path`, or it cannot be written.
    """
    write_folder(path, _files(export))


def _files(export: LabelExport) -> Iterator[tuple[str, Content]]:
    files = FilePerFrame(export, ".json")
    for frame, labels in export.by_frame():
        data: dict[str, Any] = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [_shape(label, frame, export.own_id(label)) for label in labels],
            "imagePath": PurePosixPath(frame.name).name,
            "imageData": None,
            "imageHeight": frame.height,
            "imageWidth": frame.width,
        }
        text = json.dumps(data, indent=2, ensure_ascii=True, allow_nan=False)
        yield files.path(frame), (text + "\n").encode("ascii")
        image = export.image(frame)
        if image is not None:
            yield frame.name, image


def _shape(label: Annotation, frame: Frame, own_id: str) -> dict[str, Any]:
    own, rest = carried(
        label, own_id, native=_NATIVE, plain=lambda key, value: False, box_is_written=not label.mask
    )
    shape: dict[str, Any] = {"label": label.label, **_geometry(label, frame)}
    shape["flags"] = {name: True for name in _FLAGS if getattr(label, name)} | own
    shape["group_id"] = None
    shape["description"] = ""
    shape[CARRY_KEY] = rest
    return shape


def _geometry(label: Annotation, frame: Frame) -> dict[str, Any]:
    ring = single_ring(label.mask)
    x1, y1, x2, y2 = written_box(label.bbox_xyxy)
    if not label.mask:
        return {"points": [[x1, y1], [x2, y2]], "shape_type": "rectangle", "mask": None}
    if ring is not None:
        points = [[round_coordinate(x), round_coordinate(y)] for x, y in ring]
        return {"points": points, "shape_type": "polygon", "mask": None}
    rows, left, top = tight_rows(to_mask(label.mask, frame.height, frame.width))
    buffer = io.BytesIO()
    Image.fromarray(rows.astype(np.uint8) * 255).save(buffer, "PNG")
    last = [left + rows.shape[1] - 1, top + rows.shape[0] - 1]
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"points": [[left, top], last], "shape_type": "mask", "mask": text}
