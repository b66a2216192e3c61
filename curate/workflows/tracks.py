"""Labels in between: a track between two of its keyframes, and what stands still carried over to the next frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from curate.annotations import Annotation, Frame, Mask, Polygon, Rle, replace
from curate.errors import DataError
from curate.geometry.boxes import box_iou
from curate.geometry.polygons import mask_to_polygons
from curate.geometry.rle import rle_to_mask
from curate.types import BoxTuple, FloatArray, ImageArray, Ring
from curate.workflows.project import Project

__all__ = ["TRACE_TOLERANCE", "between", "interpolated", "looks_still", "parked"]

_ALIKE = 0.85
"""Least correlation of the pixels inside a box for the thing in it to stand still."""
_FLAT = 4.0
"""Grey levels of spread below which a box holds too little texture to say anything."""
_SAME_PLACE = 0.5
"""IoU from which on a label of the frame is the same thing."""
TRACE_TOLERANCE = 0.7
"""Pixels by which traced masks are simplified: few enough points to drag, and nobody sees the difference."""


def between(first: Annotation, last: Annotation, share: float) -> tuple[BoxTuple, Mask | None]:
    """Box and mask of a thing on its way from one label to another.

    Boxes and polygons with the same rings and points go point by point in a straight line; of unlike masks the
    nearer one is moved and scaled into the box. Coordinates are rounded to 0.01 pixels.

    Args:
        first: Where it begins.
        last: Where it ends.
        share: Of the way, in [0, 1].
    """
    box = _line(np.array(first.bbox_xyxy), np.array(last.bbox_xyxy), share)
    x1, y1, x2, y2 = box.tolist()
    if not first.mask or not last.mask:
        return (x1, y1, x2, y2), None
    start, end = _polygons(first.mask), _polygons(last.mask)
    if _outline(start) == _outline(end):
        parts = zip(start, end, strict=True)
        return (x1, y1, x2, y2), tuple(_polygon_between(a, b, share) for a, b in parts)
    near = first if share < 0.5 else last
    return (x1, y1, x2, y2), _fitted(start if share < 0.5 else end, near.bbox_xyxy, (x1, y1, x2, y2))


def interpolated(project: Project, annotation_id: str) -> list[Annotation]:
    """Proposed labels for the frames between a label and its track's nearest labels before and after it.

    Nothing is stored. Frames that hold a label of the track already, and excluded frames, are left out.

    Args:
        project: The project.
        annotation_id: A label with a track.

    Returns:
        Labels with an empty id, in the order of their frames.

    Raises:
        NotFoundError: There is no such label.
        DataError: It has no track, or the track has no other label in this recording.
    """
    label = project.store.annotation(annotation_id)
    if label.track_id is None:
        raise DataError(
            "this label belongs to no track",
            item=f"annotation {annotation_id}",
            hint="copy it, go some frames on, paste it there and put it into place: that makes two keyframes",
        )
    frames = project.store.frames(clip=project.store.frame(label.frame_id).clip)
    place = {frame.id: number for number, frame in enumerate(frames)}
    keys = {
        place[entry.frame_id]: entry
        for entry in project.store.annotations(label.source, list(place))
        if entry.track_id == label.track_id
    }
    if len(keys) < 2:
        raise DataError(
            "the track has one keyframe only",
            item=f"track {label.track_id}",
            hint="paste the label on a later frame and put it into place there",
        )
    here = place[label.frame_id]
    earlier = max((number for number in keys if number < here), default=here)
    later = min((number for number in keys if number > here), default=here)
    gaps = [(earlier, here), (here, later)]
    return [entry for start, end in gaps for entry in _fill(frames, keys, start, end)]


def parked(project: Project, frame_id: str, source: str) -> list[Annotation]:
    """Labels of the last labelled frame before this one whose things still stand where they stood.

    Those that this frame has a label for already are left out.

    Raises:
        NotFoundError: There is no such frame.
        ImageError: A picture is missing or broken.
    """
    frame = project.store.frame(frame_id)
    frames = project.store.frames(clip=frame.clip)
    labels = project.store.annotations(source, [entry.id for entry in frames])
    labelled = {label.frame_id for label in labels}
    place = [entry.id for entry in frames].index(frame_id)
    before = next((entry for entry in reversed(frames[:place]) if entry.id in labelled), None)
    if before is None:
        return []
    known = [label.bbox_xyxy for label in labels if label.frame_id == frame_id]
    old = [label for label in labels if label.frame_id == before.id]
    boxes = np.array([label.bbox_xyxy for label in old], float)
    taken = box_iou(boxes, np.array(known, float).reshape(-1, 4)).max(1, initial=0.0) >= _SAME_PLACE
    still = looks_still(project.frame_image(before), project.frame_image(frame), boxes)
    return [label for label, there, doubled in zip(old, still, taken, strict=True) if there and not doubled]


def looks_still(before: ImageArray, now: ImageArray, boxes: FloatArray) -> list[bool]:
    """Whether each box (N, 4) shows the same in two (H, W, 3) RGB images, whatever the light.

    It does when the normalised correlation of its grey pixels is at least 0.85.
    """
    if before.shape != now.shape:
        return [False] * len(boxes)
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) for image in (before, now))
    result = []
    for box in boxes:
        x1, y1 = (int(np.floor(value)) for value in box[:2])
        x2, y2 = (int(np.ceil(value)) for value in box[2:])
        a, b = first[y1:y2, x1:x2], second[y1:y2, x1:x2]
        if a.size == 0 or a.std() < _FLAT or b.std() < _FLAT:
            result.append(False)
            continue
        result.append(float(np.mean((a - a.mean()) * (b - b.mean())) / (a.std() * b.std())) >= _ALIKE)
    return result


def _fill(frames: Sequence[Frame], keys: dict[int, Annotation], start: int, end: int) -> list[Annotation]:
    made = []
    span = frames[end].captured_at - frames[start].captured_at
    for number in range(start + 1, end):
        frame = frames[number]
        if frame.excluded:
            continue
        passed = frame.captured_at - frames[start].captured_at
        share = passed / span if span > 0 else (number - start) / (end - start)
        box, mask = between(keys[start], keys[end], min(max(share, 0.0), 1.0))
        near = keys[start] if share < 0.5 else keys[end]
        made.append(replace(near, id="", frame_id=frame.id, bbox_xyxy=box, mask=mask, score=None, revision=0))
    return made


def _line(start: FloatArray, end: FloatArray, share: float) -> FloatArray:
    return np.asarray(np.round(start + (end - start) * share, 2), float)


def _polygons(mask: Mask) -> tuple[Polygon, ...]:
    return mask_to_polygons(rle_to_mask(mask), tolerance=TRACE_TOLERANCE) if isinstance(mask, Rle) else mask


def _outline(polygons: Sequence[Polygon]) -> list[list[int]]:
    return [[len(ring) for ring in (part.exterior, *part.holes)] for part in polygons]


def _ring(points: FloatArray) -> Ring:
    return tuple((float(x), float(y)) for x, y in points)


def _polygon_between(first: Polygon, last: Polygon, share: float) -> Polygon:
    exterior, *holes = (
        _ring(_line(np.array(a), np.array(b), share))
        for a, b in zip((first.exterior, *first.holes), (last.exterior, *last.holes), strict=True)
    )
    return Polygon(exterior, tuple(holes))


def _fitted(polygons: Sequence[Polygon], box: BoxTuple, target: BoxTuple) -> tuple[Polygon, ...]:
    origin, goal = np.array(box[:2]), np.array(target[:2])
    scale = (np.array(target[2:]) - goal) / (np.array(box[2:]) - origin)

    def fit(ring: Ring) -> Ring:
        return _ring(np.round((np.array(ring) - origin) * scale + goal, 2))

    return tuple(Polygon(fit(part.exterior), tuple(fit(hole) for hole in part.holes)) for part in polygons)
