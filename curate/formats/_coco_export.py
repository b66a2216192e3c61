"""Our annotations to COCO."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import shapely

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.formats._coco_ids import AnnotationNumbers
from curate.formats._coco_types import OWN_KEYS, CocoDataset
from curate.formats._values import id_number, is_id_number
from curate.formats.labelset import LabelExport
from curate.geometry import Mask, Polygon, Rle
from curate.geometry.polygons import (
    polygons_area,
    polygons_from_shapely,
    polygons_to_shapely,
    polygons_valid_reason,
    to_rle,
)
from curate.geometry.rle import rle_area, rle_to_coco
from curate.types import Ring

__all__ = ["annotations_to_coco", "export_to_coco"]


def annotations_to_coco(
    frames: Sequence[Frame],
    annotations: Sequence[Annotation],
    classes: Sequence[str],
    base: CocoDataset | None = None,
    *,
    id_prefix: str = "",
) -> dict[str, Any]:
    """A COCO object for `write_coco`: the same input gives the same output, down to the byte.

    Coordinates are rounded to 0.01 px. Polygons without holes become rings; with holes, or where rounding
    would make a ring cross itself beyond repair, the mask becomes a compressed RLE. `area` is the area of the
    mask, else of the box. Ids that are whole numbers come out as numbers; any other id goes under
    "crossguard_id", beside a number made from it. "score" and "track_id" are written where they are known,
    "occluded", "difficult" and "ignore" where they are true; other attributes as keys of their own.

    Args:
        frames: All frames to export; those without labels stay as empty images.
        annotations: Labels on those frames.
        classes: Class names in order; ids from 1 unless `base` knows the name.
        base: The dataset once imported: gives the ids of images and categories by name, and keeps its other
            categories, info, licenses and unknown keys.
        id_prefix: Taken off annotation ids again.

    Raises:
        DataError: Two frames have one name, two annotations one id, or an annotation lies on a frame or in a
            class that is not exported.
    """
    image_ids, images = _export_images(frames, base)
    category_ids, categories = _export_categories(classes, base)
    frame_of = {frame.id: frame for frame in frames}
    own_ids = [annotation.id.removeprefix(id_prefix) for annotation in annotations]
    numbers = AnnotationNumbers(lambda: own_ids)
    entries = []
    for annotation, own_id in zip(annotations, own_ids, strict=True):
        frame = frame_of.get(annotation.frame_id)
        item = f"annotation {annotation.id}"
        if frame is None:
            raise DataError("its frame is not among the exported ones", item=item)
        if annotation.label not in category_ids:
            raise DataError(f'its class "{annotation.label}" is not among the classes', item=item)
        category = category_ids[annotation.label]
        entries.append(_entry(annotation, frame, own_id, numbers[own_id], image_ids[frame.id], category))
    return {
        **(dict(base.extra) if base else {}),
        "info": dict(base.info) if base else {},
        "licenses": list(base.licenses) if base else [],
        "categories": categories,
        "images": images,
        "annotations": entries,
    }


def export_to_coco(export: LabelExport, *, scored: bool = False) -> dict[str, Any]:
    """The same COCO object of an export of any size: its images and annotations are runs in the order of the file.

    Args:
        export: What to write.
        scored: Only labels that have a score.

    Raises:
        DataError: Two labels have one id.
    """
    category_ids, categories = _export_categories(export.classes, None)
    return {
        "info": {},
        "licenses": [],
        "categories": categories,
        "images": (_image(frame, number) for number, frame in enumerate(export.frames(), start=1)),
        "annotations": _entries(export, category_ids, scored),
    }


def _entries(
    export: LabelExport, category_ids: Mapping[str, int | str], scored: bool
) -> Iterator[dict[str, Any]]:
    def own_ids() -> Iterator[str]:
        if not scored:
            return (label_id.removeprefix(export.id_prefix) for label_id in export.ids())
        rows = export.rows(False)
        return (export.own_id(label) for _, labels in rows for label in labels if label.score is not None)

    numbers = AnnotationNumbers(own_ids)
    for image_id, (frame, labels) in enumerate(export.by_frame(), start=1):
        entries = []
        for label in labels:
            if not scored or label.score is not None:
                own_id = export.own_id(label)
                category = category_ids[label.label]
                entries.append(_entry(label, frame, own_id, numbers[own_id], image_id, category))
        yield from sorted(entries, key=lambda entry: entry["id"])


def _entry(
    annotation: Annotation,
    frame: Frame,
    own_id: str,
    number: int,
    image_id: int | str,
    category_id: int | str,
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        **_shape(annotation, frame),
    }
    if not is_id_number(own_id):
        entry["crossguard_id"] = own_id
    entry.update(_marks(annotation))
    return entry


def _image(frame: Frame, number: int | str) -> dict[str, Any]:
    return {"id": number, "file_name": frame.name, "width": frame.width, "height": frame.height}


def _export_images(
    frames: Sequence[Frame], base: CocoDataset | None
) -> tuple[dict[str, int | str], list[dict[str, Any]]]:
    known = {image.file_name: image for image in base.images} if base else {}
    free = _free_number([image.id for image in known.values()])
    ids: dict[str, int | str] = {}
    images = []
    names: set[str] = set()
    for frame in sorted(frames, key=lambda frame: frame.name):
        if frame.name in names or frame.id in ids:
            raise DataError("the frame is there twice, or two frames have this name", item=frame.name)
        names.add(frame.name)
        image = known.get(frame.name)
        if image is None:
            ids[frame.id], free = free, free + 1
        else:
            ids[frame.id] = image.id
        images.append({**(dict(image.extra) if image else {}), **_image(frame, ids[frame.id])})
    return ids, images


def _export_categories(
    classes: Sequence[str], base: CocoDataset | None
) -> tuple[dict[str, int | str], list[dict[str, Any]]]:
    known = list(base.categories) if base else []
    free = _free_number([category.id for category in known])
    ids: dict[str, int | str] = {}
    categories = []
    for category in known:
        ids.setdefault(category.name, category.id)
        categories.append({**category.extra, "id": category.id, "name": category.name})
    for name in classes:
        if name not in ids:
            ids[name] = free
            categories.append({"id": free, "name": name})
            free += 1
    return ids, categories


def _free_number(ids: Iterable[int | str]) -> int:
    return max((number for number in ids if isinstance(number, int) and number > 0), default=0) + 1


def _marks(annotation: Annotation) -> dict[str, Any]:
    """Our own keys and the attributes."""
    marks: dict[str, Any] = {}
    if annotation.track_id is not None:
        marks["track_id"] = id_number(annotation.track_id)
    if annotation.score is not None:
        marks["score"] = annotation.score
    marks.update({name: True for name in ("occluded", "difficult", "ignore") if getattr(annotation, name)})
    clashing = {key: value for key, value in annotation.attributes.items() if key in OWN_KEYS}
    marks.update({key: value for key, value in annotation.attributes.items() if key not in clashing})
    if clashing:
        marks["crossguard_attributes"] = clashing
    return marks


def _shape(annotation: Annotation, frame: Frame) -> dict[str, Any]:
    x1, y1, x2, y2 = annotation.bbox_xyxy
    (x1, x2), (y1, y2) = _rounded_span(x1, x2), _rounded_span(y1, y2)
    width, height = _round(x2 - x1), _round(y2 - y1)
    segmentation, area = _segmentation(annotation.mask, frame)
    return {
        "bbox": [_round(x1), _round(y1), width, height],
        "area": _round(width * height if area is None else area),
        "iscrowd": int(annotation.iscrowd),
        "segmentation": segmentation,
    }


def _segmentation(mask: Mask | None, frame: Frame) -> tuple[Any, float | None]:
    if not mask:
        return [], None
    if not isinstance(mask, Rle):
        rounded = _rounded_polygons(mask)
        if rounded and not any(polygon.holes for polygon in rounded):
            rings = [[_round(value) for point in polygon.exterior for value in point] for polygon in rounded]
            return rings, polygons_area(rounded)
        mask = to_rle(mask, frame.height, frame.width)
    return rle_to_coco(mask), float(rle_area(mask))


def _rounded_polygons(polygons: tuple[Polygon, ...]) -> tuple[Polygon, ...]:
    """On a grid of 0.01 px and valid, so that reading it back changes nothing; empty when that cannot be."""
    rounded: list[Polygon] = []
    for polygon in polygons:
        candidate = _rounded_polygon(polygon)
        if polygons_valid_reason([candidate]):
            shape = shapely.set_precision(shapely.make_valid(polygons_to_shapely([candidate])), 0.01)
            rounded += [_rounded_polygon(piece) for piece in polygons_from_shapely(shape)]
        else:
            rounded.append(candidate)
    return () if polygons_valid_reason(rounded) else tuple(rounded)


def _rounded_polygon(polygon: Polygon) -> Polygon:
    rings = [_rounded_ring(ring) for ring in (polygon.exterior, *polygon.holes)]
    return Polygon(rings[0], tuple(rings[1:]))


def _rounded_ring(ring: Ring) -> Ring:
    points = tuple((_round(x), _round(y)) for x, y in ring)
    # A reader takes a last point that repeats the first as the end of the ring, not as a corner.
    while len(points) > 3 and points[0] == points[-1]:
        points = points[:-1]
    return points


def _rounded_span(low: float, high: float) -> tuple[float, float]:
    """Both ends to 0.01, never the same."""
    a, b = round(low, 2), round(high, 2)
    return (a, b) if a < b else (math.floor(low * 100) / 100, math.ceil(high * 100) / 100)


def _round(value: float) -> float | int:
    """To 0.01; whole numbers as integers, so that 12.0 and 12 are the same bytes."""
    rounded = round(float(value), 2)
    return int(rounded) if rounded == int(rounded) else rounded
