"""COCO: reading with checks, turning into annotations and back, writing byte for byte the same."""

from curate.formats._coco_export import annotations_to_coco
from curate.formats._coco_import import coco_to_annotations, coco_to_labels
from curate.formats._coco_read import CocoReader, open_coco, read_coco
from curate.formats._coco_types import OWN_KEYS, CocoAnnotation, CocoCategory, CocoDataset, CocoImage
from curate.formats._coco_write import coco_bytes, write_coco
from curate.formats.report import ImportReport, Problem

__all__ = [
    "OWN_KEYS",
    "CocoAnnotation",
    "CocoCategory",
    "CocoDataset",
    "CocoImage",
    "CocoReader",
    "ImportReport",
    "Problem",
    "annotations_to_coco",
    "coco_bytes",
    "coco_to_annotations",
    "coco_to_labels",
    "open_coco",
    "read_coco",
    "write_coco",
]
