"""Where frames lie in the space of their embeddings, and which frames and label crops are most alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import GOLD_SOURCE
from curate.errors import DataError
from curate.splits import time_blocks
from curate.types import FloatArray
from curate.workflows.coverage import covered_frames
from curate.workflows.crop_map import embedding_map
from curate.workflows.dataset import working_frames
from curate.workflows.embedding_store import (
    Embedded,
    crop_key,
    index_folder,
    keep_index,
    load_vectors,
    stored_keys,
    vectors_path,
)
from curate.workflows.map_layout import kept_layout, plane, reduced, scan_folds
from curate.workflows.project import Project

if TYPE_CHECKING:
    import pandas as pd

    from curate.embeddings import CropIndex

__all__ = [
    "FRAME_COLUMNS",
    "Alike",
    "frame_map",
    "lay_out_maps",
    "similar_crops",
    "similar_frames",
]

FRAME_COLUMNS = (
    "frame_id",
    "x",
    "y",
    "name",
    "clip",
    "labels",
    "open_issues",
    "excluded",
    "outlier",
    "fold",
    "labelled_by",
)


@dataclass(frozen=True, slots=True)
class Alike:
    """A label or frame and its cosine similarity in [-1, 1] to the one asked about."""

    id: str
    similarity: float


def frame_map(project: Project) -> pd.DataFrame:
    """One row per frame that the last scan embedded, by recording and time; empty before the first scan.

    Columns: frame_id, x and y in about -1..1, name, clip, labels and open_issues (counts), excluded, outlier
    in [0, 1] (0.5 usual, 1 unlike every frame of other blocks of time; NaN when there are too few to compare
    with), fold (from 0; -1 outside of all), labelled_by (sources that looked at it, joined by " + "). The
    projection is kept until other frames are embedded; excluding a frame does not move it.
    """
    import pandas as pd

    path = vectors_path(project, Embedded.FRAME)
    known = stored_keys(path)
    working = {frame.id for frame in working_frames(project)}
    frames = [f for f in project.store.frames() if f.id in known and (f.excluded or f.id in working)]
    if not frames:
        return pd.DataFrame({name: [] for name in FRAME_COLUMNS})
    seconds = project.config.split.block_seconds
    keys = [frame.id for frame in frames]

    def lay_out() -> dict[str, FloatArray]:
        from curate.embeddings import outlier_distance

        vectors = reduced(load_vectors(path), keys)
        times = np.array([frame.captured_at for frame in frames], float)
        blocks = time_blocks(times, [frame.clip for frame in frames], seconds)
        # Frames have no classes: all are compared with all of other moments.
        far = outlier_distance(vectors, np.zeros(len(frames), np.int64), blocks)
        return {"points": plane(project, vectors), "outlier": far.score}

    layout = kept_layout(project.cache_dir / "embeddings" / "frame-map.npz", [f"{seconds} s", *keys], lay_out)
    labels = project.store.label_counts(project.config.labels.working)
    issues = project.store.open_by_frame()
    folds = scan_folds(project)
    covered = {
        entry.source: covered_frames(project, entry.source)
        for entry in project.store.sources()
        if entry.source != GOLD_SOURCE
    }
    return pd.DataFrame(
        {
            "frame_id": keys,
            "x": layout["points"][:, 0],
            "y": layout["points"][:, 1],
            "name": [frame.name for frame in frames],
            "clip": [frame.clip for frame in frames],
            "labels": [labels.get(key, 0) for key in keys],
            "open_issues": [issues.get(key, 0) for key in keys],
            "excluded": [frame.excluded for frame in frames],
            "outlier": layout["outlier"],
            "fold": [folds.get(key, -1) for key in keys],
            "labelled_by": [" + ".join(name for name in covered if key in covered[name]) for key in keys],
        }
    )


def lay_out_maps(project: Project) -> None:
    """Project crops and frames to the plane now, so that the pages need not; what is there already is kept."""
    embedding_map(project)
    frame_map(project)


def similar_crops(project: Project, annotation_id: str, count: int) -> list[Alike]:
    """At most `count` other working labels whose crops are most alike, best first.

    Empty when the label has not been scanned as it is now.

    Raises:
        NotFoundError: There is no such label.
    """
    own = crop_key(project.store.annotation(annotation_id))

    def owners(keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
        # Only of the frames in question: a project may hold millions of labels.
        frames = {key.partition(":")[0] for key in keys}
        labels: dict[str, list[str]] = defaultdict(list)
        for annotation in project.store.annotations(project.config.labels.working, frames):
            if annotation.id != annotation_id:
                labels[crop_key(annotation)].append(annotation.id)
        return labels

    return _nearest(project, Embedded.CROP, own, owners, count)


def similar_frames(project: Project, frame_id: str, count: int) -> list[Alike]:
    """At most `count` other frames that are most alike, best first; empty when the frame has not been scanned.

    Raises:
        NotFoundError: There is no such frame.
    """
    own = project.store.frame(frame_id).id

    def owners(keys: Sequence[str]) -> Mapping[str, Sequence[str]]:
        return {frame.id: [frame.id] for frame in project.store.frames(ids=keys) if frame.id != own}

    return _nearest(project, Embedded.FRAME, own, owners, count)


def _nearest(
    project: Project,
    what: Embedded,
    own: str,
    owners: Callable[[Sequence[str]], Mapping[str, Sequence[str]]],
    count: int,
) -> list[Alike]:
    """Ids behind the keys nearest to `own`; keys without ids (labels changed since the scan) are passed over."""
    index = _index(project, what)
    if index is None or own not in index.ids:
        return []
    vector = index.vectors[index.ids.index(own)]
    depth = 2 * count + 8
    while True:
        rows, similar = index.search(vector, min(depth, len(index)))
        hits = [
            (index.ids[row], float(value))
            for row, value in zip(rows[0].tolist(), similar[0].tolist(), strict=True)
            if row >= 0
        ]
        ids = owners([key for key, _ in hits])
        found = [Alike(name, value) for key, value in hits for name in ids.get(key, ())]
        if len(found) >= count or depth >= len(index):
            return found[:count]
        depth *= 4


def _index(project: Project, what: Embedded) -> CropIndex | None:
    """The saved index, made anew from the vectors when it is missing or broken; None without vectors."""
    folder = index_folder(project, what)
    try:
        return _load_index(folder, _stamp(folder))
    except DataError:
        vectors = load_vectors(vectors_path(project, what))
    if not vectors:
        return None
    keys = list(vectors)
    keep_index(folder, keys, reduced(vectors, keys))
    return _load_index(folder, _stamp(folder))


def _stamp(folder: Path) -> int:
    record = folder / "index.json"
    return record.stat().st_mtime_ns if record.exists() else 0


@lru_cache(maxsize=4)
def _load_index(folder: Path, _when: int) -> CropIndex:
    from curate.embeddings import CropIndex

    return CropIndex.load(folder)
