"""COCO to our annotations."""

from __future__ import annotations

from collections.abc import Mapping

from curate.annotations import Annotation, Frame
from curate.formats._coco_read import CocoReader
from curate.formats._coco_types import CocoAnnotation, CocoDataset, CocoImage
from curate.formats._place import place_labels
from curate.formats.labelset import FileLabel, LabelSet, Picture
from curate.formats.lookup import FrameLookup
from curate.formats.report import ImportReport

__all__ = ["coco_to_annotations", "coco_to_labels"]


def coco_to_annotations(
    dataset: CocoDataset,
    frames: Mapping[str, Frame],
    source: str,
    *,
    label_map: Mapping[str, str | None] | None = None,
    id_prefix: str = "",
    report: ImportReport | None = None,
) -> list[Annotation]:
    """The annotations of a COCO file on the frames of a project.

    Kinds of bad items: unknown_frame, frame_size, unknown_class, box_outside, rle, no_shape. A box or polygon
    up to 2 px out of its frame is clipped and reported (box_clipped, polygon_clipped). A missing box is taken
    from the mask; a box that is given stays as it is.

    Args:
        dataset: From `read_coco`.
        frames: `Frame.name` (COCO's file_name) -> frame.
        source: The label source that they become.
        label_map: Category name -> class, or None to leave the category out on purpose. A category that is
            not in it is a bad item. Default: category names are the classes.
        id_prefix: Put before each id, where one project holds several files that all count from 1.
        report: Policy and report; default: fail at the first bad item.

    Raises:
        FormatError: An item is bad, under the policy "fail".
    """
    placed = place_labels(
        coco_to_labels(dataset),
        FrameLookup(frames),
        source,
        label_map=label_map,
        id_prefix=id_prefix,
        report=report,
    )
    return placed.annotations


def coco_to_labels(found: CocoDataset | CocoReader) -> LabelSet:
    """A COCO file as pictures and labels, not yet placed on frames; of a `CocoReader`, runs that are made once."""
    names = {category.id: category.name for category in found.categories}
    return LabelSet(
        (_picture(image) for image in found.images),
        (_label(entry, names[entry.category_id]) for entry in found.annotations),
        found.path,
        distinct=True,
    )


def _picture(image: CocoImage) -> Picture:
    return Picture(_key(image.id), (image.file_name,), None, image.width, image.height, f"image {image.id}")


def _label(entry: CocoAnnotation, name: str) -> FileLabel:
    return FileLabel(
        id=entry.id,
        picture=_key(entry.image_id),
        label=name,
        bbox_xyxy=entry.bbox_xyxy,
        mask=entry.mask,
        track_id=entry.track_id,
        score=entry.score,
        iscrowd=entry.iscrowd,
        occluded=entry.occluded,
        difficult=entry.difficult,
        ignore=entry.ignore,
        attributes=entry.extra,
        item=f"annotation {entry.id}",
    )


def _key(image_id: int | str) -> str:
    """7 and "7" are two images."""
    return f"{image_id!r}"
