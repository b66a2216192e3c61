"""Evidence of many frames put together into the tables that the finders read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from curate.geometry.shapes import Rle
from curate.issues import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    FrameHealth,
    FrameTable,
    HintTable,
    LabelEvidence,
    LabelTable,
)
from curate.scene.sizes import SizePrior
from curate.types import BoolArray, FloatArray, IntArray
from curate.workflows.dataset import LabelledFrame
from curate.workflows.frame_evidence import FrameEvidence, sorted_labels
from curate.workflows.judges import Folds

__all__ = ["Neighbours", "finder_inputs", "frame_table", "label_table"]


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
    labels = label_table(labelled, classes, reviewed)
    detections = _detection_table(evidence)
    foreground = np.concatenate([entry.foreground for entry in evidence]) if evidence else np.zeros(0)
    size = (labelled[0].frame.width, labelled[0].frame.height)
    counts = np.ones(len(labels), bool) if labels.counts is None else labels.counts
    weights = np.where(counts, np.clip(foreground, 0.02, 1), 0.0)
    sizes = SizePrior.fit(labels.boxes, labels.classes, weights, frame_size=size)
    predicted: list[Rle | None] = [mask for entry in evidence for mask in _padded(entry)]
    has_masks = any(mask is not None for mask in predicted)
    mask_scores = np.concatenate([entry.mask_scores for entry in evidence])
    return FinderInputs(
        frames=replace(frame_table(labelled, folds), health=health),
        labels=labels,
        detections=detections,
        label_evidence=LabelEvidence(
            class_probs=np.concatenate([entry.class_probs for entry in evidence]),
            refined_boxes=np.concatenate([entry.refined_boxes for entry in evidence]),
            location_scores=np.concatenate([entry.location_scores for entry in evidence]),
            predicted_masks=tuple(predicted) if has_masks else None,
            mask_scores=mask_scores if has_masks else None,
            redrawn_masks=_redrawn(evidence) if has_masks else None,
            foreground=foreground,
            edge_contrast=np.concatenate([entry.edge_contrast for entry in evidence]),
            edge_gain=np.concatenate([_known(entry.edge_gain, len(entry.foreground)) for entry in evidence]),
            mask_empty=np.concatenate(
                [_known(entry.mask_empty, len(entry.foreground)) for entry in evidence]
            ),
            mask_left=np.concatenate([_known(entry.mask_left, len(entry.foreground)) for entry in evidence]),
            snapped_boxes=np.concatenate([entry.snapped_boxes for entry in evidence]),
            size_z=sizes.z_scores(labels.boxes, labels.classes, frame_size=size)[:, ::-1],
            neighbour_agreement=None if neighbours is None else neighbours.agreement,
            outlier=None if neighbours is None else neighbours.outlier,
        ),
        detection_evidence=DetectionEvidence(
            foreground=np.concatenate([entry.detection_foreground for entry in evidence]),
            size_z=sizes.z_scores(detections.boxes, detections.classes, frame_size=size)[:, ::-1],
            unexplained=np.concatenate(
                [_known(entry.detection_unexplained, len(entry.detections)) for entry in evidence]
            ),
        ),
        hints=_hint_table(evidence, sizes, size),
    )


def frame_table(labelled: Sequence[LabelledFrame], folds: Folds) -> FrameTable:
    """The frames and how they are split, without anything about their pictures."""
    return FrameTable(
        ids=tuple(entry.frame.id for entry in labelled),
        times=folds.times,
        clips=folds.clips,
        blocks=folds.blocks,
        folds=folds.folds,
        widths=np.array([entry.frame.width for entry in labelled]),
        heights=np.array([entry.frame.height for entry in labelled]),
    )


def _known(values: FloatArray | None, count: int) -> FloatArray:
    return np.full(count, np.nan) if values is None else values


def _redrawn(evidence: Sequence[FrameEvidence]) -> tuple[Rle | None, ...]:
    return tuple(mask for entry in evidence for mask in (entry.redrawn or (None,) * len(entry.foreground)))


def _padded(entry: FrameEvidence) -> tuple[Rle | None, ...]:
    return entry.masks or (None,) * len(entry.foreground)


def label_table(
    labelled: Sequence[LabelledFrame], classes: Sequence[str], reviewed: Mapping[str, int] | None = None
) -> LabelTable:
    """All labels, by frame and id.

    Args:
        labelled: F frames with labels.
        classes: Class names.
        reviewed: Label id -> revision that a person has decided on.
    """
    labels = [(at, annotation) for at, entry in enumerate(labelled) for annotation in sorted_labels(entry)]
    settled, names = reviewed or {}, list(classes)
    rows = [annotation for _, annotation in labels]
    scores = np.array([np.nan if a.score is None else a.score for a in rows], float)
    masks = tuple(a.mask for a in rows)
    tracks = tuple(a.track_id for a in rows)
    seen: BoolArray = np.array([settled.get(a.id) == a.revision for a in rows], bool)
    return LabelTable(
        ids=tuple(a.id for a in rows),
        revisions=np.array([a.revision for a in rows], np.int64),
        frames=np.array([at for at, _ in labels], np.int64),
        boxes=np.array([a.bbox_xyxy for a in rows], float).reshape(-1, 4),
        classes=np.array([names.index(a.label) if a.label in names else 0 for a in rows], np.int64),
        source_scores=None if np.isnan(scores).all() else scores,
        tracks=tracks if any(track is not None for track in tracks) else None,
        masks=masks if any(mask is not None for mask in masks) else None,
        counts=np.array([a.counts for a in rows], bool),
        reviewed=seen,
    )


def _hint_table(evidence: Sequence[FrameEvidence], sizes: SizePrior, frame: tuple[int, int]) -> HintTable:
    parts = [entry.hints for entry in evidence]
    if any(part.class_probs is None for part in parts):
        return (
            HintTable.empty()
        )  # Of a kind of evidence that judges no hints: unjudged they would be guesses.
    probs = np.concatenate([np.asarray(part.class_probs) for part in parts])
    given = np.concatenate([part.classes for part in parts])
    boxes = np.concatenate([part.boxes for part in parts]).reshape(-1, 4)
    likely = np.where(given >= 0, given, probs[:, :-1].argmax(1)) if len(given) else given
    masks = [mask for part in parts for mask in (part.masks or (None,) * len(part))]
    return HintTable(
        frames=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        boxes=boxes,
        classes=given,
        sources=np.concatenate([part.sources for part in parts]),
        class_probs=probs,
        refined_boxes=np.concatenate([np.asarray(part.refined_boxes) for part in parts]),
        location_scores=np.concatenate([np.asarray(part.location_scores) for part in parts]),
        foreground=np.concatenate([np.asarray(part.foreground) for part in parts]),
        unexplained=np.concatenate([np.asarray(part.unexplained) for part in parts]),
        size_z=sizes.z_scores(boxes, likely, frame_size=frame)[:, ::-1],
        masks=tuple(masks) if any(mask is not None for mask in masks) else None,
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
