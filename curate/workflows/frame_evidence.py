"""What detectors and the fixed camera say about one frame: computed once per frame, kept, redone when it is touched."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.annotations import Annotation
from curate.geometry.boxes import box_iou_pairwise
from curate.geometry.polygons import to_rle
from curate.geometry.rle import rle_from_coco, rle_to_coco
from curate.geometry.shapes import Rle
from curate.issues import HintSource, HintTable
from curate.scene.contour import edge_contrast
from curate.scene.difference import foreground
from curate.scene.estimate import choose_plate
from curate.scene.evidence import (
    covered_by_boxes,
    foreground_fraction,
    snap_box,
    unexplained,
    unlabelled_foreground,
)
from curate.scene.outlines import mask_cover
from curate.scene.plate import Plate
from curate.tables import Detections, LabelScores
from curate.types import FloatArray, ImageArray, IntArray
from curate.workflows.dataset import LabelledFrame
from curate.workflows.files import write_atomically
from curate.workflows.frame_hints import FrameHints

if TYPE_CHECKING:  # torch stays out of processes that only read evidence, such as the app
    from curate.workflows.judges import Judge

__all__ = ["FrameEvidence", "evidence_key", "judge_frame", "load_evidence", "save_evidence"]

_FORMAT = "7"
MIN_SCORE = 0.05
"""Weaker detections are evidence of nothing."""
_AGREES, _HARDLY = 0.55, 0.92
_MOST_PIECES = 12
"""At most so many pieces of foreground that no label covers become hints, the largest first."""


@dataclass(frozen=True)
class FrameEvidence:
    """Evidence of one frame with L labels (sorted by id), D detections and H hints.

    What files of an older program lack is None.

    Attributes:
        detections: Of the detector that never saw the frame's labels, with masks where it has a mask head.
        detection_foreground: (D,) share that differs from the empty scene.
        detection_unexplained: (D,) the same outside all labels.
        class_probs: (L, C + 1).
        refined_boxes: (L, 4).
        location_scores: (L,).
        mask_scores: (L,), NaN without a mask head.
        masks: L masks of the mask head inside the given boxes, or ().
        redrawn: L masks inside the box that foreground or detector would put instead (None where that hardly
            differs), or ().
        foreground: (L,) share of the label that differs from the empty scene.
        edge_contrast: (L,) NaN for a label without a mask.
        edge_gain: (L,) contrast of the outline against the best of the same outline a little aside; likewise.
        mask_empty: (L,) share of the mask that looks like the empty scene; likewise.
        mask_left: (L,) foreground joined to the mask that no label holds, as a share of its area; likewise.
        snapped_boxes: (L, 4) fitted to the foreground, NaN where there is none.
        hints: Of this frame alone (frame index 0), from other frames and from leftover foreground.
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
    detection_unexplained: FloatArray | None = None
    edge_gain: FloatArray | None = None
    mask_empty: FloatArray | None = None
    mask_left: FloatArray | None = None
    redrawn: tuple[Rle | None, ...] = ()
    hints: HintTable = field(default_factory=HintTable.empty)


def sorted_labels(labelled: LabelledFrame) -> list[Annotation]:
    """The labels in the order of the evidence's rows."""
    return sorted(labelled.annotations, key=lambda annotation: annotation.id)


def evidence_key(labelled: LabelledFrame, judge: Judge, plates: str, hints: FrameHints) -> str:
    """Digest of everything that the evidence of a frame depends on."""
    labels = [(annotation.id, annotation.revision) for annotation in sorted_labels(labelled)]
    text = json.dumps([_FORMAT, labelled.frame.id, labels, judge.fingerprint, plates, hints.key()])
    return hashlib.sha256(text.encode()).hexdigest()


def judge_frame(
    labelled: LabelledFrame,
    image: ImageArray,
    judge: Judge,
    plates: Sequence[Plate],
    hints: FrameHints,
    found: Detections | None = None,
) -> FrameEvidence:
    """Run the fold's detector and the background model on one frame.

    Args:
        labelled: The frame with its labels.
        image: (H, W, 3) RGB.
        judge: Of the frame's fold.
        plates: The empty scene by light.
        hints: From other frames.
        found: The judge's detections, when they are known: they do not depend on the labels.
    """
    labels = sorted_labels(labelled)
    boxes = np.array([annotation.bbox_xyxy for annotation in labels], float).reshape(-1, 4)
    if found is None:
        found = _detect(judge, image)
    fg = foreground(image, choose_plate(image, plates))
    hints = _with_leftovers(hints, fg, boxes)
    scores = judge.detector.score_boxes([image], [np.concatenate([boxes, hints.boxes])])[0]
    own, hinted = _split(scores, len(boxes))
    height, width = fg.shape
    outlines = [None if a.mask is None else to_rle(a.mask, height, width) for a in labels]
    fitted = [snap_box(fg, annotation.bbox_xyxy) for annotation in labels]
    snapped = np.array([box or (np.nan,) * 4 for box in fitted], float).reshape(-1, 4)
    left = unexplained(fg, boxes)
    return FrameEvidence(
        detections=found,
        detection_foreground=foreground_fraction(fg, found.boxes, found.masks),
        detection_unexplained=foreground_fraction(left, found.boxes),
        class_probs=own.class_probs,
        refined_boxes=own.refined_boxes,
        location_scores=own.location_scores,
        mask_scores=np.full(len(labels), np.nan) if own.mask_scores is None else own.mask_scores,
        masks=own.masks or (),
        redrawn=_redraw(judge, image, boxes, snapped, own.refined_boxes),
        foreground=foreground_fraction(fg, boxes, outlines),
        **_outline_evidence(fg, boxes, outlines),
        snapped_boxes=snapped,
        hints=HintTable(
            np.zeros(len(hints.boxes), np.int64),
            hints.boxes,
            hints.classes,
            hints.sources,
            class_probs=hinted.class_probs,
            refined_boxes=hinted.refined_boxes,
            location_scores=hinted.location_scores,
            foreground=foreground_fraction(fg, hints.boxes),
            unexplained=foreground_fraction(left, hints.boxes),
            masks=hinted.masks,
        ),
    )


def _outline_evidence(
    fg: FloatArray, boxes: FloatArray, outlines: Sequence[Rle | None]
) -> dict[str, FloatArray]:
    """What the foreground says about the masks, (L,) each, NaN without one."""
    rows = [row for row, outline in enumerate(outlines) if outline is not None]
    values = {name: np.full(len(outlines), np.nan) for name in _OUTLINE_ARRAYS}
    drawn = [outline for outline in outlines if outline is not None]
    if drawn:
        edges = edge_contrast(fg, drawn)
        bare = [row for row, outline in enumerate(outlines) if outline is None]
        cover = mask_cover(fg, drawn, others=covered_by_boxes(boxes[bare], fg.shape).astype(np.int64))
        for name, found in zip(
            _OUTLINE_ARRAYS, (edges.contrast, edges.gain, cover.empty, cover.left), strict=True
        ):
            values[name][rows] = found
    return values


def _detect(judge: Judge, image: ImageArray) -> Detections:
    found = judge.detector.predict([image], masks=judge.detector.has_masks)[0]
    keep = np.asarray(found.scores) >= MIN_SCORE
    masks = None if found.masks is None else tuple(m for m, k in zip(found.masks, keep, strict=True) if k)
    return Detections(found.boxes[keep], found.scores[keep], found.classes[keep], masks)


def _redraw(
    judge: Judge, image: ImageArray, boxes: FloatArray, snapped: FloatArray, refined: FloatArray
) -> tuple[Rle | None, ...]:
    """Masks inside the boxes that would be proposed instead of the given ones."""
    if not judge.detector.has_masks or not len(boxes):
        return ()
    agrees = box_iou_pairwise(np.nan_to_num(snapped), refined) >= _AGREES
    better = np.where(agrees[:, None], np.nan_to_num(snapped), refined)
    usable = ((better[:, 2:] - better[:, :2]) >= 1).all(1)
    rows = np.flatnonzero(usable & (box_iou_pairwise(boxes, better) < _HARDLY))
    masks: list[Rle | None] = [None] * len(boxes)
    if len(rows):
        drawn = judge.detector.score_boxes([image], [better[rows]])[0].masks or ()
        for row, mask in zip(rows.tolist(), drawn, strict=False):
            masks[row] = mask
    return tuple(masks)


def _with_leftovers(hints: FrameHints, fg: FloatArray, boxes: FloatArray) -> FrameHints:
    """The hints from other frames, and behind them the pieces of foreground that no label covers."""
    pieces = unlabelled_foreground(fg, boxes)[:_MOST_PIECES]
    found = np.array([piece.box for piece in pieces], float).reshape(-1, 4)
    return FrameHints(
        np.concatenate([hints.boxes, found]),
        np.concatenate([hints.classes, np.full(len(found), -1)]).astype(np.int64),
        np.concatenate([hints.sources, np.full(len(found), int(HintSource.FOREGROUND))]).astype(np.int64),
    )


def _split(scores: LabelScores, count: int) -> tuple[LabelScores, LabelScores]:
    """The first `count` rows and the others."""
    return tuple(  # type: ignore[return-value]
        LabelScores(
            scores.class_probs[part],
            scores.refined_boxes[part],
            scores.location_scores[part],
            None if scores.masks is None else scores.masks[part],
            None if scores.mask_scores is None else scores.mask_scores[part],
        )
        for part in (slice(None, count), slice(count, None))
    )


def save_evidence(path: Path, evidence: FrameEvidence) -> None:
    """Write one frame's evidence as .npz without objects; masks as JSON text."""
    masks = [rle_to_coco(mask) for mask in evidence.masks]
    redrawn = [mask and rle_to_coco(mask) for mask in evidence.redrawn]
    hints = evidence.hints
    hint_masks = None if hints.masks is None else [mask and rle_to_coco(mask) for mask in hints.masks]
    found = evidence.detections
    found_masks = None if found.masks is None else [rle_to_coco(mask) for mask in found.masks]
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        boxes=found.boxes,
        scores=found.scores,
        classes=found.classes,
        text=np.frombuffer(json.dumps([masks, found_masks, hint_masks, redrawn]).encode(), np.uint8),
        **_known({name: getattr(evidence, name) for name in _ARRAYS}),
        **_known({f"hint_{name}": getattr(hints, name) for name in _HINT_ARRAYS}),
    )
    write_atomically(path, buffer.getvalue())


def _known(arrays: dict[str, FloatArray | None]) -> dict[str, Any]:
    """Without those that were not computed: an array of None would be an object."""
    return {name: array for name, array in arrays.items() if array is not None}


_OUTLINE_ARRAYS = ("edge_contrast", "edge_gain", "mask_empty", "mask_left")
_ARRAYS = (
    "detection_foreground",
    "detection_unexplained",
    "class_probs",
    "refined_boxes",
    "location_scores",
    "mask_scores",
    "foreground",
    "snapped_boxes",
    *_OUTLINE_ARRAYS,
)
_HINT_ARRAYS = (
    "frames",
    "boxes",
    "classes",
    "sources",
    "class_probs",
    "refined_boxes",
    "location_scores",
    "foreground",
    "unexplained",
)


def load_evidence(path: Path) -> FrameEvidence | None:
    """Read what `save_evidence` wrote; None when it is missing or broken (then it is computed again)."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as data:
            masks, found_masks, hint_masks, redrawn = json.loads(data["text"].tobytes())
            classes: IntArray = data["classes"]
            found = Detections(
                data["boxes"],
                data["scores"],
                classes,
                None if found_masks is None else tuple(rle_from_coco(mask) for mask in found_masks),
            )
            arrays = {name: data[name] for name in _ARRAYS if name in data.files}
            hints = HintTable(
                **{name: data[f"hint_{name}"] for name in _HINT_ARRAYS if f"hint_{name}" in data.files},
                masks=None
                if hint_masks is None
                else tuple(mask and rle_from_coco(mask) for mask in hint_masks),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    outlines = tuple(rle_from_coco(mask) for mask in masks)
    drawn = tuple(mask and rle_from_coco(mask) for mask in redrawn)
    return FrameEvidence(detections=found, masks=outlines, redrawn=drawn, hints=hints, **arrays)
