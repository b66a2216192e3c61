"""What counts when detections are scored: operating point, recalls, what the policy leaves out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from curate.annotations import Annotation
from curate.config.schema import SiteConfig, SliceConfig
from curate.errors import ConfigError, DataError
from curate.types import BoolArray, FloatArray, IntArray, Ring

__all__ = [
    "MATCH_IOU",
    "EvalSettings",
    "places_in_slice",
    "settings_from_site",
    "share_inside",
    "site_slices",
]

MATCH_IOU = 0.5
"""Overlap from which a detection is the object: operating points, error kinds and confusion use it."""


@dataclass(frozen=True, slots=True)
class EvalSettings:
    """How detections are scored.

    Attributes:
        score: Operating point: detections below it do not exist for precision, error kinds, per-frame counts.
        recalls: Recalls at which false positives per frame are reported.
        max_detections: Best detections kept per frame and class, as in COCO.
        ignore_regions: Polygons in pixels where nothing counts, for any class.
        min_height: Objects lower than this (pixels) are left out, and so are such detections unless matched.
        min_area: The same for the area of the box in square pixels.
        ignore_occluded: Occluded gold objects count neither for nor against.
        alarms_per_hour: Numbers of false alarms an hour at which the recall is reported.
    """

    score: float = 0.3
    recalls: tuple[float, ...] = (0.85, 0.90, 0.92)
    max_detections: int = 100
    ignore_regions: tuple[Ring, ...] = ()
    min_height: float = 0.0
    min_area: float = 0.0
    ignore_occluded: bool = False
    alarms_per_hour: tuple[float, ...] = (60.0, 600.0)

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 1:
            raise ConfigError(
                f"the operating score lies in [0, 1], got {self.score}", item="evaluation.score"
            )
        if not all(0 < recall <= 1 for recall in self.recalls):
            raise ConfigError(f"recalls lie in (0, 1], got {self.recalls}", item="evaluation.recalls")
        if not all(limit > 0 for limit in self.alarms_per_hour):
            raise ConfigError(
                f"false alarms an hour are above 0, got {self.alarms_per_hour}",
                item="evaluation.alarms_per_hour",
            )
        if self.max_detections < 1:
            raise ConfigError(f"max_detections must be at least 1, got {self.max_detections}")
        for ring in self.ignore_regions:
            if len(ring) < 3 or not all(math.isfinite(value) for point in ring for value in point):
                raise ConfigError(
                    "an ignore region needs at least three finite points", item="ignore_regions"
                )


def settings_from_site(site: SiteConfig) -> EvalSettings:
    """The settings that a site.yaml declares: `evaluation`, and the labelling policy's exceptions."""
    policy = site.policy
    regions = tuple(tuple(region) for region in (*policy.far_zone, *policy.ignore_regions))
    return EvalSettings(
        score=site.evaluation.score,
        recalls=tuple(site.evaluation.recalls),
        alarms_per_hour=tuple(site.evaluation.alarms_per_hour),
        ignore_regions=regions,
        min_height=policy.min_height,
        min_area=policy.min_area,
        ignore_occluded=policy.occluded == "ignore",
    )


def site_slices(
    slices: Sequence[SliceConfig], annotations: Sequence[Annotation], moving: IntArray | None = None
) -> Mapping[str, BoolArray]:
    """The gold objects of each slice of site.yaml.

    Args:
        slices: Declared slices; all conditions of one must hold. A region holds an object whose foot (the
            middle of the box's lower edge) lies in it.
        annotations: Gold labels.
        moving: (G,) 1 moving, 0 parked, -1 unknown, as `moving_objects` gives it; unknown is in neither.

    Raises:
        DataError: A slice asks for moving objects and `moving` is not given.
    """
    boxes = np.asarray([entry.bbox_xyxy for entry in annotations], float).reshape(-1, 4)
    labels = [item.label for item in annotations]
    result: dict[str, BoolArray] = {}
    for entry in slices:
        keep = places_in_slice(entry, boxes, labels)
        if entry.occluded is not None:
            keep &= np.array([item.occluded == entry.occluded for item in annotations], bool)
        if entry.moving is not None:
            if moving is None:
                raise DataError("a slice by `moving` needs the moving flags", item=f"slice {entry.name}")
            keep &= np.asarray(moving) == int(entry.moving)
        result[entry.name] = keep
    return result


def places_in_slice(entry: SliceConfig, boxes: FloatArray, labels: Sequence[str]) -> BoolArray:
    """(N,) which boxes meet a slice's class, region and height; whether they are occluded or move is not asked.

    Args:
        entry: The slice.
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        labels: N classes.
    """
    keep = np.ones(len(boxes), bool)
    heights = boxes[:, 3] - boxes[:, 1]
    if entry.label is not None:
        keep &= np.asarray(labels, object) == entry.label
    if entry.region is not None:
        area = shapely.make_valid(shapely.Polygon(entry.region))
        keep &= shapely.intersects_xy(area, (boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3])
    if entry.min_height is not None:
        keep &= heights >= entry.min_height
    if entry.max_height is not None:
        keep &= heights < entry.max_height
    return keep


def share_inside(boxes: FloatArray, regions: Sequence[Ring]) -> FloatArray:
    """(N,) share in [0, 1] of each box's area that lies in the union of the regions; 0 for an empty box."""
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if not regions or not len(boxes):
        return np.zeros(len(boxes))
    union = shapely.union_all([shapely.make_valid(shapely.Polygon(ring)) for ring in regions])
    rectangles = shapely.box(boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3])
    inside = shapely.area(shapely.intersection(rectangles, union))
    area = np.prod(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None), axis=1)
    return np.asarray(np.divide(inside, area, out=np.zeros(len(boxes)), where=area > 0))
