"""Where label crops and frames lie in the space of their embeddings, and what is most alike."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import GOLD_SOURCE, Annotation
from curate.errors import DataError
from curate.splits import assign_folds, time_blocks
from curate.types import FloatArray
from curate.workflows.coverage import covered_frames
from curate.workflows.dataset import working_frames
from curate.workflows.decided import standing_decisions
from curate.workflows.embedding_store import (
    Embedded,
    crop_key,
    index_folder,
    keep_index,
    load_vectors,
    stored_keys,
    vectors_path,
)
from curate.workflows.files import write_atomically
from curate.workflows.project import Project

if TYPE_CHECKING:
    import pandas as pd

    from curate.embeddings import CropIndex

__all__ = [
    "FRAME_COLUMNS",
    "MAP_COLUMNS",
    "Alike",
    "embedding_map",
    "frame_map",
    "lay_out_maps",
    "similar_crops",
    "similar_frames",
]

MAP_COLUMNS = (
    "annotation_id",
    "frame_id",
    "x",
    "y",
    "label",
    "issue_type",
    "source",
    "score",
    "fold",
    "x1",
    "y1",
    "x2",
    "y2",
    "revision",
)
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


def embedding_map(project: Project) -> pd.DataFrame:
    """One row per label that the last scan embedded and that is unchanged since; empty before the first scan.

    Columns: annotation_id, frame_id, x and y in about -1..1, label, issue_type (of its open issue, or ""),
    source (whoever wrote the label as it is: its label source, or the reviewer who changed it), score of the
    source (NaN when unknown), fold (of the frame, from 0; -1 outside of all), box x1, y1, x2, y2, revision. The
    projection is kept until other crops are embedded.
    """
    import pandas as pd

    path = vectors_path(project, Embedded.CROP)
    known = stored_keys(path)
    source = project.config.labels.working
    annotations = [a for a in project.store.annotations(source=source, masks=False) if crop_key(a) in known]
    if not annotations:
        return pd.DataFrame({name: [] for name in MAP_COLUMNS})
    keys = [crop_key(annotation) for annotation in annotations]

    def lay_out() -> dict[str, FloatArray]:
        return {"points": _project(project, _reduced(load_vectors(path), keys))}

    points = _kept(project.cache_dir / "embeddings" / "map.npz", keys, lay_out)["points"]
    # Of several the most severe, which comes first.
    flagged = {label: kind.value for label, _, kind in reversed(project.store.open_subjects()) if label}
    folds = _folds(project)
    boxes = np.array([annotation.bbox_xyxy for annotation in annotations])
    return pd.DataFrame(
        {
            "annotation_id": [annotation.id for annotation in annotations],
            "frame_id": [annotation.frame_id for annotation in annotations],
            "x": points[:, 0],
            "y": points[:, 1],
            "label": [annotation.label for annotation in annotations],
            "issue_type": [flagged.get(annotation.id, "") for annotation in annotations],
            "source": _authors(project, annotations),
            "score": [np.nan if annotation.score is None else annotation.score for annotation in annotations],
            "fold": [folds.get(annotation.frame_id, -1) for annotation in annotations],
            **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
            "revision": [annotation.revision for annotation in annotations],
        }
    )


def _authors(project: Project, annotations: Sequence[Annotation]) -> list[str]:
    """Who wrote each label as it is now: its label source, or the person whose decision made this revision."""
    edited = {
        effect.annotation_id: record.decision.reviewer
        for record in standing_decisions(project)
        for effect in record.effects.labels
    }
    return [
        edited.get(annotation.id, annotation.source) if annotation.revision else annotation.source
        for annotation in annotations
    ]


def _folds(project: Project) -> dict[str, int]:
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

        reduced = _reduced(load_vectors(path), keys)
        times = np.array([frame.captured_at for frame in frames], float)
        blocks = time_blocks(times, [frame.clip for frame in frames], seconds)
        # Frames have no classes: all are compared with all of other moments.
        far = outlier_distance(reduced, np.zeros(len(frames), np.int64), blocks)
        return {"points": _project(project, reduced), "outlier": far.score}

    layout = _kept(project.cache_dir / "embeddings" / "frame-map.npz", [f"{seconds} s", *keys], lay_out)
    labels = Counter(
        a.frame_id for a in project.store.annotations(source=project.config.labels.working, masks=False)
    )
    issues = Counter(frame_id for _, frame_id, _ in project.store.open_subjects())
    folds = _folds(project)
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
            "labels": [labels[key] for key in keys],
            "open_issues": [issues[key] for key in keys],
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
    keep_index(folder, keys, _reduced(vectors, keys))
    return _load_index(folder, _stamp(folder))


def _stamp(folder: Path) -> int:
    record = folder / "index.json"
    return record.stat().st_mtime_ns if record.exists() else 0


@lru_cache(maxsize=4)
def _load_index(folder: Path, _when: int) -> CropIndex:
    from curate.embeddings import CropIndex

    return CropIndex.load(folder)


def _reduced(vectors: Mapping[str, FloatArray], keys: Sequence[str]) -> FloatArray:
    from curate.embeddings import Reducer

    table = np.stack([vectors[key] for key in keys]).astype(np.float32)
    return Reducer.fit(table).transform(table)


def _project(project: Project, reduced: FloatArray) -> FloatArray:
    from curate.embeddings import project_2d

    return project_2d(reduced, seed=project.config.train.seed)


def _kept(
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
