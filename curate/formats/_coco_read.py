"""Reading and checking COCO files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from curate.errors import FormatError
from curate.formats._coco_types import OWN_KEYS, CocoAnnotation, CocoCategory, CocoDataset, CocoImage
from curate.formats._masks import parse_bbox, parse_segmentation
from curate.formats._sources import MAX_BYTES, load_json
from curate.formats._values import (
    as_flag,
    as_id,
    as_number,
    as_text,
    clean_json,
    required,
    safe_file_name,
    shown,
)
from curate.formats.report import BadItem, ImportReport

__all__ = ["MAX_BYTES", "parse_coco", "read_coco"]

_T = TypeVar("_T", CocoImage, CocoCategory, CocoAnnotation)


def read_coco(
    path: str | Path, *, report: ImportReport | None = None, max_bytes: int = MAX_BYTES
) -> CocoDataset:
    """Read a COCO detection or segmentation file and check all of it that needs no picture.

    Kinds of bad items: wrong_type, missing_key, not_finite, too_deep, duplicate_id, duplicate_file_name,
    unsafe_path, unknown_image, unknown_category, box_size, polygon, rle, no_shape. Self-crossing polygons are
    repaired and reported (polygon_repaired).

    Args:
        path: The file.
        report: Policy and report; default: fail at the first bad item.
        max_bytes: Refuse larger files.

    Raises:
        FormatError: The file is missing, too large, not JSON, not a COCO object; or, under the policy "fail",
            an item is bad.
    """
    report = report if report is not None else ImportReport()
    report.file = str(path)
    return parse_coco(load_json(Path(path), what="a COCO file", max_bytes=max_bytes), path, report)


def parse_coco(
    data: Any, path: str | Path, report: ImportReport, *, needs: tuple[str, ...] = ()
) -> CocoDataset:
    """Check a COCO object, as `read_coco` does.

    Args:
        data: The parsed JSON.
        path: What messages call it.
        report: Policy and report.
        needs: Further keys that each annotation must have.

    Raises:
        FormatError: See `read_coco`.
    """
    if not isinstance(data, dict):
        hint = (
            "a list alone is COCO's format for results: import it as coco-results"
            if isinstance(data, list)
            else ""
        )
        raise FormatError(
            f'expected an object with "images", "annotations" and "categories", got {_kind(data)}',
            file=path,
            hint=hint,
        )
    categories = _read_list(data, "categories", "category", _category, report)
    images = _read_list(data, "images", "image", _image, report)
    images = _distinct_names(images, report)
    known_images = {image.id for image in images}
    known_categories = {category.id for category in categories}

    def annotation(entry: dict[str, Any], item: str) -> CocoAnnotation:
        for key in needs:
            required(entry, key)
        return _annotation(entry, item, known_images, known_categories, report)

    annotations = _read_list(data, "annotations", "annotation", annotation, report)
    rest = {key: value for key, value in data.items() if key not in ("images", "annotations", "categories")}
    try:
        clean_json(rest, "the file's head")
    except BadItem as bad:
        raise FormatError(bad.message, file=path) from bad
    info, licenses = rest.pop("info", None) or {}, rest.pop("licenses", None) or []
    if not isinstance(info, dict) or not isinstance(licenses, list):
        raise FormatError('"info" must be an object and "licenses" a list', file=path)
    return CocoDataset(
        tuple(images), tuple(annotations), tuple(categories), info, tuple(licenses), rest, str(path)
    )


def _read_list(
    data: dict[str, Any],
    key: str,
    noun: str,
    read: Callable[[dict[str, Any], str], _T],
    report: ImportReport,
) -> list[_T]:
    """All good entries of a top-level list; ids are unique."""
    entries = data.get(key)
    if not isinstance(entries, list):
        raise FormatError(f'expected a list under "{key}", got {_kind(entries)}', file=report.file)
    result: list[_T] = []
    seen: set[int | str] = set()
    for number, entry in enumerate(entries):
        item = f"{key}[{number}]"
        try:
            if not isinstance(entry, dict):
                raise BadItem("wrong_type", f"expected an object, got {_kind(entry)}")
            raw_id = as_id(required(entry, "id"), "id")
            item = f"{noun} {raw_id}"
            value = read(entry, item)
            if value.id in seen:
                raise BadItem("duplicate_id", f"there are two {key} with the id {value.id}")
            seen.add(value.id)
            result.append(value)
        except BadItem as bad:
            report.reject(item, bad)
    return result


def _category(entry: dict[str, Any], item: str) -> CocoCategory:
    extra = {key: value for key, value in entry.items() if key not in ("id", "name")}
    return CocoCategory(
        as_id(entry["id"], "id"), as_text(required(entry, "name"), "name"), clean_json(extra, item)
    )


def _image(entry: dict[str, Any], item: str) -> CocoImage:
    known = ("id", "file_name", "width", "height")
    extra = {key: value for key, value in entry.items() if key not in known}
    sides = []
    for key in ("width", "height"):
        side = None if entry.get(key) is None else as_number(entry[key], key)
        if side is not None and not (0 < side < 2**31 and side == int(side)):
            raise BadItem("wrong_type", f"{key} must be a whole number of pixels above 0, got {side:g}")
        sides.append(None if side is None else int(side))
    name = safe_file_name(required(entry, "file_name"))
    return CocoImage(as_id(entry["id"], "id"), name, sides[0], sides[1], clean_json(extra, item))


def _distinct_names(images: list[CocoImage], report: ImportReport) -> list[CocoImage]:
    first: dict[str, CocoImage] = {}
    for image in images:
        if first.setdefault(image.file_name, image) is not image:
            bad = BadItem(
                "duplicate_file_name",
                f'image {first[image.file_name].id} has the same file_name "{image.file_name}"',
            )
            report.reject(f"image {image.id}", bad)
    return list(first.values())


def _annotation(
    entry: dict[str, Any],
    item: str,
    images: set[int | str],
    categories: set[int | str],
    report: ImportReport,
) -> CocoAnnotation:
    image_id = as_id(required(entry, "image_id"), "image_id")
    category_id = as_id(required(entry, "category_id"), "category_id")
    if image_id not in images:
        raise BadItem("unknown_image", f"image_id {image_id} is not among the file's (good) images")
    if category_id not in categories:
        raise BadItem(
            "unknown_category", f"category_id {category_id} is not among the file's (good) categories"
        )
    box = parse_bbox(entry.get("bbox"))
    mask = parse_segmentation(entry.get("segmentation"), item, report)
    if box is None and mask is None:
        raise BadItem("no_shape", 'there is neither a "bbox" nor a "segmentation"')
    extra = {key: value for key, value in entry.items() if key not in OWN_KEYS}
    more = entry.get("crossguard_attributes") or {}
    if not isinstance(more, dict):
        raise BadItem("wrong_type", f"crossguard_attributes must be an object, got {_kind(more)}")
    track, score = entry.get("track_id"), entry.get("score")
    own_id = entry.get("crossguard_id")
    return CocoAnnotation(
        id=str(as_id(entry["id"] if own_id is None else own_id, "id")),
        image_id=image_id,
        category_id=category_id,
        bbox_xyxy=box,
        mask=mask,
        iscrowd=as_flag(entry.get("iscrowd", 0), "iscrowd"),
        track_id=None if track is None else str(as_id(track, "track_id")),
        score=None if score is None else _score(score),
        occluded=as_flag(entry.get("occluded", 0), "occluded"),
        difficult=as_flag(entry.get("difficult", 0), "difficult"),
        ignore=as_flag(entry.get("ignore", 0), "ignore"),
        extra=clean_json({**extra, **more}, item),
    )


def _score(value: Any) -> float:
    score = as_number(value, "score")
    if not 0 <= score <= 1:
        raise BadItem("wrong_type", f"score must lie in 0..1, got {shown(value)}")
    return score


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
