"""COCO to our annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from curate.annotations import Annotation, Frame
from curate.formats._coco_types import CocoAnnotation, CocoDataset, CocoImage
from curate.formats._masks import fit_box, fit_mask, mask_box
from curate.formats.report import BadItem, ImportReport

__all__ = ["coco_to_annotations"]


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
    report = report if report is not None else ImportReport()
    report.file = dataset.path or report.file
    names = {category.id: category.name for category in dataset.categories}
    used = {entry.image_id for entry in dataset.annotations}
    placed = _place_images(dataset.images, frames, used, report)
    result = []
    for entry in dataset.annotations:
        frame = placed.get(entry.image_id)
        if frame is None:
            continue  # reported once, with its image
        item = f"annotation {entry.id}"
        try:
            label = _class_of(names[entry.category_id], label_map)
            if label is not None:
                result.append(_to_annotation(entry, frame, label, source, id_prefix, item, report))
        except BadItem as bad:
            report.reject(item, bad)
    return result


def _place_images(
    images: Iterable[CocoImage], frames: Mapping[str, Frame], used: set[int | str], report: ImportReport
) -> dict[int | str, Frame]:
    placed: dict[int | str, Frame] = {}
    for image in images:
        item = f"image {image.id}"
        frame = frames.get(image.file_name)
        try:
            if frame is None:
                text = f'"{image.file_name}" is not among the ingested frames'
                if image.id not in used:
                    report.leave_out(item, "unknown_frame", f"{text}; it has no labels")
                    continue
                raise BadItem("unknown_frame", text, "ingest its pictures first, or check the names")
            told = (image.width or frame.width, image.height or frame.height)
            if told != (frame.width, frame.height):
                raise BadItem(
                    "frame_size",
                    f"the file says {told[0]} x {told[1]}, the frame has {frame.width} x {frame.height}",
                )
            placed[image.id] = frame
        except BadItem as bad:
            report.reject(item, bad)
    return placed


def _class_of(name: str, label_map: Mapping[str, str | None] | None) -> str | None:
    if label_map is None:
        return name
    if name not in label_map:
        known = ", ".join(sorted(label_map)) or "none"
        raise BadItem("unknown_class", f'the category "{name}" maps to no class (known: {known})')
    return label_map[name]


def _to_annotation(
    entry: CocoAnnotation,
    frame: Frame,
    label: str,
    source: str,
    id_prefix: str,
    item: str,
    report: ImportReport,
) -> Annotation:
    size = (frame.width, frame.height)
    mask = None if entry.mask is None else fit_mask(entry.mask, *size, item, report)
    box = entry.bbox_xyxy
    if box is None:
        if mask is None:
            raise BadItem("no_shape", "there is neither a box nor a mask")
        box = mask_box(mask)
    return Annotation(
        id=id_prefix + entry.id,
        frame_id=frame.id,
        label=label,
        bbox_xyxy=fit_box(box, *size, item, report),
        mask=mask,
        source=source,
        score=entry.score,
        track_id=entry.track_id,
        iscrowd=entry.iscrowd,
        occluded=entry.occluded,
        difficult=entry.difficult,
        ignore=entry.ignore,
        attributes=dict(entry.extra),
    )
