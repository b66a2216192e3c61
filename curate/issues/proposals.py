"""The correction that one key accepts, chosen by the evidence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from curate.annotations import IssueType, Mask, Proposal, ProposalKind
from curate.geometry.boxes import box_iou, clip_boxes
from curate.geometry.polygons import polygons_bbox
from curate.geometry.shapes import Rle
from curate.issues.context import Context
from curate.issues.inputs import FinderInputs
from curate.issues.masks import mask_bounds
from curate.issues.scoring import Evidenced
from curate.types import BoxTuple, FloatArray

__all__ = ["better_box", "candidate_proposal", "frame_proposal", "label_proposal", "likelier_class"]

# How far each source of a box is trusted before the others are heard.
_TRUST = {"refined": 1.0, "detected": 1.0, "snapped": 0.8, "expected": 0.4}
_LEAST_MASK_SCORE = 0.3
_AGREES = 0.55
# A mask that fills this much of a box may be drawn into it.
_FITS = 0.75


def label_proposal(kind: IssueType, row: int, evidence: Evidenced) -> Proposal:
    """What to do about label `row`.

    Args:
        kind: The type of its issue.
        row: Row of the label table.
        evidence: From `gather`.

    Returns:
        NONE where no evidence says what would be right.
    """
    inputs, context = evidence.inputs, evidence.context
    if kind in (IssueType.SPURIOUS, IssueType.DUPLICATE):
        return Proposal(ProposalKind.DELETE_LABEL)
    if kind is IssueType.WRONG_CLASS:
        return _relabel(row, inputs, context)
    if kind is IssueType.BAD_LOCATION:
        box = better_box(row, inputs, context)
        return Proposal(ProposalKind.NONE) if box is None else _edit_box(row, box, inputs)
    if kind is IssueType.INACCURATE_MASK:
        return _edit_mask(row, inputs, better_box(row, inputs, context))
    if kind is IssueType.INCONSISTENT_TRACK:
        own = int(inputs.labels.classes[row])
        other = likelier_class(row, inputs, context)
        if other is not None and int(context.majority[row]) not in (own, -1):
            return Proposal(ProposalKind.RELABEL, label=context.classes[other])
        box = better_box(row, inputs, context) or _tuple(context.expected[row])
        return Proposal(ProposalKind.NONE) if box is None else _edit_box(row, box, inputs)
    return Proposal(ProposalKind.NONE)


def candidate_proposal(row: int, evidence: Evidenced) -> Proposal:
    """Add candidate `row` as a label, with the detector's mask if it has one."""
    candidates = evidence.candidates
    frames, frame = evidence.inputs.frames, int(candidates.frames[row])
    box = _inside(candidates.boxes[row], int(frames.widths[frame]), int(frames.heights[frame]))
    if box is None:
        return Proposal(ProposalKind.NONE)
    mask = None
    for table, at in (
        (evidence.inputs.detections, candidates.detections),
        (evidence.inputs.hints, candidates.hints),
    ):
        if table.masks is not None and at[row] >= 0:
            mask = table.masks[int(at[row])]
    name = evidence.context.classes[int(candidates.classes[row])]
    return Proposal(ProposalKind.ADD, label=name, bbox_xyxy=box, mask=mask)


def frame_proposal() -> Proposal:
    """Take the frame out."""
    return Proposal(ProposalKind.EXCLUDE_FRAME)


def likelier_class(row: int, inputs: FinderInputs, context: Context) -> int | None:
    """The class, other than the labelled one, that detector, neighbours and track like best; None = no idea."""
    votes = np.zeros(len(context.classes))
    evidence = inputs.label_evidence
    if evidence.class_probs is not None:
        votes += np.nan_to_num(np.asarray(evidence.class_probs, float)[row, :-1])
    if evidence.neighbour_probs is not None:
        votes += 0.7 * np.nan_to_num(np.asarray(evidence.neighbour_probs, float)[row])
    majority = int(context.majority[row])
    if majority >= 0:
        votes[majority] += 0.5
    matched = int(context.matched[row])
    if matched >= 0:
        votes[int(inputs.detections.classes[matched])] += 0.5
    votes[int(inputs.labels.classes[row])] = 0
    return int(votes.argmax()) if votes.max(initial=0.0) > 0 else None


def _relabel(row: int, inputs: FinderInputs, context: Context) -> Proposal:
    other = likelier_class(row, inputs, context)
    if other is None:
        return Proposal(ProposalKind.NONE)
    return Proposal(ProposalKind.RELABEL, label=context.classes[other])


def better_box(row: int, inputs: FinderInputs, context: Context) -> BoxTuple | None:
    """The box that the evidence would draw; None when there is none, or none that differs from the label by 2 % in IoU.

    The box fitted to the foreground is the sharpest that there is (pixels, not a regression), but it may hold
    two people or half of one: it is taken where a detector agrees that the object is about there (IoU >= 0.55).
    Otherwise detector's refined box and matched detection are averaged where they agree, and else the offer wins
    that the others agree with most (weighted medoid; the track's interpolation only supports).
    """
    offers = _offers(row, inputs, context)
    if not offers:
        return None
    frame = int(inputs.labels.frames[row])
    box = _inside(
        _choose(offers, context.expected[row]),
        int(inputs.frames.widths[frame]),
        int(inputs.frames.heights[frame]),
    )
    if box is None or box_iou(np.array(box), inputs.labels.boxes[row])[0, 0] > 0.98:
        return None
    return box


def _offers(row: int, inputs: FinderInputs, context: Context) -> dict[str, tuple[FloatArray, float]]:
    """Source -> box and how far it is trusted."""
    evidence = inputs.label_evidence
    offers: dict[str, tuple[FloatArray, float]] = {}

    def offer(name: str, box: FloatArray, weight: float = 1.0) -> None:
        if np.isfinite(box).all() and (box[2:] > box[:2]).all():
            offers[name] = (box, _TRUST[name] * weight)

    if evidence.refined_boxes is not None:
        seen = 1.0 if evidence.class_probs is None else 1 - float(np.asarray(evidence.class_probs)[row, -1])
        offer("refined", np.asarray(evidence.refined_boxes, float)[row], max(seen, 0.05))
    matched = int(context.matched[row])
    if matched >= 0:
        confidence = float(np.nan_to_num(np.asarray(inputs.detections.scores, float)[matched]))
        offer("detected", np.asarray(inputs.detections.boxes, float)[matched], max(confidence, 0.05))
    if evidence.snapped_boxes is not None:
        offer("snapped", np.asarray(evidence.snapped_boxes, float)[row])
    return offers


def _choose(offers: Mapping[str, tuple[FloatArray, float]], expected: FloatArray) -> FloatArray:
    """(4,) see `better_box`."""
    boxes = np.array([box for box, _ in offers.values()])
    weights = np.array([weight for _, weight in offers.values()])
    overlap = box_iou(boxes, boxes)
    names = list(offers)
    if "snapped" in offers:
        at = names.index("snapped")
        others = np.delete(overlap[at], at)
        if not len(others) or others.max() >= _AGREES:
            return np.asarray(boxes[at])
    if "refined" in offers and "detected" in offers:
        pair = [names.index("refined"), names.index("detected")]
        if overlap[pair[0], pair[1]] >= _AGREES:
            return np.asarray(np.average(boxes[pair], axis=0, weights=weights[pair]))
    support = overlap @ weights
    if np.isfinite(expected).all():
        support = support + _TRUST["expected"] * box_iou(boxes, expected[None])[:, 0]
    return np.asarray(boxes[int(np.argmax(support * np.sqrt(weights)))])


def _tuple(box: FloatArray) -> BoxTuple | None:
    if not np.isfinite(box).all() or not (box[2:] > box[:2]).all():
        return None
    x1, y1, x2, y2 = (float(value) for value in box)
    return (x1, y1, x2, y2)


def _inside(box: FloatArray, width: int, height: int) -> BoxTuple | None:
    """Clipped to the frame and rounded to a hundredth of a pixel; None when less than a pixel is left."""
    clipped = np.round(clip_boxes(box, width, height), 2)
    return _tuple(clipped) if (clipped[2:] - clipped[:2] >= 1).all() else None


def _edit_box(row: int, box: BoxTuple, inputs: FinderInputs) -> Proposal:
    """The new box with the mask that fits it best: the detector's for that box, or the old one if that fits as well."""
    masks, redrawn = inputs.labels.masks, inputs.label_evidence.redrawn_masks
    old = None if masks is None else masks[row]
    new = None if redrawn is None else redrawn[row]
    if old is None:
        return Proposal(ProposalKind.EDIT, bbox_xyxy=box)
    fits = [(_fill(mask, np.array(box)), mask) for mask in (old, new) if mask]
    before = _fill(old, np.asarray(inputs.labels.boxes, float)[row])
    best, mask = max(fits, key=lambda item: item[0])
    if best < (max(0.8, before) if mask is old else _FITS):
        return Proposal(ProposalKind.EDIT, bbox_xyxy=box)
    return Proposal(ProposalKind.EDIT, bbox_xyxy=box, mask=mask)


def _fill(mask: Mask, box: FloatArray) -> float:
    """IoU of the mask's bounds with a box, 0 for an empty mask."""
    bounds = _bounds(mask)
    return 0.0 if bounds is None else float(box_iou(bounds, box)[0, 0])


def _bounds(mask: Mask | None) -> FloatArray | None:
    if not mask:
        return None
    bounds = mask_bounds(mask) if isinstance(mask, Rle) else polygons_bbox(mask)
    return None if bounds is None else np.array(bounds, float)


def _edit_mask(row: int, inputs: FinderInputs, better: BoxTuple | None) -> Proposal:
    """A new mask for a mask that is not believed.

    Where the box is doubted as well (tools derive it from the mask, so a wrong mask has a wrong box): the better
    box with the mask redrawn for it. Else the surer of the segmenter's and the detector's mask, and its box if
    that is still the same object.
    """
    evidence = inputs.label_evidence
    redrawn = None if evidence.redrawn_masks is None else evidence.redrawn_masks[row]
    if better is not None and redrawn and _fill(redrawn, np.array(better)) >= _FITS:
        return Proposal(ProposalKind.EDIT, bbox_xyxy=better, mask=redrawn)
    offers: list[tuple[float, Mask]] = []
    for masks, confidence in (
        (evidence.segmenter_masks, evidence.segmenter_scores),
        (evidence.predicted_masks, evidence.mask_scores),
    ):
        mask = None if masks is None else masks[row]
        sure = 0.5 if confidence is None else float(np.nan_to_num(confidence[row]))
        if mask and _bounds(mask) is not None and sure >= _LEAST_MASK_SCORE:
            offers.append((sure, mask))
    if not offers:
        return Proposal(ProposalKind.NONE)
    mask = max(offers, key=lambda item: item[0])[1]
    box, bounds = np.asarray(inputs.labels.boxes, float)[row], _bounds(mask)
    if bounds is not None and box_iou(bounds, box)[0, 0] >= 0.5:
        box = bounds
    return Proposal(ProposalKind.EDIT, bbox_xyxy=_tuple(box), mask=mask)
