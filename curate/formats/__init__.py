"""Files in and out: frames from recordings and images, labels in every format of `FORMATS` (docs/formats.md)."""

from curate.formats._place import Placed, Placing, place_labels
from curate.formats.coco import (
    CocoDataset,
    annotations_to_coco,
    coco_to_annotations,
    read_coco,
    write_coco,
)
from curate.formats.cvat import CvatVideo, cvat_to_annotations, read_cvat_video
from curate.formats.labelset import Content, FileLabel, LabelExport, LabelSet, Picture
from curate.formats.lookup import FrameLookup
from curate.formats.media import MediaItem, Rejected, decode_image, read_images, read_video
from curate.formats.registry import (
    FORMATS,
    Format,
    ReadOptions,
    detect_format,
    get_format,
    open_labels,
    read_labels,
)
from curate.formats.report import ImportReport, OnError, Problem

__all__ = [
    "FORMATS",
    "CocoDataset",
    "Content",
    "CvatVideo",
    "FileLabel",
    "Format",
    "FrameLookup",
    "ImportReport",
    "LabelExport",
    "LabelSet",
    "MediaItem",
    "OnError",
    "Picture",
    "Placed",
    "Placing",
    "Problem",
    "ReadOptions",
    "Rejected",
    "annotations_to_coco",
    "coco_to_annotations",
    "cvat_to_annotations",
    "decode_image",
    "detect_format",
    "get_format",
    "open_labels",
    "place_labels",
    "read_coco",
    "read_cvat_video",
    "read_images",
    "read_labels",
    "read_video",
    "write_coco",
]
