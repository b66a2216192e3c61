"""COCO's format for results: a bare list of predictions, with the images and categories in a file beside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count, groupby
from pathlib import Path
from typing import Any

from curate.errors import DataError, FormatError
from curate.files import write_atomically
from curate.formats._coco_export import export_to_coco
from curate.formats._coco_import import coco_to_labels
from curate.formats._coco_read import CocoReader, DoubledIds
from curate.formats._coco_write import write_coco
from curate.formats._json_stream import JsonList, JsonStream
from curate.formats._peek import peek_json
from curate.formats._sources import single_file
from curate.formats._write import json_list
from curate.formats.labelset import LabelExport, LabelSet
from curate.formats.report import ImportReport

__all__ = ["is_coco_results", "read_coco_results", "write_coco_results"]


def is_coco_results(path: Path) -> bool:
    """A JSON list of objects with image_id, category_id and score."""
    try:
        data = peek_json(single_file(path, ".json"))
    except (FormatError, OSError):
        return False
    keys = {"image_id", "category_id", "score"}
    return isinstance(data, list) and bool(data) and isinstance(data[0], dict) and keys <= set(data[0])


def read_coco_results(path: Path, report: ImportReport, *, images: Path | None = None) -> LabelSet:
    """Read predictions: each becomes a label with its score.

    Kinds of bad items: as `read_coco`, and missing_key for an entry without a score.

    Args:
        path: The list.
        report: Policy and report.
        images: The COCO file whose images and categories the list speaks of; default: beside it, with
            ".images.json" for ".json".

    Raises:
        FormatError: Not such a list, no images file, or a bad item under the policy "fail".
    """
    beside = images or path.with_suffix(".images.json")
    if not beside.is_file():
        raise FormatError(
            "expected the COCO file of its images beside it",
            file=beside,
            hint="say where it is with --images",
        )
    stream = JsonStream(path, what="a list of COCO results")
    doubled, counter = DoubledIds(), count(1)
    found = stream.outline(lambda _, entry: doubled.see(_numbered(entry, next(counter))))
    if not isinstance(found, JsonList):
        raise FormatError("expected a list of COCO results", file=path)
    beside_stream = JsonStream(beside, what="the COCO file of the results' images")
    head = beside_stream.outline()
    if not isinstance(head, dict):
        raise FormatError('expected an object with "images" and "categories"', file=beside)
    outline = {
        key: beside_stream.entries(head[key]) if isinstance(head[key], JsonList) else head[key]
        for key in ("images", "categories")
        if key in head
    }
    entries = (_numbered(entry, number) for number, entry in enumerate(stream.entries(found), start=1))
    report.file = str(path)
    reader = CocoReader({**outline, "annotations": entries}, path, report, doubled.met(), needs=("score",))
    return coco_to_labels(reader)


def _numbered(entry: Any, number: int) -> Any:
    """An entry that has no id of its own gets its place in the list."""
    return {"id": number, **entry} if isinstance(entry, dict) else entry


def write_coco_results(path: Path, export: LabelExport) -> None:
    """Write the labels that have a score as COCO results, and their images and categories beside them.

    Raises:
        DataError: No label has a score: labels of people are no predictions.
        ProjectError: A file cannot be written.
    """
    rows = export.by_frame(masks=False)
    # All of them, so that a class that is not exported is found before the first file is there.
    if not sum(label.score is not None for _, labels in rows for label in labels):
        raise DataError(
            "none of the labels has a score, so that they are no predictions", hint="export them as coco"
        )
    data = export_to_coco(export, scored=True)
    write_coco(path.with_suffix(".images.json"), {**data, "annotations": []})
    results = json_list(_results(data["annotations"]))
    write_atomically(path, chain(results, (b"\n",)), make_folder=False)


def _results(entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each image the surest first, with the keys of COCO's results."""
    keys = ("image_id", "category_id", "bbox", "score", "segmentation", "id", "crossguard_id")
    for _, group in groupby(entries, key=lambda entry: entry["image_id"]):
        for entry in sorted(group, key=lambda entry: (-entry["score"], entry["id"])):
            yield {key: entry[key] for key in keys if key in entry and entry[key] not in ([], None)}
