"""Where label crops lie in the space of their embeddings, for the map page."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import IssueState
from curate.workflows.crop_store import crop_key, load_crops
from curate.workflows.files import write_atomically
from curate.workflows.project import Project

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAP_COLUMNS", "embedding_map"]

MAP_COLUMNS = ("annotation_id", "frame_id", "x", "y", "label", "issue_type", "source", "score")


def embedding_map(project: Project) -> pd.DataFrame:
    """One row per label that the last scan embedded and that is unchanged since; empty before the first scan.

    Columns: annotation_id, frame_id, x and y in about -1..1, label, issue_type (of its open issue, or ""),
    source, score of the source (NaN when unknown). The projection is kept until other crops are embedded.
    """
    import pandas as pd

    vectors = load_crops(project.cache_dir / "embeddings" / "crops.npz")
    source = project.config.labels.working
    annotations = [a for a in project.store.annotations(source=source) if crop_key(a) in vectors]
    if not annotations:
        return pd.DataFrame({name: [] for name in MAP_COLUMNS})
    keys = [crop_key(annotation) for annotation in annotations]
    points = _points(project, keys, np.stack([vectors[key] for key in keys]).astype(np.float32))
    flagged = {
        status.issue.annotation_id: status.issue.type.value
        for status in project.store.issue_statuses(states=(IssueState.OPEN,))
        if status.issue.annotation_id is not None
    }
    return pd.DataFrame(
        {
            "annotation_id": [annotation.id for annotation in annotations],
            "frame_id": [annotation.frame_id for annotation in annotations],
            "x": points[:, 0],
            "y": points[:, 1],
            "label": [annotation.label for annotation in annotations],
            "issue_type": [flagged.get(annotation.id, "") for annotation in annotations],
            "source": [annotation.source for annotation in annotations],
            "score": [np.nan if annotation.score is None else annotation.score for annotation in annotations],
        }
    )


def _points(project: Project, keys: list[str], vectors: np.ndarray) -> np.ndarray:
    path = project.cache_dir / "embeddings" / "map.npz"
    digest = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    try:
        with np.load(path, allow_pickle=False) as data:
            if str(data["digest"]) == digest:
                return np.asarray(data["points"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass  # Not there or broken: made below.
    from curate.embeddings import Reducer, project_2d

    points = project_2d(Reducer.fit(vectors).transform(vectors), seed=project.config.train.seed)
    buffer = io.BytesIO()
    np.savez(buffer, digest=np.array(digest), points=points)
    write_atomically(path, buffer.getvalue())
    return points
