"""Checks of the finders' tables: clear errors instead of broadcasting by accident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from curate.errors import DataError
from curate.types import IntArray

__all__ = ["check_array", "check_frames", "check_length"]


def check_array(table: str, name: str, value: Any, rows: int, *shape: int, finite: bool = False) -> Any:
    """A numpy array of shape (rows, *shape); DataError otherwise. None passes."""
    if value is None:
        return None
    array = np.asarray(value)
    if array.shape != (rows, *shape):
        raise DataError(f"{name} needs shape {(rows, *shape)}, got {array.shape}", item=table)
    if finite and array.size and not np.isfinite(array).all():
        bad = int(np.flatnonzero(~np.isfinite(array.reshape(rows, -1)).all(1))[0])
        raise DataError(f"{name} must be finite, row {bad} is {array[bad].tolist()}", item=table)
    return array


def check_frames(table: str, frames: IntArray, count: int) -> None:
    """DataError for a row that points at a frame that is not there."""
    if len(frames) and (frames.min() < 0 or frames.max() >= count):
        bad = int(np.flatnonzero((frames < 0) | (frames >= count))[0])
        raise DataError(
            f"row {bad} points at frame {int(frames[bad])}, but there are {count} frames",
            item=table,
            hint="scan again: the frames have changed since these rows were made",
        )


def check_length(table: str, name: str, value: Sequence[Any] | None, rows: int) -> None:
    """DataError for a sequence of another length; None passes."""
    if value is not None and len(value) != rows:
        raise DataError(f"{name} needs {rows} entries, got {len(value)}", item=table)
