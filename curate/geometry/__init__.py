"""Boxes, masks and polygons as plain arrays and tuples."""

from curate.geometry.boxes import (
    box_area,
    box_iou,
    box_iou_pairwise,
    clip_boxes,
    xywh_to_xyxy,
    xyxy_to_xywh,
)
from curate.geometry.shapes import Mask, Polygon, Rle

__all__ = [
    "Mask",
    "Polygon",
    "Rle",
    "box_area",
    "box_iou",
    "box_iou_pairwise",
    "clip_boxes",
    "xywh_to_xyxy",
    "xyxy_to_xywh",
]
