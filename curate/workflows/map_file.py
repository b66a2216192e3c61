"""The points of the embedding map in a file, so that a server that starts finds them read already."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.types import IntArray
from curate.workflows.files import write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NAMES", "NUMBERS", "load_points", "save_points"]

NAMES = ("annotation_id", "frame_id", "label", "issue_type", "source")
NUMBERS = ("x", "y", "score", "fold", "x1", "y1", "x2", "y2", "revision")
_FORMAT = 1


def save_points(path: Path, points: pd.DataFrame, stamp: tuple[Any, ...]) -> None:
    """Write the columns as arrays, replacing the file at once; names that come again are written once.

    Args:
        path: The file.
        points: See `crop_map.embedding_map`.
        stamp: Strings and whole numbers that say of when they are.
    """
    import pandas as pd

    arrays: dict[str, Any] = {name: points[name].to_numpy() for name in NUMBERS}
    for name in NAMES:
        codes, names = pd.factorize(points[name])
        arrays[f"{name}.code"] = codes.astype(np.uint32)
        arrays[f"{name}.names"] = np.array([value.encode() for value in names] or [b""])
    buffer = io.BytesIO()
    np.savez(buffer, stamp=_stamp(stamp), **arrays)
    write_atomically(path, buffer.getvalue())


def load_points(path: Path, columns: tuple[str, ...]) -> tuple[pd.DataFrame, list[str]] | None:
    """The points in the order of the columns and the parts of their stamp; None where there is no such whole file."""
    import pandas as pd

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            form, *stamp = data["stamp"].tolist()
            if form != str(_FORMAT):
                return None
            found = {name: data[name] for name in NUMBERS}
            for name in NAMES:
                found[name] = _named(data[f"{name}.code"], data[f"{name}.names"])
    except (OSError, ValueError, KeyError, EOFError, IndexError, zipfile.BadZipFile):
        return None
    return pd.DataFrame({name: found[name] for name in columns}), stamp


def _stamp(parts: tuple[Any, ...]) -> np.ndarray[Any, np.dtype[np.str_]]:
    return np.array([str(part) for part in (_FORMAT, *parts)])


def _named(codes: IntArray, names: np.ndarray[Any, np.dtype[np.bytes_]]) -> list[str]:
    known = np.array([name.decode() for name in names.tolist()], object)
    values: list[str] = known[codes].tolist()
    return values
