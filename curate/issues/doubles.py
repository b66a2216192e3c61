"""Labels that mean an object twice: each label's likeliest double, which of the two should go, what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.geometry.boxes import box_area, box_iou_pairwise
from curate.issues.inputs import FinderInputs
from curate.issues.masks import as_rles, mask_overlap
from curate.issues.pairs import best_of, overlaps
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["Doubles", "double_columns", "find_doubles"]

# From this likeness on masks are compared: two people who hardly touch need no second look.
_NEAR = 0.2
_TRACKED, _FITS, _MATCHED = 0.7, 0.5, 0.5
_EXACT = 0.03


@dataclass(frozen=True)
class Doubles:
    """Of each of L labels, the label of its class that it most looks a duplicate of.

    Attributes:
        partner: (L,) that label, -1 without.
        iou: (L,) IoU with it, 0 without.
        inside: (L,) share of this label inside it, 0 without.
        worse: (L,) True for the label of such a pair that should go.
    """

    partner: IntArray
    iou: FloatArray
    inside: FloatArray
    worse: BoolArray


def find_doubles(
    inputs: FinderInputs, support: FloatArray, matched_iou: FloatArray, expected: FloatArray
) -> Doubles:
    """Pair the labels and tell the worse of each pair.

    The better one fits what detector, foreground and the object's own track say about the place; of two that fit
    alike the smaller is the part and the larger the whole.

    Args:
        inputs: Tables and evidence.
        support: (L,) largest IoU x score over the detections of the labelled class.
        matched_iou: (L,) IoU with the detection matched one to one, NaN without.
        expected: (L, 4) box that the label's track expects, NaN without.
    """
    labels = inputs.labels
    pairs = overlaps(labels.frames, labels.boxes, labels.frames, labels.boxes)
    classes = np.asarray(labels.classes)
    pairs = pairs.where((pairs.a != pairs.b) & (classes[pairs.a] == classes[pairs.b]))
    likeness = np.maximum(pairs.iou, 0.5 * np.maximum(pairs.inside_a, pairs.inside_b))
    _, at = best_of(pairs.a, likeness, len(labels))
    found = at >= 0
    partner = np.full(len(labels), -1, np.int64)
    iou, inside = np.zeros(len(labels)), np.zeros(len(labels))
    partner[found], iou[found] = pairs.b[at[found]], pairs.iou[at[found]]
    inside[found] = pairs.inside_a[at[found]]
    area, rows = box_area(labels.boxes), np.arange(len(labels))
    other = np.where(found, partner, 0)
    # Only one of the two can have a place in the track: both are measured by what it expects.
    lent = found & ~np.isfinite(expected).all(1)
    expected = np.where(lent[:, None], expected[other], expected) if len(rows) else expected
    quality = _quality(inputs, support, matched_iou, expected)
    lower = quality < quality[other] - 1e-9
    tie = np.abs(quality - quality[other]) <= 1e-9
    smaller = (area < area[other]) | ((area == area[other]) & (rows > other))
    return Doubles(partner, iou, inside, np.asarray(found & (lower | (tie & smaller))))


def _quality(
    inputs: FinderInputs, support: FloatArray, matched_iou: FloatArray, expected: FloatArray
) -> FloatArray:
    labels, evidence = inputs.labels, inputs.label_evidence
    boxes = np.asarray(labels.boxes, float)
    quality = support + _MATCHED * np.nan_to_num(matched_iou) + _TRACKED * _on_path(boxes, expected)
    if evidence.location_scores is not None:
        quality = quality + _FITS * np.nan_to_num(np.asarray(evidence.location_scores, float))
    for others in (evidence.refined_boxes, evidence.snapped_boxes):
        if others is not None:
            quality = quality + _FITS * _agreement(boxes, np.asarray(others, float))
    if labels.source_scores is not None:
        quality = quality + np.nan_to_num(np.asarray(labels.source_scores, float), nan=0.0)
    if labels.reviewed is not None:
        quality = quality + 10.0 * np.asarray(labels.reviewed, bool)
    return np.asarray(quality)


def _on_path(boxes: FloatArray, expected: FloatArray) -> FloatArray:
    """(L,) 1 for the box that the track expects, falling by how exactly the labels of this site keep to their paths.

    Interpolated labels do to the pixel, people who walk at two frames a second do not.
    """
    known: BoolArray = np.asarray(np.isfinite(expected).all(1))
    if not known.any():
        return np.zeros(len(boxes))
    iou = _agreement(boxes, expected)
    usual = max(_EXACT, 1 - float(np.median(iou[known])))
    return np.where(known, np.exp(-(1 - iou) / usual), 0.0)


def _agreement(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """(L,) IoU, 0 for rows that are not known."""
    known: BoolArray = np.asarray(np.isfinite(others).all(1))
    return np.where(known, box_iou_pairwise(boxes, np.where(known[:, None], others, 0.0)), 0.0)


def double_columns(
    inputs: FinderInputs, doubles: Doubles, expected: FloatArray
) -> dict[str, FloatArray | None]:
    """Evidence (L,) beyond the overlap of the boxes; NaN for labels without a partner.

    Args:
        inputs: Tables and evidence.
        doubles: From `find_doubles`.
        expected: (L, 4) box that the label's track expects, NaN without.
    """
    has = doubles.partner >= 0
    other = np.where(has, doubles.partner, 0)
    refined = inputs.label_evidence.refined_boxes
    converge = None
    if refined is not None and len(has):
        # Two people side by side are drawn apart, a double is drawn onto its object.
        boxes = np.asarray(refined, float)
        converge = np.where(has, np.clip((box_iou_pairwise(boxes, boxes[other]) - 0.4) / 0.5, 0, 1), np.nan)
    tracked: BoolArray = np.asarray(np.isfinite(expected).all(1))
    loose = None
    if len(has):
        loose = np.where(has & tracked[other], (~tracked).astype(float), np.nan)
    return {"converge": converge, "loose": loose, "mask_overlap": _shared_mask(inputs, doubles)}


def _shared_mask(inputs: FinderInputs, doubles: Doubles) -> FloatArray | None:
    """(L,) share of the smaller mask that lies in the other; NaN where one of the two has none."""
    labels = inputs.labels
    if labels.masks is None:
        return None
    result = np.full(len(labels), np.nan)
    rows = np.flatnonzero(doubles.worse & (np.maximum(doubles.iou, 0.5 * doubles.inside) >= _NEAR))
    if len(rows):
        frames = np.asarray(labels.frames)[rows]
        widths, heights = np.asarray(inputs.frames.widths)[frames], np.asarray(inputs.frames.heights)[frames]
        sides = [
            as_rles([labels.masks[row] for row in some.tolist()], widths, heights)
            for some in (rows, doubles.partner[rows])
        ]
        result[rows] = mask_overlap(*sides)
    return result
