"""The embedding map of label crops, and the same a few decisions later without reading all labels again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import Annotation, IssueState
from curate.store import DecisionRecord, Store
from curate.types import FloatArray
from curate.workflows.authors import author_of, authors_of
from curate.workflows.embedding_store import Embedded, crop_key, load_vectors, stored_keys, vectors_path
from curate.workflows.map_file import load_points, save_points
from curate.workflows.map_layout import kept_layout, plane, reduced, scan_folds
from curate.workflows.project import Project

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAP_COLUMNS", "CropMap", "embedding_map", "map_now"]

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
_MOST_CHANGES = 500
"""Decisions after which reading everything again is quicker than reading what they changed."""


class ScanPlaces:
    """What a scan left of places and folds, read when it is first asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @cached_property
    def layout(self) -> Mapping[str, tuple[float, float]]:
        """Crop key -> (x, y), of all that the scan embedded."""
        return _layout(self._project)

    @cached_property
    def folds(self) -> Mapping[str, int]:
        """Frame id -> fold of the scan."""
        return scan_folds(self._project)


@dataclass(frozen=True)
class CropMap:
    """The map as of one moment.

    Attributes:
        points: See `embedding_map`.
        places: Where the scan put things.
        scan: Changes with what a scan left.
        sequence: Of the newest decision that it knows.
        open_issues: How many there were.
        labels: How many working labels there were.
    """

    points: pd.DataFrame
    places: ScanPlaces
    scan: str
    sequence: int
    open_issues: int
    labels: int


def embedding_map(project: Project) -> pd.DataFrame:
    """One row per label that the last scan embedded and that is unchanged since; empty before the first scan.

    Columns: annotation_id, frame_id, x and y in about -1..1, label, issue_type (of its open issue, or ""),
    source (whoever wrote the label as it is: its label source, or the reviewer who changed it), score of the
    source (NaN when unknown), fold (of the frame, from 0; -1 outside of all), box x1, y1, x2, y2, revision. By
    frame and label. The projection is kept until other crops are embedded.
    """
    return map_now(project).points


def map_now(project: Project, known: CropMap | None = None) -> CropMap:
    """The map as it is now.

    Args:
        project: The project.
        known: The map of an earlier moment; None for what an earlier process left in its file, if anything. Where
            only a few decisions were made since, what they changed is read and nothing else.
    """
    newest = project.store.decisions(limit=1)
    sequence = newest[0].sequence if newest else 0
    scan, opened, count = _scan_stamp(project), _open_issues(project.store), _count(project)
    begun = known or _from_file(project)
    if begun is not None and begun.scan == scan and begun.sequence <= sequence:
        records = project.store.decisions(limit=_MOST_CHANGES + 1, after=begun.sequence, oldest_first=True)
        decided = any(record.effects.labels for record in records)
        if (
            len(records) <= _MOST_CHANGES
            and not any(record.effects.frames for record in records)
            and (decided or begun.labels == count)  # Else labels came or went by an import or a purge.
        ):
            now = _changed(project, begun, records, opened, count)
            if known is None and (records or now.open_issues != begun.open_issues):
                _keep(project, now)
            return now
    places = ScanPlaces(project)
    layout = places.layout
    source = project.config.labels.working
    labels = project.store.annotations(source=source, masks=False) if layout else []
    labels = [label for label in labels if crop_key(label) in layout]
    flagged = {label: kind.value for label, kind in project.store.flagged_labels().items()} if labels else {}
    table = _table(labels, authors_of(project, labels), places, flagged)
    made = CropMap(table, places, scan, sequence, opened, count)
    if labels:
        _keep(project, made)
    return made


def _points_path(project: Project) -> Path:
    return project.cache_dir / "embeddings" / "map-points.npz"


def _keep(project: Project, made: CropMap) -> None:
    stamp = (made.scan, made.sequence, made.open_issues, made.labels)
    save_points(_points_path(project), made.points, stamp)


def _from_file(project: Project) -> CropMap | None:
    found = load_points(_points_path(project), MAP_COLUMNS)
    if found is None:
        return None
    points, (scan, sequence, opened, count) = found
    return CropMap(points, ScanPlaces(project), scan, int(sequence), int(opened), int(count))


def _count(project: Project) -> int:
    source = project.config.labels.working
    return next((entry.labels for entry in project.store.sources() if entry.source == source), 0)


def _changed(
    project: Project, known: CropMap, records: Sequence[DecisionRecord], opened: int, count: int
) -> CropMap:
    """The map after a few more decisions."""
    store, source = project.store, project.config.labels.working
    issues = {effect.issue_id: effect for record in records for effect in record.effects.issues}
    touched = {effect.annotation_id for record in records for effect in record.effects.labels}
    touched |= {status.issue.annotation_id or "" for status in store.issue_statuses(issues)}
    frames = set(store.frames_of_labels(touched).values())
    labels = [
        label
        for label in (store.annotations(source, frames, masks=False) if frames else ())
        if label.id in touched and crop_key(label) in known.places.layout
    ]
    authors = [author_of(store, label) for label in labels]
    flagged = {label.id: _open_kind(store, label.id) for label in labels}
    import pandas as pd

    points = known.points
    if touched:
        rows = _table(labels, authors, known.places, flagged)
        left = points[~points["annotation_id"].isin(touched)]
        both = pd.concat([left, rows]) if len(left) and len(rows) else left if len(left) else rows
        points = both.sort_values(["frame_id", "annotation_id"], ignore_index=True)
    moved = sum(
        (effect.after is IssueState.OPEN) - (effect.before is IssueState.OPEN)
        for record in records
        for effect in record.effects.issues
    )
    if known.open_issues + moved != opened:  # Something was sent to the queue, or taken out of it again.
        kinds = {label: kind.value for label, kind in store.flagged_labels().items()}
        points = points.assign(issue_type=[kinds.get(label, "") for label in points["annotation_id"]])
    sequence = records[-1].sequence if records else known.sequence
    return CropMap(points, known.places, known.scan, sequence, opened, count)


def _table(
    labels: Sequence[Annotation],
    authors: Sequence[str],
    where: ScanPlaces,
    flagged: Mapping[str, str],
) -> pd.DataFrame:
    import pandas as pd

    if not labels:
        return pd.DataFrame({name: [] for name in MAP_COLUMNS})
    places = np.array([where.layout[crop_key(label)] for label in labels], float)
    boxes = np.array([label.bbox_xyxy for label in labels])
    return pd.DataFrame(
        {
            "annotation_id": [label.id for label in labels],
            "frame_id": [label.frame_id for label in labels],
            "x": places[:, 0],
            "y": places[:, 1],
            "label": [label.label for label in labels],
            "issue_type": [flagged.get(label.id, "") for label in labels],
            "source": list(authors),
            "score": [np.nan if label.score is None else label.score for label in labels],
            "fold": [where.folds.get(label.frame_id, -1) for label in labels],
            **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
            "revision": [label.revision for label in labels],
        }
    )


def _layout(project: Project) -> dict[str, tuple[float, float]]:
    """Crop key -> place, of all crops that are embedded: what people delete or change does not move the others."""
    path = vectors_path(project, Embedded.CROP)
    keys = sorted(stored_keys(path))
    if not keys:
        return {}

    def lay_out() -> dict[str, FloatArray]:
        return {"points": plane(project, reduced(load_vectors(path), keys))}

    points = kept_layout(project.cache_dir / "embeddings" / "map.npz", keys, lay_out)["points"]
    return dict(zip(keys, map(tuple, points.tolist()), strict=True))


def _scan_stamp(project: Project) -> str:
    state = project.store.artifact("scan", "state")
    path = vectors_path(project, Embedded.CROP)
    written = path.stat().st_mtime_ns if path.exists() else 0
    settings = hashlib.sha256(project.config.model_dump_json().encode()).hexdigest()[:16]
    return f"{state.input_hash if state else ''}-{written}-{settings}"


def _open_issues(store: Store) -> int:
    return sum(entry.count for entry in store.issue_counts() if entry.state is IssueState.OPEN)


def _open_kind(store: Store, label_id: str) -> str:
    found = store.issue_statuses(annotation_id=label_id, states=(IssueState.OPEN,))
    return found[0].issue.type.value if found else ""
