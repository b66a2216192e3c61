"""What the maps of labels and of frames share: the layout in the plane, kept between scans, and the folds."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from curate.errors import DataError
from curate.splits import assign_folds, time_blocks
from curate.types import FloatArray
from curate.workflows.dataset import working_frames
from curate.workflows.files import write_atomically
from curate.workflows.project import Project

__all__ = ["kept_layout", "plane", "reduced", "scan_folds"]


def scan_folds(project: Project) -> dict[str, int]:
    """Frame id -> fold of the scan, of the frames whose working labels are judged."""
    split = project.config.split
    frames = working_frames(project, source=project.config.labels.working)
    if not frames:
        return {}
    times = np.array([frame.captured_at for frame in frames])
    blocks = time_blocks(times, [frame.clip for frame in frames], split.block_seconds)
    try:
        folds = assign_folds(blocks, split.folds)
    except DataError:  # Too little footage for folds: nothing was scanned out of fold either.
        return {}
    return {frame.id: int(fold) for frame, fold in zip(frames, folds, strict=True)}


def reduced(vectors: Mapping[str, FloatArray], keys: Sequence[str]) -> FloatArray:
    """(N, D) vectors of the keys in the few dimensions that are enough to search and to lay out."""
    from curate.embeddings import Reducer

    table = np.stack([vectors[key] for key in keys]).astype(np.float32)
    return Reducer.fit(table).transform(table)


def plane(project: Project, vectors: FloatArray) -> FloatArray:
    """(N, 2) places of reduced vectors in about -1..1, the same for the same vectors."""
    from curate.embeddings import project_2d

    return project_2d(vectors, seed=project.config.train.seed)


def kept_layout(
    path: Path, inputs: Sequence[str], make: Callable[[], dict[str, FloatArray]]
) -> dict[str, FloatArray]:
    """Arrays from their file when they were made of the same inputs, else made and written."""
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            if str(data["digest"]) == digest:
                return {name: np.asarray(data[name]) for name in data.files if name != "digest"}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # Not there or broken: made below.
    from threadpoolctl import threadpool_limits

    # Threads that wait for each other spin: beside other work one thread is many times faster than two.
    with threadpool_limits(limits=1):
        arrays = make()
    buffer = io.BytesIO()
    np.savez(buffer, digest=np.array(digest), **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
    return arrays
