"""Detections of all frames as flat arrays, checked; their overlaps with the gold objects as sparse pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.annotations import Frame
from curate.errors import DataError
from curate.evaluation.gold import ANY_CLASS, COUNTS, CROWD, LEFT_OUT, GoldArrays
from curate.evaluation.settings import EvalSettings, share_inside
from curate.geometry.boxes import xyxy_to_xywh
from curate.geometry.rle import rle_to_coco
from curate.tables import Detections
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["DetectionArrays", "Pairs", "absorbed", "detection_arrays", "find_pairs"]

MIN_PAIR_IOU = 0.1
"""Below this a detection has nothing to do with an object (TIDE's background threshold)."""


@dataclass(frozen=True)
class DetectionArrays:
    """D detections, sorted by frame, then class, then falling score (ties in the order given).

    Attributes:
        frame: (D,) int index of the frame.
        label: (D,) int index of the class.
        scores: (D,) float in [0, 1].
        boxes: (D, 4) float x1 y1 x2 y2; inverted sides are closed to zero.
        masks: D masks in COCO's packed form, or None when a frame's detections have none.
    """

    frame: IntArray
    label: IntArray
    scores: FloatArray
    boxes: FloatArray
    masks: tuple[dict[str, Any], ...] | None

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class Pairs:
    """Overlapping detections and gold objects of one frame.

    Attributes:
        detection: (M,) int index of the detection.
        gold: (M,) int index of the gold object (kind COUNTS, any class; or CROWD of the detection's class).
        iou: (M,) float >= 0.1; for a crowd the share of the DETECTION that lies on it, as COCO defines it.
    """

    detection: IntArray
    gold: IntArray
    iou: FloatArray


def _check(item: Detections, frame: Frame, classes: int) -> None:
    where = f"frame {frame.name}"
    count = len(item.scores)
    boxes, scores, labels = np.asarray(item.boxes), np.asarray(item.scores), np.asarray(item.classes)
    if boxes.shape != (count, 4) and not (count == 0 and boxes.size == 0):
        raise DataError(f"{count} scores need boxes of shape ({count}, 4), got {boxes.shape}", item=where)
    if labels.shape != (count,):
        raise DataError(f"{count} scores need {count} classes, got shape {labels.shape}", item=where)
    if item.masks is not None and len(item.masks) != count:
        raise DataError(f"{count} scores need {count} masks, got {len(item.masks)}", item=where)
    bad = np.flatnonzero(~((scores >= 0) & (scores <= 1)))
    if len(bad):
        raise DataError(
            f"detection {bad[0]} has the score {scores[bad[0]]}; a number in [0, 1] is needed", item=where
        )
    bad = np.flatnonzero(~np.isfinite(boxes).all(axis=1)) if count else bad
    if len(bad):
        raise DataError(f"detection {bad[0]} has the box {boxes[bad[0]].tolist()}, not finite", item=where)
    bad = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(bad):
        raise DataError(
            f"detection {bad[0]} has the class index {labels[bad[0]]}; there are {classes} classes",
            item=where,
        )
    for index, mask in enumerate(item.masks or ()):
        if (mask.height, mask.width) != (frame.height, frame.width):
            raise DataError(
                f"the mask of detection {index} is {mask.width} x {mask.height}, "
                f"the frame {frame.width} x {frame.height} pixels",
                item=where,
            )


def detection_arrays(
    frames: Sequence[Frame], detections: Sequence[Detections], classes: Sequence[str], settings: EvalSettings
) -> DetectionArrays:
    """Check and flatten; per frame and class the best `settings.max_detections` stay.

    Raises:
        DataError: Not one entry per frame, arrays of unlike lengths, a score or box that is not a number, a
            class index out of range, a mask of another size than its frame.
    """
    if len(detections) != len(frames):
        raise DataError(f"{len(frames)} frames need as many detections, got {len(detections)}")
    for frame, item in zip(frames, detections, strict=True):
        _check(item, frame, len(classes))
    owner = np.repeat(np.arange(len(frames)), [len(item) for item in detections])
    labels = np.concatenate([np.zeros(0, np.int64), *(np.asarray(item.classes) for item in detections)])
    scores = np.concatenate([np.zeros(0), *(np.asarray(item.scores, float) for item in detections)])
    boxes = np.concatenate(
        [np.zeros((0, 4)), *(np.asarray(item.boxes, float).reshape(-1, 4) for item in detections)]
    )
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    order = np.lexsort((-scores, labels, owner))
    groups = np.flatnonzero(np.diff(labels[order]) | np.diff(owner[order])) + 1
    starts = np.concatenate([[0], groups]).astype(np.int64) if len(order) else np.zeros(0, np.int64)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    keep = order[rank < settings.max_detections]
    masks: tuple[dict[str, Any], ...] | None = None
    if all(item.masks is not None or not len(item) for item in detections) and len(order):
        flat = [mask for item in detections for mask in (item.masks or ())]
        masks = tuple(rle_to_coco(flat[index]) for index in keep.tolist())
    return DetectionArrays(owner[keep], labels[keep].astype(np.int64), scores[keep], boxes[keep], masks)


def _rows_by_frame(frame: IntArray, frames: int) -> list[IntArray]:
    order = np.argsort(frame, kind="stable")
    cuts = np.searchsorted(frame[order], np.arange(frames + 1))
    return [order[cuts[index] : cuts[index + 1]] for index in range(frames)]


def find_pairs(gold: GoldArrays, detections: DetectionArrays, *, masks: bool = False) -> Pairs:
    """All pairs of one frame with IoU >= 0.1, by box or by mask (without a mask: no pair)."""
    from faster_coco_eval.core import mask as mask_api

    usable = gold.kind != LEFT_OUT
    if masks:
        usable &= np.array([mask is not None for mask in gold.masks], bool)
    found: list[tuple[IntArray, IntArray, FloatArray]] = []
    gold_boxes, boxes = xyxy_to_xywh(gold.boxes), xyxy_to_xywh(detections.boxes)
    det_rows = _rows_by_frame(detections.frame, gold.frames)
    for rows, objects in zip(det_rows, _rows_by_frame(gold.frame, gold.frames), strict=True):
        objects = objects[usable[objects]]
        if not len(rows) or not len(objects):
            continue
        crowd = (gold.kind[objects] == CROWD).astype(int).tolist()
        if masks:
            packed = detections.masks or ()
            left: Any = [packed[row] for row in rows.tolist()]
            right: Any = [gold.masks[row] for row in objects.tolist()]
        else:
            left, right = np.ascontiguousarray(boxes[rows]), np.ascontiguousarray(gold_boxes[objects])
        iou = np.nan_to_num(np.asarray(mask_api.iou(left, right, crowd), float).reshape(len(rows), -1))
        same = detections.label[rows][:, None] == gold.label[objects][None]
        wanted = same | (gold.kind[objects] == COUNTS)[None]
        at, to = np.nonzero((iou >= MIN_PAIR_IOU) & wanted)
        found.append((rows[at], objects[to], iou[at, to]))
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Pairs(*(np.concatenate(part) for part in zip(*found, strict=True)))


def absorbed(
    gold: GoldArrays, detections: DetectionArrays, settings: EvalSettings, *, masks: bool = False
) -> BoolArray:
    """(D,) True where a detection counts for nothing UNLESS it is matched to an object that counts.

    That is: at least half of its box lies on one ignored object of its class (or of no class), or in the
    ignore regions, or it is smaller than the smallest object that the policy labels. For masks, gold objects
    without a mask absorb as ignored ones do, since nobody can say how well their mask was met.
    """
    sides = detections.boxes[:, 2:] - detections.boxes[:, :2]
    area = sides.prod(1)
    result = (sides[:, 1] < settings.min_height) | (area < settings.min_area)
    result |= share_inside(detections.boxes, settings.ignore_regions) >= 0.5
    swallows = gold.kind == LEFT_OUT
    if masks:
        swallows |= np.array([mask is None for mask in gold.masks], bool)
    det_rows = _rows_by_frame(detections.frame, gold.frames)
    for rows, objects in zip(det_rows, _rows_by_frame(gold.frame, gold.frames), strict=True):
        objects = objects[swallows[objects]]
        if not len(rows) or not len(objects):
            continue
        low = np.maximum(detections.boxes[rows][:, None, :2], gold.boxes[objects][None, :, :2])
        high = np.minimum(detections.boxes[rows][:, None, 2:], gold.boxes[objects][None, :, 2:])
        inside = np.clip(high - low, 0, None).prod(-1)
        mine = gold.label[objects][None] == detections.label[rows][:, None]
        mine |= gold.label[objects][None] == ANY_CLASS
        on = (inside >= 0.5 * area[rows][:, None]) & (area[rows][:, None] > 0) & mine
        result[rows] |= on.any(axis=1)
    return np.asarray(result)
