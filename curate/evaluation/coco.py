"""Average precision by faster-coco-eval (the C++ version of pycocotools) on our arrays.

It knows crowds, but not regions or objects that count neither way. Those go in by its own rule for sizes:
an unmatched detection whose area lies outside the range asked for is ignored, and so is a gold object. Areas
are only read for that rule, so an impossible area marks what is to be ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from curate.evaluation.gold import COUNTS, CROWD, LEFT_OUT, GoldArrays
from curate.evaluation.overlaps import DetectionArrays
from curate.evaluation.settings import EvalSettings
from curate.geometry.boxes import xyxy_to_xywh
from curate.types import BoolArray, FloatArray

__all__ = ["SIZES", "CocoFigures", "coco_figures", "detection_area"]

_LARGEST = 1e5**2
_OUTSIDE = 4.0 * _LARGEST
SIZES: dict[str, tuple[float, float]] = {
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, _LARGEST),
}
"""COCO's object sizes in square pixels of the frame."""


@dataclass(frozen=True)
class CocoFigures:
    """AP (T, K, 1 + 3): T = 10 thresholds, K classes, "all" and each size; NaN without objects."""

    ap: FloatArray

    def triple(self, label: int | None = None, size: str = "all") -> tuple[float, float, float] | None:
        """AP, AP50, AP75 of a class, or the mean over the classes that have objects; None without objects."""
        values = self.ap[:, :, ["all", *SIZES].index(size)]
        values = values if label is None else values[:, [label]]
        values = values[:, ~np.isnan(values[0])]
        if not values.size:
            return None
        return float(values.mean()), float(values[0].mean()), float(values[5].mean())


def coco_figures(
    gold: GoldArrays,
    detections: DetectionArrays,
    absorb: BoolArray,
    classes: int,
    settings: EvalSettings,
    *,
    subset: BoolArray | None = None,
    masks: bool = False,
) -> CocoFigures:
    """Run faster-coco-eval.

    Args:
        gold: Objects; those left out are not given to it, `absorb` speaks for them.
        detections: Detections in canonical order.
        absorb: (D,) from `absorbed`.
        classes: Number of classes.
        settings: For the number of detections kept.
        subset: (G,) objects to score; the others are ignored. Sizes are then not told apart.
        masks: Compare masks instead of boxes; objects without one are not given.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    usable = gold.kind != LEFT_OUT
    if masks:
        usable &= np.array([mask is not None for mask in gold.masks], bool)
    area = gold.area if subset is None else np.where(subset | (gold.kind == CROWD), 1.0, _OUTSIDE)
    images = [{"id": index + 1, "width": 1, "height": 1} for index in range(gold.frames)]
    categories = [{"id": index + 1, "name": str(index)} for index in range(classes)]
    truth = [
        {
            "iscrowd": int(gold.kind[row] == CROWD),
            **_row(gold.frame[row], gold.label[row], box, area[row]),
            "segmentation": gold.masks[row] if masks else [],
        }
        for row, box in enumerate(xyxy_to_xywh(gold.boxes).tolist())
        if usable[row]
    ]
    found_area = np.where(absorb, _OUTSIDE, detection_area(detections, masks))
    if subset is not None:
        found_area = np.where(absorb, _OUTSIDE, 1.0)
    packed = detections.masks if masks else None
    found = [
        {
            "iscrowd": 0,
            "score": float(detections.scores[row]),
            **_row(detections.frame[row], detections.label[row], box, found_area[row]),
            "segmentation": packed[row] if packed is not None else [],
        }
        for row, box in enumerate(xyxy_to_xywh(detections.boxes).tolist())
    ]
    scored = (gold.kind == COUNTS) & usable & (np.ones(len(usable), bool) if subset is None else subset)
    if not scored.any():
        return CocoFigures(np.full((10, classes, 1 + len(SIZES)), np.nan))
    sets = []
    for rows in (truth, found):
        for number, row in enumerate(rows, 1):
            row["id"] = number
        coco = COCO()
        coco.dataset = {"images": images, "categories": categories, "annotations": rows}
        coco.createIndex()
        sets.append(coco)
    ranges = {name: list(limits) for name, limits in SIZES.items()}
    run = COCOeval_faster(sets[0], sets[1], "segm" if masks else "bbox", ranges=ranges)
    run.params.maxDets = [settings.max_detections]
    run.evaluate()
    run.accumulate()
    precision = np.asarray(run.eval["precision"], float)[..., 0]
    average = np.where(precision[:, 0] > -1, precision.mean(axis=1), np.nan)
    return CocoFigures(average)


def _row(frame: int, label: int, box: list[float], area: float) -> dict[str, Any]:
    return {"image_id": int(frame) + 1, "category_id": int(label) + 1, "bbox": box, "area": float(area)}


def detection_area(detections: DetectionArrays, masks: bool) -> FloatArray:
    """(D,) area of the boxes, or of the masks, in square pixels."""
    if masks and detections.masks:
        from faster_coco_eval.core import mask as mask_api

        return np.asarray(mask_api.area(list(detections.masks)), float)
    return np.asarray((detections.boxes[:, 2:] - detections.boxes[:, :2]).prod(1))
