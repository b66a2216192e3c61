"""The labelling policy of site.yaml applied: what counts, and what is ignored in scoring, loss and metric alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely

from curate.annotations import Annotation
from curate.config import SiteConfig
from curate.config.schema import PolicyConfig
from curate.types import BoolArray, FloatArray

__all__ = ["apply_policy", "ignored_by_policy"]


def ignored_by_policy(boxes: FloatArray, occluded: BoolArray, policy: PolicyConfig) -> BoolArray:
    """(N,) True where the policy leaves a box out: too small, in a far zone or ignore region, occluded if so said.

    Args:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        occluded: (N,) flags.
        policy: Of the site.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    out = (height < policy.min_height) | (width * height < policy.min_area)
    if policy.occluded == "ignore":
        out |= np.asarray(occluded, bool)
    # The foot point decides where on the ground a thing stands.
    feet = shapely.points((boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3])
    for region in (*policy.far_zone, *policy.ignore_regions):
        area = shapely.make_valid(shapely.Polygon(region))
        shapely.prepare(area)
        out |= shapely.intersects(area, feet)
    return np.asarray(out)


def apply_policy(annotations: Sequence[Annotation], config: SiteConfig) -> list[Annotation]:
    """The same annotations, those that the policy leaves out or whose class is not the site's flagged `ignore`."""
    if not annotations:
        return []
    boxes = np.array([annotation.bbox_xyxy for annotation in annotations])
    occluded = np.array([annotation.occluded for annotation in annotations])
    out = ignored_by_policy(boxes, occluded, config.policy)
    known = set(config.classes)
    return [
        replace(annotation, ignore=True) if left_out or annotation.label not in known else annotation
        for annotation, left_out in zip(annotations, out.tolist(), strict=True)
    ]
