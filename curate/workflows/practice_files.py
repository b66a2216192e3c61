"""The finders' tables of a practice in one file, so that the classifiers can learn from them again at any time.

Tables are kept rather than the rows that classifiers read: evidence that a newer program derives from them in
another way needs no detector to run again.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.annotations import IssueType, Polygon
from curate.errors import DataError, FormatError
from curate.geometry.shapes import Rle
from curate.issues import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    FrameHealth,
    FrameTable,
    HintTable,
    InjectedError,
    LabelEvidence,
    LabelTable,
    PlaceEvidence,
)
from curate.store.serialize import mask_from_dict, mask_to_dict
from curate.types import BoolArray
from curate.workflows.files import write_atomically

__all__ = ["Practice", "load_practice", "save_practice"]

_TABLES: Mapping[str, type] = {
    "frames": FrameTable,
    "frames/health": FrameHealth,
    "labels": LabelTable,
    "detections": DetectionTable,
    "label_evidence": LabelEvidence,
    "label_evidence/places": PlaceEvidence,
    "detection_evidence": DetectionEvidence,
    "detection_evidence/places": PlaceEvidence,
    "hints": HintTable,
}


@dataclass(frozen=True)
class Practice:
    """Errors put into copies of labels, and what the judges and the camera say about the result.

    Attributes:
        inputs: Tables and evidence of the corrupted labels.
        errors: What is wrong with them.
        frames: (F,) True for the frames on which errors were put: the others teach nothing.
    """

    inputs: FinderInputs
    errors: tuple[InjectedError, ...]
    frames: BoolArray


def save_practice(path: Path, key: str, practice: Practice | None) -> None:
    """Write it down under the digest of what it depends on; None where there were too few labels to practise on."""
    arrays: dict[str, Any] = {}
    text: dict[str, Any] = {"key": key, "errors": None}
    if practice is not None:
        text["errors"] = [_error_to_dict(error) for error in practice.errors]
        arrays["/frames"] = practice.frames
        for name, value in _leaves(practice.inputs, ""):
            if isinstance(value, tuple):
                text[name] = [_plain(entry) for entry in value]
            else:
                arrays[name] = value
    buffer = io.BytesIO()
    np.savez_compressed(buffer, text=np.frombuffer(json.dumps(text).encode(), np.uint8), **arrays)
    write_atomically(path, buffer.getvalue())


def load_practice(path: Path, key: str) -> tuple[Practice | None] | None:
    """What was kept, in a tuple of one; None when it is missing, broken, or of another key."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            text = json.loads(data["text"].tobytes())
            if text.pop("key") != key:
                return None
            errors = text.pop("errors")
            if errors is None:
                return (None,)
            values: dict[str, Any] = {name: data[name] for name in data.files if name != "text"}
        kept = values.pop("/frames")
        values |= {name: tuple(_entry(entry) for entry in entries) for name, entries in text.items()}
        return (Practice(_inputs(values), tuple(_error_from_dict(error) for error in errors), kept),)
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, DataError, FormatError):
        return None


def _leaves(table: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every column that is there, under its path."""
    for entry in fields(table):
        value = getattr(table, entry.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{entry.name}/")
        elif value is not None:
            yield f"{prefix}{entry.name}", value if isinstance(value, tuple) else np.asarray(value)


def _inputs(values: Mapping[str, Any]) -> FinderInputs:
    tables: dict[str, dict[str, Any]] = {name: {} for name in _TABLES}
    for path, value in values.items():
        table, _, column = path.rpartition("/")
        tables[table][column] = value
    # Deepest first: a table goes into the one that holds it.
    for name in sorted(_TABLES, key=lambda name: -name.count("/")):
        outer, _, column = name.rpartition("/")
        if outer and tables[name]:
            tables[outer][column] = _TABLES[name](**tables[name])
    return FinderInputs(**{name: _TABLES[name](**tables[name]) for name in _TABLES if "/" not in name})


def _plain(value: Any) -> Any:
    """Ids, words, and masks as JSON; anything else goes through as it is."""
    if isinstance(value, Rle) or (isinstance(value, tuple) and value and isinstance(value[0], Polygon)):
        return mask_to_dict(value)
    return value


def _entry(value: Any) -> Any:
    if isinstance(value, dict):
        return mask_from_dict(value)
    return tuple(value) if isinstance(value, list) else value


def _error_to_dict(error: InjectedError) -> dict[str, Any]:
    return {
        "type": error.type.value,
        "kind": error.kind,
        "annotation_id": error.annotation_id,
        "frame_id": error.frame_id,
        "true_box": error.true_box,
        "also": [kind.value for kind in error.also],
    }


def _error_from_dict(value: Mapping[str, Any]) -> InjectedError:
    """What learning needs; the true mask and class are not kept."""
    box = value["true_box"]
    return InjectedError(
        IssueType(value["type"]), value["kind"], value["annotation_id"], value["frame_id"],
        None if box is None else (box[0], box[1], box[2], box[3]), None, None, -1,
        tuple(IssueType(kind) for kind in value["also"]),
    )  # fmt: skip
