"""Embeddings of label crops: made once per label revision, compared with their nearest neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from curate.annotations import Annotation
from curate.assist import EMBEDDER, weights_path
from curate.embeddings import Embedder, Reducer, knn_agreement, outlier_distance
from curate.types import FloatArray
from curate.workflows.dataset import LabelledFrame
from curate.workflows.embedding_store import (
    Embedded,
    crop_key,
    index_folder,
    keep_index,
    load_vectors,
    save_vectors,
    vectors_path,
)
from curate.workflows.frame_evidence import sorted_labels
from curate.workflows.judges import Folds
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project
from curate.workflows.scan_tables import Neighbours

__all__ = ["compare_crops", "crop_neighbours", "embed_crops"]

_SAVE_EVERY = 500


def crop_neighbours(
    project: Project, labelled: Sequence[LabelledFrame], folds: Folds, reporter: SubReporter
) -> tuple[Neighbours, int]:
    """Agreement and outlier distance of every label, and how many crops were embedded now; keeps the index."""
    vectors, embedded = embed_crops(project, labelled, reporter)
    labels = [annotation for entry in labelled for annotation in sorted_labels(entry)]
    reduced = Reducer.fit(vectors).transform(vectors)
    keep_index(index_folder(project, Embedded.CROP), [crop_key(label) for label in labels], reduced)
    return compare_crops(project, labelled, folds, reduced), embedded


def compare_crops(
    project: Project, labelled: Sequence[LabelledFrame], folds: Folds, reduced: FloatArray
) -> Neighbours:
    """What the nearest crops say about every label.

    Args:
        project: The project.
        labelled: F frames with L labels in all.
        folds: Their split.
        reduced: (L, D) vectors by frame and label id; a row of NaN is unknown and stays unknown.
    """
    labels = [annotation for entry in labelled for annotation in sorted_labels(entry)]
    classes = {name: index for index, name in enumerate(project.config.classes)}
    class_of = np.array([classes.get(annotation.label, len(classes)) for annotation in labels])
    blocks = np.array(
        [
            block
            for entry, block in zip(labelled, folds.blocks.tolist(), strict=True)
            for _ in entry.annotations
        ]
    )
    known = np.flatnonzero(np.isfinite(reduced).all(1))
    tracks = [labels[row].track_id for row in known.tolist()]
    rows = (reduced[known], class_of[known], blocks[known], tracks)
    agreement, outlier = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    agreement[known] = knn_agreement(*rows, k=project.config.scan.neighbours).share
    outlier[known] = outlier_distance(*rows).score
    return Neighbours(agreement, outlier)


def embed_crops(
    project: Project, labelled: Sequence[LabelledFrame], reporter: SubReporter
) -> tuple[FloatArray, int]:
    """(L, 1280) vectors of all labels, by frame and id, and how many were made now."""
    path = vectors_path(project, Embedded.CROP)
    known = load_vectors(path)
    wanted = [crop_key(annotation) for entry in labelled for annotation in sorted_labels(entry)]
    missing: dict[int, list[Annotation]] = defaultdict(list)
    for at, entry in enumerate(labelled):
        for annotation in sorted_labels(entry):
            if crop_key(annotation) not in known:
                missing[at].append(annotation)
    total = sum(len(rows) for rows in missing.values())
    if total:
        embedder = Embedder(weights_path(EMBEDDER))
        made = unsaved = 0
        for at, rows in missing.items():
            reporter.update(made / total, f"embedding crop {made + 1} of {total}")
            image = project.frame_image(labelled[at].frame)
            vectors = embedder.crops(image, np.array([annotation.bbox_xyxy for annotation in rows], float))
            known.update({crop_key(a): vector for a, vector in zip(rows, vectors, strict=True)})
            made, unsaved = made + len(rows), unsaved + len(rows)
            if unsaved >= _SAVE_EVERY:
                save_vectors(path, known)
                unsaved = 0
        save_vectors(path, {key: known[key] for key in wanted})
    return np.stack([known[key] for key in wanted]).astype(np.float32), total
