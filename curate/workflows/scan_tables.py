"""Evidence of many frames put together into the tables that the finders read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import Annotation
from curate.geometry.shapes import Rle
from curate.issues import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    FrameHealth,
    FrameTable,
    LabelEvidence,
    LabelTable,
)
from curate.scene.sizes import SizePrior
from curate.types import BoolArray, FloatArray, IntArray
from curate.workflows.dataset import LabelledFrame
from curate.workflows.frame_evidence import FrameEvidence, sorted_labels
from curate.workflows.judges import Folds

__all__ = ["Neighbours", "finder_inputs"]


@dataclass(frozen=True)
class Neighbours:
    """What the nearest crops say about L labels; NaN where it is unknown.

    Attributes:
        agreement: (L,) share of the nearest crops with the same class.
        outlier: (L,) in [0, 1].
    """

    agreement: FloatArray
    outlier: FloatArray


def finder_inputs(
    labelled: Sequence[LabelledFrame],
    folds: Folds,
    evidence: Sequence[FrameEvidence],
    classes: Sequence[str],
    health: FrameHealth,
    reviewed: Mapping[str, int],
    neighbours: Neighbours | None,
) -> FinderInputs:
    """All tables, labels by frame and id, detections by frame and score.

    Args:
        labelled: F frames with labels.
        folds: Their split.
        evidence: One per frame.
        classes: Class names.
        health: Of the pictures.
        reviewed: Label id -> revision that a person has decided on.
        neighbours: Rows in the order of the labels; None when there are no embeddings.
    """
    labels = [(at, annotation) for at, entry in enumerate(labelled) for annotation in sorted_labels(entry)]
    label_table = _label_table(labels, list(classes), reviewed)
    detection_table = _detection_table(evidence)
    foreground = np.concatenate([entry.foreground for entry in evidence]) if evidence else np.zeros(0)
    size = (labelled[0].frame.width, labelled[0].frame.height)
    counts = np.ones(len(label_table), bool) if label_table.counts is None else label_table.counts
    weights = np.where(counts, np.clip(foreground, 0.02, 1), 0.0)
    sizes = SizePrior.fit(label_table.boxes, label_table.classes, weights, frame_size=size)
    predicted: list[Rle | None] = [mask for entry in evidence for mask in _padded(entry)]
    has_masks = any(mask is not None for mask in predicted)
    mask_scores = np.concatenate([entry.mask_scores for entry in evidence])
    return FinderInputs(
        frames=FrameTable(
            ids=tuple(entry.frame.id for entry in labelled),
            times=folds.times,
            clips=folds.clips,
            blocks=folds.blocks,
            folds=folds.folds,
            widths=np.array([entry.frame.width for entry in labelled]),
            heights=np.array([entry.frame.height for entry in labelled]),
            health=health,
        ),
        labels=label_table,
        detections=detection_table,
        label_evidence=LabelEvidence(
            class_probs=np.concatenate([entry.class_probs for entry in evidence]),
            refined_boxes=np.concatenate([entry.refined_boxes for entry in evidence]),
            location_scores=np.concatenate([entry.location_scores for entry in evidence]),
            predicted_masks=tuple(predicted) if has_masks else None,
            mask_scores=mask_scores if has_masks else None,
            foreground=foreground,
            edge_contrast=np.concatenate([entry.edge_contrast for entry in evidence]),
            snapped_boxes=np.concatenate([entry.snapped_boxes for entry in evidence]),
            size_z=sizes.z_scores(label_table.boxes, label_table.classes)[:, ::-1],
            neighbour_agreement=None if neighbours is None else neighbours.agreement,
            outlier=None if neighbours is None else neighbours.outlier,
        ),
        detection_evidence=DetectionEvidence(
            foreground=np.concatenate([entry.detection_foreground for entry in evidence]),
            size_z=sizes.z_scores(detection_table.boxes, detection_table.classes)[:, ::-1],
        ),
    )


def _padded(entry: FrameEvidence) -> tuple[Rle | None, ...]:
    return entry.masks or (None,) * len(entry.foreground)


def _label_table(
    labels: Sequence[tuple[int, Annotation]], classes: list[str], reviewed: Mapping[str, int]
) -> LabelTable:
    rows = [annotation for _, annotation in labels]
    scores = np.array([np.nan if a.score is None else a.score for a in rows], float)
    masks = tuple(a.mask for a in rows)
    tracks = tuple(a.track_id for a in rows)
    seen: BoolArray = np.array([reviewed.get(a.id) == a.revision for a in rows], bool)
    return LabelTable(
        ids=tuple(a.id for a in rows),
        revisions=np.array([a.revision for a in rows], np.int64),
        frames=np.array([at for at, _ in labels], np.int64),
        boxes=np.array([a.bbox_xyxy for a in rows], float).reshape(-1, 4),
        classes=np.array([classes.index(a.label) if a.label in classes else 0 for a in rows], np.int64),
        source_scores=None if np.isnan(scores).all() else scores,
        tracks=tracks if any(track is not None for track in tracks) else None,
        masks=masks if any(mask is not None for mask in masks) else None,
        counts=np.array([a.counts for a in rows], bool),
        reviewed=seen,
    )


def _detection_table(evidence: Sequence[FrameEvidence]) -> DetectionTable:
    frames: IntArray = np.concatenate(
        [np.full(len(entry.detections), at, np.int64) for at, entry in enumerate(evidence)]
    )
    masks = [
        mask for entry in evidence for mask in (entry.detections.masks or (None,) * len(entry.detections))
    ]
    return DetectionTable(
        frames=frames,
        boxes=np.concatenate([entry.detections.boxes for entry in evidence]).reshape(-1, 4),
        scores=np.concatenate([entry.detections.scores for entry in evidence]),
        classes=np.concatenate([entry.detections.classes for entry in evidence]).astype(np.int64),
        masks=tuple(masks) if any(mask is not None for mask in masks) else None,
    )
