"""What detectors and the fixed camera say about one frame: computed once per frame, kept, redone when it is touched."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import Annotation
from curate.geometry.polygons import to_rle
from curate.geometry.rle import rle_from_coco, rle_to_coco
from curate.geometry.shapes import Rle
from curate.scene.contour import edge_contrast
from curate.scene.difference import foreground
from curate.scene.estimate import choose_plate
from curate.scene.evidence import foreground_fraction, snap_box
from curate.scene.plate import Plate
from curate.tables import Detections
from curate.types import FloatArray, ImageArray, IntArray
from curate.workflows.dataset import LabelledFrame
from curate.workflows.files import write_atomically

if TYPE_CHECKING:  # torch stays out of processes that only read evidence, such as the app
    from curate.workflows.judges import Judge

__all__ = ["FrameEvidence", "evidence_key", "judge_frame", "load_evidence", "save_evidence"]

_FORMAT = "4"
MIN_SCORE = 0.05
"""Weaker detections are evidence of nothing."""


@dataclass(frozen=True)
class FrameEvidence:
    """Evidence of one frame with L labels (sorted by id) and D detections.

    Attributes:
        detections: Of the detector that never saw the frame's labels, with masks where it has a mask head.
        detection_foreground: (D,) share that differs from the empty scene.
        class_probs: (L, C + 1).
        refined_boxes: (L, 4).
        location_scores: (L,).
        mask_scores: (L,), NaN without a mask head.
        masks: L masks of the mask head inside the given boxes, or ().
        foreground: (L,) share of the label that differs from the empty scene.
        edge_contrast: (L,) NaN for a label without a mask.
        snapped_boxes: (L, 4) fitted to the foreground, NaN where there is none.
    """

    detections: Detections
    detection_foreground: FloatArray
    class_probs: FloatArray
    refined_boxes: FloatArray
    location_scores: FloatArray
    mask_scores: FloatArray
    masks: tuple[Rle, ...]
    foreground: FloatArray
    edge_contrast: FloatArray
    snapped_boxes: FloatArray


def sorted_labels(labelled: LabelledFrame) -> list[Annotation]:
    """The labels in the order of the evidence's rows."""
    return sorted(labelled.annotations, key=lambda annotation: annotation.id)


def evidence_key(labelled: LabelledFrame, judge: Judge, plates: str) -> str:
    """Digest of everything that the evidence of a frame depends on."""
    labels = [(annotation.id, annotation.revision) for annotation in sorted_labels(labelled)]
    text = json.dumps([_FORMAT, labelled.frame.id, labels, judge.fingerprint, plates])
    return hashlib.sha256(text.encode()).hexdigest()


def judge_frame(
    labelled: LabelledFrame, image: ImageArray, judge: Judge, plates: Sequence[Plate]
) -> FrameEvidence:
    """Run the fold's detector and the background model on one frame."""
    labels = sorted_labels(labelled)
    boxes = np.array([annotation.bbox_xyxy for annotation in labels], float).reshape(-1, 4)
    found = judge.detector.predict([image], masks=judge.detector.has_masks)[0]
    keep = np.asarray(found.scores) >= MIN_SCORE
    masks = None if found.masks is None else tuple(m for m, k in zip(found.masks, keep, strict=True) if k)
    found = Detections(found.boxes[keep], found.scores[keep], found.classes[keep], masks)
    scores = judge.detector.score_boxes([image], [boxes])[0]
    fg = foreground(image, choose_plate(image, plates))
    height, width = fg.shape
    outlines = [None if a.mask is None else to_rle(a.mask, height, width) for a in labels]
    contrast = np.full(len(labels), np.nan)
    drawn = {index: outline for index, outline in enumerate(outlines) if outline is not None}
    if drawn:
        contrast[list(drawn)] = edge_contrast(fg, list(drawn.values())).contrast
    snapped = [snap_box(fg, annotation.bbox_xyxy) for annotation in labels]
    return FrameEvidence(
        detections=found,
        detection_foreground=foreground_fraction(fg, found.boxes, found.masks),
        class_probs=scores.class_probs,
        refined_boxes=scores.refined_boxes,
        location_scores=scores.location_scores,
        mask_scores=np.full(len(labels), np.nan) if scores.mask_scores is None else scores.mask_scores,
        masks=scores.masks or (),
        foreground=foreground_fraction(fg, boxes, outlines),
        edge_contrast=contrast,
        snapped_boxes=np.array([box or (np.nan,) * 4 for box in snapped], float).reshape(-1, 4),
    )


def save_evidence(path: Path, evidence: FrameEvidence) -> None:
    """Write one frame's evidence as .npz without objects; masks as JSON text."""
    masks = [rle_to_coco(mask) for mask in evidence.masks]
    found = evidence.detections
    found_masks = None if found.masks is None else [rle_to_coco(mask) for mask in found.masks]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        boxes=found.boxes,
        scores=found.scores,
        classes=found.classes,
        text=np.frombuffer(json.dumps([masks, found_masks]).encode(), np.uint8),
        **{name: getattr(evidence, name) for name in _ARRAYS},
    )
    write_atomically(path, buffer.getvalue())


_ARRAYS = (
    "detection_foreground",
    "class_probs",
    "refined_boxes",
    "location_scores",
    "mask_scores",
    "foreground",
    "edge_contrast",
    "snapped_boxes",
)


def load_evidence(path: Path) -> FrameEvidence | None:
    """Read what `save_evidence` wrote; None when it is missing or broken (then it is computed again)."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            masks, found_masks = json.loads(data["text"].tobytes())
            classes: IntArray = data["classes"]
            found = Detections(
                data["boxes"],
                data["scores"],
                classes,
                None if found_masks is None else tuple(rle_from_coco(mask) for mask in found_masks),
            )
            arrays = {name: data[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return FrameEvidence(detections=found, masks=tuple(rle_from_coco(mask) for mask in masks), **arrays)
