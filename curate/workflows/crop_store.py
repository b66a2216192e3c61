"""Embedded crops on disk: what the scan makes and the map reads."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np

from curate.annotations import Annotation
from curate.types import FloatArray
from curate.workflows.files import write_atomically

__all__ = ["crop_key", "load_crops", "save_crops"]


def crop_key(annotation: Annotation) -> str:
    """Name of a label's crop: it changes with the box, not with the class."""
    box = ",".join(f"{value:.2f}" for value in annotation.bbox_xyxy)
    return f"{annotation.frame_id}:{box}"


def load_crops(path: Path) -> dict[str, FloatArray]:
    """Stored vectors by crop; empty when there are none or the file is broken."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return dict(zip(data["keys"].tolist(), data["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def save_crops(path: Path, vectors: dict[str, FloatArray]) -> None:
    """Write them, replacing the file at once."""
    buffer = io.BytesIO()
    np.savez(
        buffer, keys=np.array(list(vectors)), vectors=np.stack(list(vectors.values())).astype(np.float16)
    )
    write_atomically(path, buffer.getvalue())
