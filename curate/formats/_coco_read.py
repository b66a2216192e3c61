"""Reading and checking COCO files of any size."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from curate.errors import FormatError
from curate.formats._coco_types import OWN_KEYS, CocoAnnotation, CocoCategory, CocoDataset, CocoImage
from curate.formats._json_stream import MAX_STREAM_BYTES, JsonList, JsonStream
from curate.formats._masks import parse_bbox, parse_segmentation
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

__all__ = ["CocoReader", "DoubledIds", "open_coco", "read_coco"]

_T = TypeVar("_T", CocoImage, CocoCategory, CocoAnnotation)
_LISTS = ("images", "annotations", "categories")


class DoubledIds:
    """Which annotation ids may be there twice, of any number: eight bytes an id are held while they are seen.

    Ids whose hashes differ are different; of the few whose hashes meet, `CocoReader` compares the ids themselves.
    """

    def __init__(self) -> None:
        self._hashes = array("q")

    def see(self, entry: Any) -> None:
        """Take note of an annotation of the file, good or bad."""
        if isinstance(entry, dict):
            own = entry.get("crossguard_id")
            try:
                value = as_id(entry.get("id") if own is None else own, "id")
            except BadItem:
                return
            self._hashes.append(hash(str(value)))

    def met(self) -> frozenset[int]:
        """The hashes that were seen more than once."""
        ordered = np.sort(np.frombuffer(self._hashes, np.int64))
        return frozenset(np.unique(ordered[1:][ordered[1:] == ordered[:-1]]).tolist())


class CocoReader:
    """A COCO file whose categories are read and whose images and annotations are runs.

    Args:
        outline: The file's value, with a run over the entries in place of each list.
        path: What messages call it.
        report: Policy and report.
        doubled: Hashes of the annotation ids (as text) that may be there twice.
        needs: Further keys that each annotation must have.

    Attributes:
        categories: Categories.
        images: A run over the good images, once.
        annotations: A run over the good annotations, once and after the images.
        info: As in the file.
        licenses: As in the file.
        extra: All other keys of the file.
        path: Where it is read.

    Raises:
        FormatError: Not a COCO object; or a category is bad, under the policy "fail".
    """

    def __init__(
        self,
        outline: Any,
        path: str | Path,
        report: ImportReport,
        doubled: Container[int],
        *,
        needs: tuple[str, ...] = (),
    ) -> None:
        if not isinstance(outline, Mapping):
            hint = (
                "a list alone is COCO's format for results: import it as coco-results"
                if _kind(outline) == "a list"
                else ""
            )
            raise FormatError(
                f'expected an object with "images", "annotations" and "categories", got {_kind(outline)}',
                file=path,
                hint=hint,
            )
        lists = {key: _list_under(outline, key, path) for key in _LISTS}
        rest = {key: value for key, value in outline.items() if key not in _LISTS}
        try:
            clean_json(rest, "the file's head")
        except BadItem as bad:
            raise FormatError(bad.message, file=path) from bad
        self.info, self.licenses = rest.pop("info", None) or {}, rest.pop("licenses", None) or []
        if not isinstance(self.info, dict) or not isinstance(self.licenses, list):
            raise FormatError('"info" must be an object and "licenses" a list', file=path)
        self.extra, self.path = rest, str(path)
        self._report, self._needs = report, needs
        self._images: set[int | str] = set()
        self.categories = tuple(
            _good(lists["categories"], "categories", "category", _category, report, set())
        )
        self._categories = {category.id for category in self.categories}
        self.images = self._read_images(lists["images"])
        self.annotations = _good(
            lists["annotations"], "annotations", "annotation", self._annotation, report, _Suspects(doubled)
        )

    def _read_images(self, entries: Iterable[Any]) -> Iterator[CocoImage]:
        names: dict[str, int | str] = {}
        for image in _good(entries, "images", "image", _image, self._report, set()):
            first = names.setdefault(image.file_name, image.id)
            if first != image.id:
                text = f'image {first} has the same file_name "{image.file_name}"'
                self._report.reject(f"image {image.id}", BadItem("duplicate_file_name", text))
                continue
            self._images.add(image.id)
            yield image

    def _annotation(self, entry: dict[str, Any], item: str) -> CocoAnnotation:
        for key in self._needs:
            required(entry, key)
        return _annotation(entry, item, self._images, self._categories, self._report)


def open_coco(path: Path, report: ImportReport, *, max_bytes: int = MAX_STREAM_BYTES) -> CocoReader:
    """Begin to read a COCO detection or segmentation file of any size; all of it is checked that needs no picture.

    Kinds of bad items: wrong_type, missing_key, not_finite, too_deep, duplicate_id, duplicate_file_name,
    unsafe_path, unknown_image, unknown_category, box_size, polygon, rle, no_shape. Self-crossing polygons are
    repaired and reported (polygon_repaired).

    Args:
        path: The file; it has to stay as it is until the annotations are read.
        report: Policy and report.
        max_bytes: Refuse larger files.

    Raises:
        FormatError: The file is missing, too large, not JSON, not a COCO object; or, under the policy "fail",
            a category is bad, later an image or annotation.
    """
    report.file = str(path)
    stream = JsonStream(path, what="a COCO file", max_bytes=max_bytes)
    doubled = DoubledIds()
    outline = stream.outline(lambda key, entry: doubled.see(entry) if key == "annotations" else None)
    if isinstance(outline, dict):
        outline = {
            key: stream.entries(value)
            if key in _LISTS and isinstance(value, JsonList)
            else stream.whole(value, f'"{key[:80]}"')
            for key, value in outline.items()
        }
    return CocoReader(outline, path, report, doubled.met())


def read_coco(
    path: str | Path, *, report: ImportReport | None = None, max_bytes: int = MAX_STREAM_BYTES
) -> CocoDataset:
    """Read all of a COCO file into memory: about 2 KB a label.

    Args:
        path: The file.
        report: Policy and report; default: fail at the first bad item.
        max_bytes: Refuse larger files.

    Raises:
        FormatError: See `open_coco`.
    """
    report = report if report is not None else ImportReport()
    found = open_coco(Path(path), report, max_bytes=max_bytes)
    images, annotations = tuple(found.images), tuple(found.annotations)
    licenses = tuple(found.licenses)
    return CocoDataset(images, annotations, found.categories, found.info, licenses, found.extra, found.path)


class _Suspects(set[int | str]):
    """A set that keeps only ids whose hashes are among those given."""

    def __init__(self, hashes: Container[int]) -> None:
        super().__init__()
        self._hashes = hashes

    def add(self, value: int | str) -> None:
        if hash(value) in self._hashes:
            super().add(value)


def _list_under(outline: Mapping[str, Any], key: str, path: str | Path) -> Iterable[Any]:
    entries = outline.get(key)
    if not isinstance(entries, Iterator | list):
        raise FormatError(f'expected a list under "{key}", got {_kind(entries)}', file=path)
    return entries


def _good(
    entries: Iterable[Any],
    key: str,
    noun: str,
    read: Callable[[dict[str, Any], str], _T],
    report: ImportReport,
    seen: set[int | str],
) -> Iterator[_T]:
    """The good entries of a top-level list; ids are unique."""
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
        except BadItem as bad:
            report.reject(item, bad)
        else:
            yield value


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
    names = {
        dict: "an object",
        list: "a list",
        JsonList: "a list",
        str: "a text",
        bool: "true or false",
        type(None): "nothing",
    }
    return names.get(type(value), "a number")
