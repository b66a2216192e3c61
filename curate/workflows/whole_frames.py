"""Embeddings of whole frames: made once per frame, kept for the map and for searching."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.annotations import Frame
from curate.assist import EMBEDDER, weights_path
from curate.embeddings import Embedder, Reducer
from curate.workflows.dataset import working_frames
from curate.workflows.embedding_store import (
    Embedded,
    index_folder,
    keep_index,
    load_vectors,
    save_vectors,
    vectors_path,
)
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project

__all__ = ["embed_frames"]

_AT_ONCE = 16
_SAVE_EVERY = 512


def embed_frames(project: Project, frames: Sequence[Frame], reporter: SubReporter) -> int:
    """Embed those of the working frames that have no vector yet, and keep the index of all.

    Vectors of other working frames stay, and of frames that were excluded since, so that they can be found on the
    map and taken back in.

    Args:
        project: The project.
        frames: The working frames, at least one.
        reporter: Told how far it is.

    Returns:
        How many were embedded now.

    Raises:
        ImageError: A frame's file is missing or broken.
        Cancelled: The user asked to stop; what was embedded is kept up to the last save.
    """
    path = vectors_path(project, Embedded.FRAME)
    known = load_vectors(path)
    missing = [frame for frame in frames if frame.id not in known]
    if missing:
        embedder = Embedder(weights_path(EMBEDDER))
    for start in range(0, len(missing), _AT_ONCE):
        part = missing[start : start + _AT_ONCE]
        reporter.update(start / len(missing), f"embedding frame {start + 1} of {len(missing)}")
        vectors = embedder.frames(project.frame_image(frame) for frame in part)
        known.update({frame.id: vector for frame, vector in zip(part, vectors, strict=True)})
        if (start + _AT_ONCE) % _SAVE_EVERY == 0:
            save_vectors(path, known)
    others = {frame.id for frame in working_frames(project)}
    others |= {frame.id for frame in project.store.frames() if frame.excluded}
    kept = {key: known[key] for key in sorted({frame.id for frame in frames} | (others & set(known)))}
    if missing or len(kept) != len(known):
        save_vectors(path, kept)
    table = np.stack(list(kept.values())).astype(np.float32)
    keep_index(index_folder(project, Embedded.FRAME), list(kept), Reducer.fit(table).transform(table))
    return len(missing)
