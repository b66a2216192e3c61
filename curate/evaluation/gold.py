"""Gold labels as arrays, their content hash, and which of their objects move."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.annotations import Annotation, Frame, Mask
from curate.errors import DataError
from curate.evaluation.settings import EvalSettings, share_inside
from curate.geometry.polygons import to_rle
from curate.geometry.rle import rle_to_coco
from curate.geometry.shapes import Rle
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["COUNTS", "CROWD", "LEFT_OUT", "GoldArrays", "gold_arrays", "gold_hash", "moving_objects"]

COUNTS, CROWD, LEFT_OUT = 0, 1, 2
"""Kinds of gold objects: scored; COCO crowd (absorbs detections by COCO's rule); ignored."""
ANY_CLASS = -1


@dataclass(frozen=True)
class GoldArrays:
    """G gold objects on F frames.

    Attributes:
        frame: (G,) int index of the frame.
        label: (G,) int index of the class; -1 for an ignored object of no listed class (absorbs every class).
        boxes: (G, 4) float x1 y1 x2 y2.
        area: (G,) float; of the mask where there is one, else of the box, as in COCO files.
        kind: (G,) int: COUNTS, CROWD or LEFT_OUT.
        track: (G,) int, -1 without a track; equal numbers are one object over time.
        masks: G masks in COCO's packed form, or None.
        frames: F.
    """

    frame: IntArray
    label: IntArray
    boxes: FloatArray
    area: FloatArray
    kind: IntArray
    track: IntArray
    masks: tuple[dict[str, Any] | None, ...]
    frames: int

    def count_tracks(self, members: BoolArray) -> int:
        """Number of different tracks among the members (G,); an object without a track counts as none."""
        tracks = self.track[members]
        return len(np.unique(tracks[tracks >= 0]))


def gold_arrays(
    frames: Sequence[Frame], gold: Sequence[Annotation], classes: Sequence[str], settings: EvalSettings
) -> GoldArrays:
    """Check the gold labels and turn them into arrays, in the order given.

    Left out are objects marked ignore or difficult, and what the settings' policy leaves out: too small,
    occluded if so declared, at least half inside the ignore regions.

    Raises:
        DataError: A frame stands there twice, a label lies on a frame that is not given, has an unknown class
            although it counts, or a mask of another size than its frame.
    """
    position = {frame.id: index for index, frame in enumerate(frames)}
    if len(position) != len(frames):
        raise DataError("each gold frame may be given once", item="gold frames")
    index_of = {name: index for index, name in enumerate(classes)}
    if len(index_of) != len(classes):
        raise DataError(f"each class may be given once, got {list(classes)}", item="classes")
    boxes = np.asarray([entry.bbox_xyxy for entry in gold], float).reshape(-1, 4)
    sides = boxes[:, 2:] - boxes[:, :2]
    small = (sides[:, 1] < settings.min_height) | (sides.prod(1) < settings.min_area)
    outside = share_inside(boxes, settings.ignore_regions) >= 0.5
    tracks: dict[tuple[str, str], int] = {}
    rows: list[tuple[int, int, int, int]] = []
    for entry, left_out in zip(gold, (small | outside).tolist(), strict=True):
        if entry.frame_id not in position:
            raise DataError(
                f"the label lies on frame {entry.frame_id!r}, not among the {len(frames)} gold frames",
                item=f"gold label {entry.id}",
            )
        at = position[entry.frame_id]
        label = index_of.get(entry.label, ANY_CLASS)
        kind = _kind(entry, settings, left_out, known=label != ANY_CLASS, classes=classes)
        # Track ids are only unique within one recording.
        key = (frames[at].clip, entry.track_id or "")
        track = tracks.setdefault(key, len(tracks)) if entry.track_id else -1
        rows.append((at, label, kind, track))
    table = np.asarray(rows, np.int64).reshape(-1, 4)
    masks = tuple(_packed(entry, frames[row[0]]) for entry, row in zip(gold, rows, strict=True))
    area = np.array([_mask_area(mask, side) for mask, side in zip(masks, sides.prod(1), strict=True)], float)
    return GoldArrays(table[:, 0], table[:, 1], boxes, area, table[:, 2], table[:, 3], masks, len(frames))


def _kind(
    entry: Annotation, settings: EvalSettings, left_out: bool, *, known: bool, classes: Sequence[str]
) -> int:
    if not known:
        if entry.counts:
            raise DataError(
                f"the class {entry.label!r} is not among {list(classes)}",
                item=f"gold label {entry.id}",
                hint="add the class to site.yaml, or mark the label as ignored",
            )
        return LEFT_OUT
    if entry.difficult or entry.ignore or left_out or (settings.ignore_occluded and entry.occluded):
        return LEFT_OUT
    return CROWD if entry.iscrowd else COUNTS


def _packed(entry: Annotation, frame: Frame) -> dict[str, Any] | None:
    mask: Mask | None = entry.mask
    if mask is None or mask == ():
        return None
    if isinstance(mask, Rle):
        if (mask.height, mask.width) != (frame.height, frame.width):
            raise DataError(
                f"the mask is {mask.width} x {mask.height}, the frame {frame.width} x {frame.height} pixels",
                item=f"gold label {entry.id}",
            )
        return rle_to_coco(mask)
    if any(polygon.holes for polygon in mask):
        return rle_to_coco(to_rle(mask, frame.height, frame.width))
    # Without holes the union of the rings can stay packed: no need to draw it.
    from faster_coco_eval.core import mask as mask_api

    rings = [np.asarray(polygon.exterior, float).ravel().tolist() for polygon in mask]
    merged = mask_api.merge(mask_api.frPyObjects(rings, frame.height, frame.width))
    return {"size": [frame.height, frame.width], "counts": merged["counts"]}


def _mask_area(mask: dict[str, Any] | None, box_area: float) -> float:
    if mask is None:
        return float(box_area)
    from faster_coco_eval.core import mask as mask_api

    return float(mask_api.area([mask])[0])


def gold_hash(frames: Sequence[Frame], gold: Sequence[Annotation]) -> str:
    """Content hash (64 hex digits) of a gold set: frames, classes, boxes, masks, flags and tracks.

    Independent of the order and of label ids, sources and free attributes: those do not change a score.
    """
    digest = hashlib.sha256()
    for row in sorted((frame.id, frame.width, frame.height) for frame in frames):
        digest.update(json.dumps(row).encode())
    lines = []
    for entry in gold:
        flags = [entry.iscrowd, entry.occluded, entry.difficult, entry.ignore]
        lines.append(
            json.dumps(
                [entry.frame_id, entry.label, entry.bbox_xyxy, flags, entry.track_id, repr(entry.mask)]
            )
        )
    for line in sorted(lines):
        digest.update(line.encode())
    return digest.hexdigest()


def moving_objects(
    frames: Sequence[Frame], annotations: Sequence[Annotation], *, min_shift: float = 0.5
) -> IntArray:
    """Which objects move: (G,) 1 moving, 0 parked, -1 unknown.

    A boolean attribute `moving` of a label decides for that label. Else its track does: it moves when the
    foot of its box (middle of the lower edge) spreads, over the whole track and along x or y, by more than
    `min_shift` times the track's median box side (root of the area). A track seen at one time only, or no
    track, is unknown.

    Args:
        frames: The frames of the annotations (their clip keeps tracks of two recordings apart).
        annotations: Labels.
        min_shift: Shift in box sides that is more than the jitter of drawing.
    """
    where = {frame.id: frame for frame in frames}
    members: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index, entry in enumerate(annotations):
        if entry.track_id is not None and entry.frame_id in where:
            members[(where[entry.frame_id].clip, entry.track_id)].append(index)
    result = np.full(len(annotations), -1, np.int64)
    boxes = np.asarray([entry.bbox_xyxy for entry in annotations], float).reshape(-1, 4)
    for rows in members.values():
        if len({where[annotations[row].frame_id].captured_at for row in rows}) < 2:
            continue
        foot = np.stack([(boxes[rows, 0] + boxes[rows, 2]) / 2, boxes[rows, 3]], axis=1)
        side = np.median(np.sqrt(np.prod(boxes[rows, 2:] - boxes[rows, :2], axis=1)))
        result[rows] = int(np.ptp(foot, axis=0).max() > min_shift * side)
    for index, entry in enumerate(annotations):
        given = entry.attributes.get("moving")
        if isinstance(given, bool):
            result[index] = int(given)
    return result
