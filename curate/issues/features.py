"""Evidence of every type as one matrix each, with the columns of `curate.issues.spec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueType
from curate.issues import scores
from curate.issues.candidates import Candidates, missing_candidates
from curate.issues.context import Context, may_stand
from curate.issues.doubles import double_columns
from curate.issues.inputs import FinderInputs
from curate.issues.outlines import has_mask, mask_columns
from curate.issues.spec import SPECS
from curate.types import BoolArray, FloatArray

__all__ = ["Features", "build_features"]

_MOVED = "moved"


@dataclass(frozen=True)
class Features:
    """Evidence of one type.

    Attributes:
        values: (N, K) in [0, 1], NaN where absent; N labels, candidates or frames, K as in the type's spec.
        applies: (N,) False for rows that cannot have this type of error.
        reason: Why the type does not apply at all, or "".
    """

    values: FloatArray
    applies: BoolArray
    reason: str = ""


def build_features(inputs: FinderInputs, context: Context) -> tuple[dict[IssueType, Features], Candidates]:
    """Evidence for all types, and the candidates that `missing` is about."""
    labels = inputs.labels
    judged = labels.judged
    candidates = missing_candidates(inputs, context)
    shared = _shared(inputs, context)
    outlines = mask_columns(inputs, context, shared["edge"])
    columns: dict[IssueType, tuple[Mapping[str, FloatArray | None], BoolArray, str]] = {
        IssueType.SPURIOUS: (_spurious(inputs, context, shared), judged, ""),
        IssueType.MISSING: (
            _missing(context, candidates, inputs),
            np.ones(len(candidates), bool),
            "" if len(inputs.detections) or len(candidates) else "no out-of-fold detections",
        ),
        IssueType.WRONG_CLASS: (
            _wrong_class(inputs, context, shared),
            judged,
            "" if len(context.classes) > 1 else "there is only one class",
        ),
        IssueType.BAD_LOCATION: (_bad_location(inputs, context, shared, outlines), judged, ""),
        IssueType.INACCURATE_MASK: (
            outlines,
            judged & has_mask(inputs),
            "" if has_mask(inputs).any() or not len(labels) else "no label has a mask",
        ),
        IssueType.DUPLICATE: (_duplicate(inputs, context), judged & context.doubles.worse, ""),
        IssueType.INCONSISTENT_TRACK: (
            _track(context, shared),
            judged & np.isfinite(context.expected).all(1),
            "",
        ),
        IssueType.OUTLIER: (_outlier(inputs, shared), judged, ""),
        IssueType.BAD_FRAME: (_frames(inputs), np.ones(len(inputs.frames), bool), ""),
    }
    return {kind: _matrix(kind, *value) for kind, value in columns.items()}, candidates


def _matrix(
    kind: IssueType, columns: Mapping[str, FloatArray | None], applies: BoolArray, reason: str
) -> Features:
    spec = SPECS[kind]
    known = np.zeros(len(applies), bool)
    # Column by column in memory: each is written and read as a whole.
    values = np.empty((len(applies), len(spec.evidence)), order="F")
    for column, item in enumerate(spec.evidence):
        value = columns.get(item.name)
        if value is None:
            values[:, column] = np.nan
        else:
            np.clip(value, 0, 1, out=values[:, column])
            if item.key:
                known |= np.isfinite(values[:, column])
    if not reason and len(applies) and not known.any():
        wanted = ", ".join(item.name for item in spec.evidence if item.key)
        reason = f"no evidence: none of {wanted} was computed"
    return Features(
        values, np.asarray(applies & known) if not reason else np.zeros(len(applies), bool), reason
    )


def _shared(inputs: FinderInputs, context: Context) -> dict[str, FloatArray | None]:
    evidence, boxes = inputs.label_evidence, inputs.labels.boxes
    return {
        "odd_size": None if evidence.size_z is None else scores.odd_size(evidence.size_z),
        "edge": None if evidence.edge_contrast is None else scores.edge_doubt(evidence.edge_contrast),
        "jump": scores.box_disagreement(boxes, context.expected),
        "jitter": scores.jitter_score(boxes, context.expected),
        "track_minority": scores.track_minority(context.links.tracks, inputs.labels.classes),
        "neighbours": None
        if evidence.neighbour_agreement is None
        else scores.neighbour_doubt(evidence.neighbour_agreement),
    }


def _spurious(
    inputs: FinderInputs, context: Context, shared: Mapping[str, FloatArray | None]
) -> dict[str, FloatArray | None]:
    evidence, places = inputs.label_evidence, context.places
    low = empty = background = None
    if evidence.foreground is not None:
        low = scores.low_foreground(evidence.foreground, context.usual_foreground, context.still)
        empty = scores.empty_once(evidence.foreground, context.usual_foreground, context.still, places.counts)
    if evidence.class_probs is not None:
        background = scores.background_doubt(evidence.class_probs)
    either = None
    if low is not None and background is not None:
        either = np.fmax(low, background)
    return {
        "background": background,
        "unseen": scores.unseen(context.support) if len(inputs.detections) else None,
        "low_foreground": low,
        "empty_once": empty,
        "background_or_empty": either,
        "untracked": scores.untracked(context.links.before, context.links.after),
        "standing": scores.standing(places.shares, places.stillness, context.still),
        "source_doubt": None
        if inputs.labels.source_scores is None
        else scores.source_doubt(inputs.labels.source_scores),
        "odd_size": shared["odd_size"],
    }


def _missing(context: Context, candidates: Candidates, inputs: FinderInputs) -> dict[str, FloatArray | None]:
    found = context.matched[context.matched >= 0]
    sure = found[np.nan_to_num(context.matched_iou[context.matched >= 0]) >= 0.5]
    still = may_stand(candidates.classes, context.classes, context.settings)
    usual = np.full(len(candidates), 0.5)
    for klass in range(len(context.classes)):
        rows = np.asarray(inputs.labels.classes) == klass
        if rows.any():
            usual[candidates.classes == klass] = context.usual_foreground[rows.argmax()]
    low = scores.low_foreground(candidates.foreground, usual, still)
    places = candidates.places
    return {
        "confidence": scores.confidence(candidates.scores, np.asarray(inputs.detections.scores, float)[sure]),
        "object": candidates.objects,
        "uncovered": candidates.uncovered,
        "free": candidates.free,
        "foreground": 1 - low,
        "unexplained": np.where(still, np.nan, np.clip(candidates.unexplained / (0.6 * usual), 0, 1)),
        "not_standing": 1 - scores.standing(places.shares, places.stillness, still),
        "usual_size": 1 - scores.odd_size(candidates.size_z),
        "in_track": candidates.in_track,
        "ledger": candidates.ledger,
    }


def _wrong_class(
    inputs: FinderInputs, context: Context, shared: Mapping[str, FloatArray | None]
) -> dict[str, FloatArray | None]:
    probs = inputs.label_evidence.class_probs
    doubt = None if probs is None else scores.class_doubt(probs, np.asarray(inputs.labels.classes))
    detected = len(inputs.detections) > 0
    return {
        "class_doubt": doubt,
        "seen_as_other": scores.seen_as_other(context.own_support, context.other_support)
        if detected
        else None,
        "neighbours": shared["neighbours"],
        "track_minority": shared["track_minority"],
        "odd_size": shared["odd_size"],
    }


def _bad_location(
    inputs: FinderInputs,
    context: Context,
    shared: Mapping[str, FloatArray | None],
    outlines: Mapping[str, FloatArray | None],
) -> dict[str, FloatArray | None]:
    labels, evidence = inputs.labels, inputs.label_evidence
    refined = snapped = detected = None
    # Where there is nothing to match, a detection's box is unknown.
    found = np.full((len(labels), 4), np.nan)
    if evidence.refined_boxes is not None:
        refined = scores.box_disagreement(labels.boxes, evidence.refined_boxes)
        if evidence.class_probs is not None:
            # On empty background the detector's box means nothing.
            refined = refined * (1 - scores.background_doubt(evidence.class_probs))
    if evidence.snapped_boxes is not None:
        snapped = scores.box_disagreement(labels.boxes, evidence.snapped_boxes)
    if len(inputs.detections):
        score = np.nan_to_num(np.asarray(inputs.detections.scores, float), nan=0.0)
        detected = scores.detection_disagreement(context.matched_iou, score[context.matched])
        has = context.matched >= 0
        found[has] = np.asarray(inputs.detections.boxes, float)[context.matched[has]]
    drawn = found if evidence.refined_boxes is None else np.asarray(evidence.refined_boxes, float)

    def elsewhere(boxes: FloatArray | None) -> FloatArray | None:
        """The likelier of a detector's two boxes, beside another source's box."""
        if boxes is None:
            return None
        sides = [scores.elsewhere(labels.boxes, np.asarray(boxes, float), side) for side in (found, drawn)]
        return np.fmax(*sides)

    widths = np.asarray(inputs.frames.widths)[labels.frames]
    heights = np.asarray(inputs.frames.heights)[labels.frames]
    return {
        "refined": refined,
        "detected": detected,
        "snapped": snapped,
        "detector_elsewhere": scores.elsewhere(labels.boxes, found, drawn),
        "foreground_elsewhere": elsewhere(evidence.snapped_boxes),
        "path_elsewhere": elsewhere(context.expected),
        "misfit": None if evidence.location_scores is None else scores.misfit(evidence.location_scores),
        "unseen": scores.unseen(context.support) if len(inputs.detections) else None,
        # A loose box shows in its mask: that ends before the box does.
        "mask_box": outlines.get("mask_box"),
        "mask_region": outlines.get("mask_region"),
        "edge": shared["edge"],
        "jump": shared["jump"],
        "odd_size": shared["odd_size"],
        "sliver": scores.sliver(labels.boxes),
        "out_of_frame": scores.out_of_frame(labels.boxes, widths, heights),
    }


def _duplicate(inputs: FinderInputs, context: Context) -> dict[str, FloatArray | None]:
    source, doubles = inputs.labels.source_scores, context.doubles
    alone = None
    if len(inputs.detections):
        score = np.nan_to_num(np.asarray(inputs.detections.scores, float), nan=0.0)
        alone = scores.unseen(np.nan_to_num(context.matched_iou * score[context.matched]))
    return {
        "overlap": scores.duplicate_overlap(doubles.iou, doubles.inside),
        "inside": doubles.inside,
        "alone": alone,
        **double_columns(inputs, doubles, context.expected),
        "source_doubt": None if source is None else scores.source_doubt(source),
    }


def _track(context: Context, shared: Mapping[str, FloatArray | None]) -> dict[str, FloatArray | None]:
    minority = shared["track_minority"] if len(context.classes) > 1 else None
    return {"jump": shared["jump"], "jitter": shared["jitter"], "track_minority": minority}


def _outlier(inputs: FinderInputs, shared: Mapping[str, FloatArray | None]) -> dict[str, FloatArray | None]:
    far = inputs.label_evidence.outlier
    return {
        "far": None if far is None else scores.outlier_score(far),
        "neighbours": shared["neighbours"],
        "odd_size": shared["odd_size"],
    }


def _frames(inputs: FinderInputs) -> dict[str, FloatArray | None]:
    health = inputs.frames.health
    verdicts, moved = health.verdicts, None
    if health.shift is not None:
        moved = scores.moved_score(health.shift)
        # A recording that was made from another position as a whole has no bad frames for that.
        settled = scores.moved_for_good(moved, inputs.frames.clips)
        moved = np.where(settled, 0.0, moved)
        if verdicts is not None:
            verdicts = tuple(
                tuple(word for word in words if not (elsewhere and word == _MOVED))
                for words, elsewhere in zip(verdicts, settled.tolist(), strict=True)
            )
    return {
        "verdict": None if verdicts is None else scores.verdict_score(verdicts),
        "blur": None if health.sharpness is None else scores.blur_score(health.sharpness),
        "exposure": None if health.brightness is None else scores.exposure_score(health.brightness),
        "frozen": None if health.change is None else scores.frozen_score(health.change),
        "repeated": None
        if health.twin_distance is None
        else scores.duplicate_frame_score(health.twin_distance, health.change),
        "moved": moved,
    }
