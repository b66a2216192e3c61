"""Detections of many frames in one Parquet file, written atomically."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from curate.errors import DataError
from curate.geometry.rle import rle_from_coco, rle_to_coco
from curate.geometry.shapes import Rle
from curate.tables import Detections
from curate.workflows.files import write_atomically

__all__ = ["read_detections", "write_detections"]

_COLUMNS = ("frame_id", "x1", "y1", "x2", "y2", "score", "class", "mask_height", "mask_width", "mask_counts")


def write_detections(path: Path, detections: Mapping[str, Detections]) -> None:
    """Write detections by frame id; a frame without any is kept as a row without a box."""
    rows: dict[str, list[object]] = {name: [] for name in _COLUMNS}
    for frame_id, found in detections.items():
        if not len(found):
            for name, value in zip(_COLUMNS, (frame_id, *[None] * 9), strict=True):
                rows[name].append(value)
        for index in range(len(found)):
            mask = rle_to_coco(found.masks[index]) if found.masks is not None else None
            size = (None, None, None) if mask is None else (*mask["size"], mask["counts"])
            values = (
                frame_id,
                *found.boxes[index].tolist(),
                float(found.scores[index]),
                int(found.classes[index]),
                *size,
            )
            for name, value in zip(_COLUMNS, values, strict=True):
                rows[name].append(value)
    text, number, whole = pa.string(), pa.float64(), pa.int32()
    types = (text, number, number, number, number, number, whole, whole, whole, text)
    table = pa.table({name: pa.array(rows[name], kind) for name, kind in zip(_COLUMNS, types, strict=True)})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def read_detections(path: Path, frame_ids: Sequence[str]) -> list[Detections]:
    """Detections of the given frames, in their order.

    Raises:
        DataError: The file is missing or broken, or a frame is not in it.
    """
    try:
        data = pq.read_table(path, columns=list(_COLUMNS)).to_pydict()
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"predictions cannot be read: {error}", file=path, hint="evaluate the run again"
        ) from error
    by_frame: dict[str, list[int]] = {}
    for index, frame_id in enumerate(data["frame_id"]):
        by_frame.setdefault(frame_id, []).append(index)
    result = []
    for frame_id in frame_ids:
        if frame_id not in by_frame:
            raise DataError(
                "the predictions lack a frame", file=path, item=frame_id, hint="evaluate the run again"
            )
        rows = [index for index in by_frame[frame_id] if data["score"][index] is not None]
        boxes = np.array([[data[side][i] for side in ("x1", "y1", "x2", "y2")] for i in rows], float)
        masks: tuple[Rle, ...] | None = None
        if rows and data["mask_counts"][rows[0]] is not None:
            masks = tuple(
                rle_from_coco(
                    {
                        "size": [data["mask_height"][i], data["mask_width"][i]],
                        "counts": data["mask_counts"][i],
                    }
                )
                for i in rows
            )
        result.append(
            Detections(
                boxes.reshape(-1, 4),
                np.array([data["score"][i] for i in rows], float),
                np.array([data["class"][i] for i in rows], np.int64),
                masks,
            )
        )
    return result
