"""FiftyOne, out only: a folder of the type FiftyOneImageDetectionDataset (data/ and labels.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from curate.annotations import Annotation, Frame
from curate.formats._write import companion_files, write_folder
from curate.formats.labelset import Content, LabelExport

__all__ = ["write_fiftyone"]

_FLAGS = ("occluded", "difficult", "ignore", "iscrowd")
_DIGITS = 8


def write_fiftyone(path: Path, export: LabelExport) -> None:
    """Write what `fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.FiftyOneImageDetectionDataset)` loads.

    Boxes, scores and attributes; that type has no masks. Ids, tracks and flags become attributes.

    Raises:
        ProjectError: There is something at `path`, or it cannot be written.
    """
    rows = {
        frame.name.rpartition(".")[0] or frame.name: [_detection(label, frame, export) for label in labels]
        for frame, labels in export.by_frame()
    }
    data = {"classes": list(export.classes), "labels": rows}
    files: dict[str, Content] = dict(companion_files(export, "data"))
    files["labels.json"] = (json.dumps(data, indent=1, allow_nan=False) + "\n").encode("ascii")
    write_folder(path, files)


def _detection(label: Annotation, frame: Frame, export: LabelExport) -> dict[str, Any]:
    x1, y1, x2, y2 = label.bbox_xyxy
    shares = (x1 / frame.width, y1 / frame.height, (x2 - x1) / frame.width, (y2 - y1) / frame.height)
    attributes = dict(label.attributes)
    attributes.update({name: True for name in _FLAGS if getattr(label, name)})
    attributes["crossguard_id"] = export.own_id(label)
    if label.track_id is not None:
        attributes["track_id"] = label.track_id
    entry: dict[str, Any] = {
        "label": label.label,
        "bounding_box": [round(value, _DIGITS) + 0.0 for value in shares],
        "attributes": attributes,
    }
    if label.score is not None:
        entry["confidence"] = label.score
    return entry
