"""Embeddings of crops and frames on disk: what the scan makes and the maps and searches read."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np

from curate.annotations import Annotation
from curate.errors import DataError
from curate.types import FloatArray
from curate.workflows.files import write_atomically
from curate.workflows.project import Project

__all__ = [
    "Embedded",
    "crop_key",
    "index_folder",
    "keep_index",
    "load_vectors",
    "save_vectors",
    "stored_keys",
    "vectors_path",
]


class Embedded(StrEnum):
    """What a vector is of, and what it is known by: a crop by `crop_key`, a frame by its id."""

    CROP = "crop"
    FRAME = "frame"


def crop_key(annotation: Annotation) -> str:
    """Name of a label's crop: it changes with the box, not with the class."""
    box = ",".join(f"{value:.2f}" for value in annotation.bbox_xyxy)
    return f"{annotation.frame_id}:{box}"


def vectors_path(project: Project, what: Embedded) -> Path:
    """The file of their vectors."""
    return project.cache_dir / "embeddings" / f"{what.value}s.npz"


def index_folder(project: Project, what: Embedded) -> Path:
    """The folder of their faiss index."""
    return project.cache_dir / "embeddings" / f"{what.value}-index"


def load_vectors(path: Path) -> dict[str, FloatArray]:
    """Stored vectors by key; empty when there are none or the file is broken."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return dict(zip(data["keys"].tolist(), data["vectors"], strict=True))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def stored_keys(path: Path) -> frozenset[str]:
    """Only the keys of `load_vectors`: their vectors are not read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return frozenset(data["keys"].tolist())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return frozenset()


def save_vectors(path: Path, vectors: dict[str, FloatArray]) -> None:
    """Write at least one vector, replacing the file at once."""
    buffer = io.BytesIO()
    np.savez(
        buffer, keys=np.array(list(vectors)), vectors=np.stack(list(vectors.values())).astype(np.float16)
    )
    write_atomically(path, buffer.getvalue())


def keep_index(folder: Path, keys: Sequence[str], reduced: FloatArray) -> bool:
    """Save a faiss index of vectors, unless the saved one is whole and of the same keys.

    A key names the pixels that were embedded, so equal keys have equal vectors.

    Args:
        folder: Where it lies.
        keys: N keys; one that comes again (two labels with the same box) is taken once.
        reduced: (N, D) vectors after `curate.embeddings.Reducer`, far smaller than what the model gives.

    Returns:
        Whether it was written.
    """
    from curate.embeddings import CropIndex

    first = {key: row for row, key in reversed(list(enumerate(keys)))}
    ordered = sorted(first)
    try:
        if CropIndex.load(folder).ids == tuple(ordered):
            return False
    except DataError:
        pass  # Not there or broken: made below.
    CropIndex.build(reduced[[first[key] for key in ordered]], ordered).save(folder)
    return True
