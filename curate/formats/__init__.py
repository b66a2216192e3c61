"""Files in and out: frames from recordings and images, labels from COCO and CVAT, labels to COCO."""

from curate.formats.coco import (
    CocoDataset,
    annotations_to_coco,
    coco_to_annotations,
    read_coco,
    write_coco,
)
from curate.formats.cvat import CvatVideo, cvat_to_annotations, read_cvat_video
from curate.formats.media import MediaItem, Rejected, decode_image, read_images, read_video
from curate.formats.report import ImportReport, Problem

__all__ = [
    "CocoDataset",
    "CvatVideo",
    "ImportReport",
    "MediaItem",
    "Problem",
    "Rejected",
    "annotations_to_coco",
    "coco_to_annotations",
    "cvat_to_annotations",
    "decode_image",
    "read_coco",
    "read_cvat_video",
    "read_images",
    "read_video",
    "write_coco",
]
