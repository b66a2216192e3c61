"""CVAT 1.1 "for images": one XML file with boxes, polygons and masks picture by picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

import numpy as np

from curate.annotations import Annotation, Frame
from curate.errors import FormatError
from curate.files import write_atomically
from curate.formats._carry import CARRY_KEY, carried, carried_json, with_carried, written_box
from curate.formats._cvat_read import (
    ROTATED_NOTE,
    attribute_values,
    declared_labels,
    flag,
    other_shapes,
    upright,
)
from curate.formats._cvat_write import declare_labels, is_plain, typed_text
from curate.formats._items import MAX_PIXELS
from curate.formats._masks import crop_mask, single_ring, tight_rows, valid_polygons
from curate.formats._peek import peek_xml
from curate.formats._sources import load_xml, single_file
from curate.formats._values import as_text, safe_file_name, shown
from curate.formats._xml import (
    add_text,
    attribute,
    parse_points,
    points_text,
    to_number,
    value_text,
    xml_pieces,
)
from curate.formats.labelset import FileLabel, LabelExport, LabelSet, Picture
from curate.formats.report import BadItem, ImportReport
from curate.geometry import Mask, Rle
from curate.geometry.polygons import to_mask
from curate.types import BoxTuple, MaskArray

__all__ = ["is_cvat_images", "read_cvat_images", "write_cvat_images"]

_NATIVE = ("occluded",)
_SHAPES = ("box", "polygon", "mask")


def is_cvat_images(path: Path) -> bool:
    """An XML file of <annotations> with <image>."""
    try:
        file = _file(path)
        root = peek_xml(file)
        return root.tag == "annotations" and root.find("track") is None and root.find("image") is not None
    except (FormatError, OSError):
        return False


def read_cvat_images(path: Path, report: ImportReport) -> LabelSet:
    """Read a "CVAT for images 1.1" file.

    Shapes other than boxes, polygons and masks are left out and reported (other_shape) under any policy; a rotated
    box becomes the upright box around it (rotated). Kinds of bad items: missing_key, wrong_type, not_finite,
    unsafe_path, duplicate_id, box_size, polygon, rle.

    Args:
        path: The XML file, or a folder with annotations.xml.
        report: Policy and report.

    Raises:
        FormatError: Not such a file, or a bad item under the policy "fail".
    """
    file = _file(path)
    report.file = str(path)
    root = load_xml(file, what="a CVAT XML file")
    if root.tag != "annotations" or root.find("track") is not None:
        raise FormatError("expected <annotations> with <image> of CVAT", file=file)
    types = declared_labels(root)
    pictures: list[Picture] = []
    labels: list[FileLabel] = []
    seen: set[str] = set()
    for place, element in enumerate(root.findall("image")):
        item = f"image {element.get('id', f'number {place}')}"
        try:
            picture = _picture(element, item)
            if picture.key in seen:
                raise BadItem("duplicate_id", f"there are two images with the id {picture.key}")
        except BadItem as bad:
            report.reject(item, bad)
            continue
        seen.add(picture.key)
        pictures.append(picture)
        for number, shape in enumerate(
            (s for s in element if s.tag in _SHAPES or s.tag in (*other_shapes, "skeleton")), 1
        ):
            where = f"{item}, {shape.tag} {number}"
            if shape.tag not in _SHAPES:
                report.leave_out(where, "other_shape", "only boxes, polygons and masks are read")
                continue
            try:
                labels.append(_label(shape, picture, f"{picture.key}/{number}", types, where, report))
            except BadItem as bad:
                report.reject(where, bad)
    return LabelSet(tuple(pictures), tuple(labels), str(path))


def _file(path: Path) -> Path:
    return single_file(path, ".xml")


def _picture(element: Element, item: str) -> Picture:
    sides = []
    for key in ("width", "height"):
        text = element.get(key)
        if text is not None and not re.fullmatch(r"[1-9][0-9]{0,8}", text.strip()):
            raise BadItem("wrong_type", f"{key} must be a whole number of pixels above 0, got {shown(text)}")
        sides.append(None if text is None else int(text))
    name = safe_file_name(attribute(element, "name"))
    key = as_text(element.get("id") or name, "id")
    return Picture(key, (name,), width=sides[0], height=sides[1], item=item)


def _label(
    shape: Element,
    picture: Picture,
    label_id: str,
    types: Mapping[str, Mapping[str, str]],
    item: str,
    report: ImportReport,
) -> FileLabel:
    name = as_text(attribute(shape, "label"), "label")
    box: BoxTuple | None = None
    mask: Mask | None = None
    if shape.tag == "box":
        box = _box(shape, item, report)
    elif shape.tag == "polygon":
        mask = valid_polygons([parse_points(attribute(shape, "points"))], item, report)
    else:
        mask = _mask(shape, picture)
    attributes = attribute_values(shape, types.get(name, {}))
    carried_value = attributes.pop(CARRY_KEY, None)
    label = FileLabel(
        label_id,
        picture.key,
        name,
        box,
        mask,
        occluded=flag(shape, "occluded"),
        attributes=attributes,
        item=item,
    )
    return with_carried(label, carried_value)


def _box(shape: Element, item: str, report: ImportReport) -> BoxTuple:
    x1, y1, x2, y2 = (to_number(attribute(shape, key), key) for key in ("xtl", "ytl", "xbr", "ybr"))
    if x2 <= x1 or y2 <= y1:
        raise BadItem("box_size", f"a box needs xbr > xtl and ybr > ytl, got {[x1, y1, x2, y2]}")
    rotated = upright((x1, y1, x2, y2), to_number(shape.get("rotation", "0"), "rotation"))
    if rotated is None:
        return (x1, y1, x2, y2)
    report.note(item, "rotated", ROTATED_NOTE)
    return rotated


def _mask(shape: Element, picture: Picture) -> Rle:
    """CVAT's mask: run lengths row by row inside a rectangle, starting with zeros."""
    left, top, width, height = (
        _whole(attribute(shape, key), key) for key in ("left", "top", "width", "height")
    )
    if picture.width is None or picture.height is None:
        raise BadItem("missing_key", 'an <image> with a mask needs "width" and "height"')
    if max(width * height, picture.width * picture.height) > MAX_PIXELS:
        raise BadItem("rle", f"a mask of more than {MAX_PIXELS:,} pixels")
    text = attribute(shape, "rle")
    runs = [_whole(word, "rle") for word in text.split(",")] if text.strip() else []
    if sum(runs) != width * height or width * height == 0:
        raise BadItem("rle", f"run lengths must sum to {width} x {height}, got {sum(runs)}")
    values = np.arange(len(runs)) % 2 == 1
    rows = np.repeat(values, runs).reshape(height, width)
    return crop_mask(rows, left, top, picture.width, picture.height)


def _whole(text: str, what: str) -> int:
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", text):
        raise BadItem("wrong_type", f"{what} must be a whole number from 0, got {shown(text)}")
    return int(text)


def write_cvat_images(path: Path, export: LabelExport) -> None:
    """Write a "CVAT for images 1.1" file. A mask of one ring without holes is a polygon, any other a mask.

    Raises:
        DataError: XML cannot hold a class or frame name.
        ProjectError: The file cannot be written; what was there before is untouched.
    """
    write_atomically(path, _pieces(export), make_folder=False)


def _pieces(export: LabelExport) -> Iterator[bytes]:
    root = Element("annotations")
    add_text(root, "version", "1.1")
    task = SubElement(SubElement(root, "meta"), "task")
    add_text(task, "size", sum(1 for _ in export.frames()))
    add_text(task, "mode", "annotation")
    types = declare_labels(task, export)
    images = (
        _image(number, frame, labels, export, types)
        for number, (frame, labels) in enumerate(export.by_frame())
    )
    yield from xml_pieces(root, images)


def _image(
    number: int,
    frame: Frame,
    labels: Sequence[Annotation],
    export: LabelExport,
    types: Mapping[str, Mapping[str, str]],
) -> Element:
    image = Element(
        "image", id=str(number), name=_name(frame), width=str(frame.width), height=str(frame.height)
    )
    for label in labels:
        _write_shape(image, label, frame, export.own_id(label), types)
    return image


def _name(frame: Frame) -> str:
    holder = add_text(Element("image"), "name", frame.name)
    return holder.text or ""


def _write_shape(
    image: Element, label: Annotation, frame: Frame, own_id: str, types: Mapping[str, Mapping[str, str]]
) -> None:
    marks = {"label": label.label, "source": "manual", "occluded": str(int(label.occluded))}
    ring = single_ring(label.mask)
    if not label.mask:
        sides = zip(("xtl", "ytl", "xbr", "ybr"), map(value_text, written_box(label.bbox_xyxy)), strict=True)
        shape = SubElement(image, "box", {**marks, **dict(sides)})
    elif ring is not None:
        shape = SubElement(image, "polygon", {**marks, "points": points_text(ring)})
    else:
        shape = SubElement(
            image, "mask", {**marks, **_mask_marks(to_mask(label.mask, frame.height, frame.width))}
        )
    shape.set("z_order", "0")
    own, rest = carried(
        label,
        own_id,
        native=_NATIVE,
        plain=lambda key, value: is_plain(key, value, types[label.label]),
        box_is_written=not label.mask,
    )
    pairs = {key: typed_text(value) for key, value in own.items()} | {CARRY_KEY: carried_json(rest)}
    for key in sorted(pairs):
        entry = add_text(shape, "attribute", pairs[key])
        entry.set("name", key)


def _mask_marks(mask: MaskArray) -> dict[str, str]:
    rows, left, top = tight_rows(mask)
    flat = rows.ravel()
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1, [flat.size]])
    runs = [*([0] if flat[0] else []), *np.diff(bounds).tolist()]
    height, width = rows.shape
    sides = {"left": left, "top": top, "width": width, "height": height}
    return {"rle": ", ".join(map(str, runs)), **{key: str(value) for key, value in sides.items()}}
