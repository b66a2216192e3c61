"""A COCO file in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from curate.geometry import Mask
from curate.types import BoxTuple

__all__ = ["OWN_KEYS", "CocoAnnotation", "CocoCategory", "CocoDataset", "CocoImage"]

_SHAPE_KEYS = ("id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation")
_MARK_KEYS = (
    "crossguard_id",
    "track_id",
    "score",
    "occluded",
    "difficult",
    "ignore",
    "crossguard_attributes",
)
OWN_KEYS = (*_SHAPE_KEYS, *_MARK_KEYS)
"""Keys of an annotation that mean something to us, in the order in which they are written. Attributes of
these names are exported under crossguard_attributes, all others as keys of their own."""


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An entry of `images`.

    Attributes:
        id: As in the file.
        file_name: Relative path without "..".
        width: Pixels, or None when the file does not say.
        height: Pixels, or None.
        extra: All other keys.
    """

    id: int | str
    file_name: str
    width: int | None = None
    height: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CocoCategory:
    """An entry of `categories`."""

    id: int | str
    name: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """An entry of `annotations`; at least one of `bbox_xyxy` and `mask` is there.

    Attributes:
        id: Our annotation id: `crossguard_id` where the file has it, else `id` as text.
        image_id: Of a `CocoImage`.
        category_id: Of a `CocoCategory`.
        bbox_xyxy: As given in the file (x, y, width, height turned into corners), or None.
        mask: Polygons (one for each ring), RLE, or None.
        iscrowd: COCO's flag.
        track_id: Our key "track_id", as text.
        score: Our key "score", in [0, 1].
        occluded: Our key.
        difficult: Our key.
        ignore: Our key.
        extra: All other keys, except `area`, which is computed anew at every export.
    """

    id: str
    image_id: int | str
    category_id: int | str
    bbox_xyxy: BoxTuple | None = None
    mask: Mask | None = None
    iscrowd: bool = False
    track_id: str | None = None
    score: float | None = None
    occluded: bool = False
    difficult: bool = False
    ignore: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CocoDataset:
    """A whole file; lists in the order of the file.

    Attributes:
        images: Images, with or without annotations.
        annotations: Annotations whose image and category exist.
        categories: Categories.
        info: As in the file.
        licenses: As in the file.
        extra: All other keys of the file.
        path: Where it was read.
    """

    images: tuple[CocoImage, ...]
    annotations: tuple[CocoAnnotation, ...]
    categories: tuple[CocoCategory, ...]
    info: Mapping[str, Any] = field(default_factory=dict)
    licenses: tuple[Any, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""
