"""FiftyOne, out only: a folder of the type FiftyOneImageDetectionDataset (data/ and labels.json)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from curate.annotations import Annotation, Frame
from curate.formats._write import Stems, write_folder
from curate.formats.labelset import Content, LabelExport

__all__ = ["write_fiftyone"]

_FLAGS = ("occluded", "difficult", "ignore", "iscrowd")
_DIGITS = 8


def write_fiftyone(path: Path, export: LabelExport) -> None:
    """Write what `fiftyone.Dataset.from_dir(dataset_type=fiftyone.types.FiftyOneImageDetectionDataset)` loads.

    Boxes, scores and attributes; that type has no masks. Ids, tracks and flags become attributes.

    Raises:
        DataError: Two frames have one name without its suffix.
        ProjectError: There is something at `path`, or it cannot be written.
    """
    write_folder(path, _files(export))


def _files(export: LabelExport) -> Iterator[tuple[str, Content]]:
    for frame in export.frames():
        image = export.image(frame)
        if image is not None:
            yield f"data/{frame.name}", image
    yield "labels.json", _labels_json(export)


def _labels_json(export: LabelExport) -> Iterator[bytes]:
    """What json.dumps would make of all of it with an indent of 1, entry by entry."""
    stems = Stems()
    classes = json.dumps({"classes": list(export.classes)}, indent=1)
    yield (classes[:-2] + ',\n "labels": {').encode("ascii")
    separator = "\n"
    for frame, labels in export.by_frame(masks=False):
        entry = {stems.stem(frame): [_detection(label, frame, export) for label in labels]}
        text = json.dumps(entry, indent=1, allow_nan=False)[2:-2]
        yield (separator + " " + text.replace("\n", "\n ")).encode("ascii")
        separator = ",\n"
    yield b"}\n}\n" if separator == "\n" else b"\n }\n}\n"


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
