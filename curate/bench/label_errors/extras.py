"""Beyond the ranking: are proposals right, probabilities true, and what is each evidence family worth?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from curate.annotations import Issue, IssueType, ProposalKind
from curate.bench.label_errors.case import Case
from curate.bench.label_errors.judge import TYPES
from curate.geometry.boxes import box_iou
from curate.geometry.polygons import to_rle
from curate.geometry.rle import rle_iou
from curate.issues import (
    DetectionEvidence,
    DetectionTable,
    FinderInputs,
    HintTable,
    PlaceEvidence,
    Scored,
    expected_errors,
    rank_issues,
    reliability,
)
from curate.issues.ranking import rank

__all__ = ["FAMILIES", "proposal_rows", "reliability_rows", "without"]

_GOOD = 0.75
"""Overlap with the truth from which an accepted proposal is right."""


def proposal_rows(case: Case, scored: Scored, seed: int) -> list[dict[str, Any]]:
    """Per type of error: how many the queue lists, and how often its proposal, accepted as it is, sets it right.

    Right is: the label deleted (spurious, duplicate), the true class given, box or mask with IoU >= 0.75, for a
    lost label a box with IoU >= 0.75 and the true class. The proposal is the one shown, whatever type of issue
    the queue takes the error for.
    """
    issues = rank_issues(scored)
    of_label = {issue.annotation_id: issue for issue in issues if issue.annotation_id is not None}
    missing: dict[str, list[Issue]] = {}
    for issue in issues:
        if issue.type is IssueType.MISSING:
            missing.setdefault(issue.frame_id, []).append(issue)
    rows = []
    for kind in TYPES:
        numbers = [number for number, error in enumerate(case.errors) if error.type is kind]
        if not numbers:
            continue
        shown = [_shown(case, number, of_label, missing) for number in numbers]
        listed = [(number, issue) for number, issue in zip(numbers, shown, strict=True) if issue]
        rows.append(
            {
                "type": f"proposal {kind.value}",
                "seed": seed,
                "errors": len(numbers),
                "listed": len(listed),
                "named": sum(issue.type is kind for _, issue in listed),
                "right": sum(_right(case, number, issue) for number, issue in listed),
            }
        )
    return rows


def _shown(
    case: Case, number: int, of_label: Mapping[str, Issue], missing: Mapping[str, Sequence[Issue]]
) -> Issue | None:
    error = case.errors[number]
    if error.type is not IssueType.MISSING:
        return of_label.get(error.annotation_id)
    near = [issue for issue in missing.get(error.frame_id, ()) if issue.bbox_xyxy is not None]
    if not near:
        return None
    overlap = box_iou(np.array(error.true_box), np.array([issue.bbox_xyxy for issue in near], float))[0]
    best = int(overlap.argmax())
    return near[best] if overlap[best] >= 0.5 else None


def _right(case: Case, number: int, issue: Issue) -> bool:
    error, proposal = case.errors[number], issue.proposal
    true_class = None if error.true_class is None else case.classes[error.true_class]
    if error.type in (IssueType.SPURIOUS, IssueType.DUPLICATE):
        return proposal.kind is ProposalKind.DELETE_LABEL
    if error.type is IssueType.WRONG_CLASS:
        return proposal.kind is ProposalKind.RELABEL and proposal.label == true_class
    if error.type is IssueType.INACCURATE_MASK:
        return proposal.kind is ProposalKind.EDIT and _mask_fits(case, number, issue)
    wanted = ProposalKind.ADD if error.type is IssueType.MISSING else ProposalKind.EDIT
    if proposal.kind is not wanted or proposal.bbox_xyxy is None or error.true_box is None:
        return False
    if wanted is ProposalKind.ADD and proposal.label != true_class:
        return False
    return bool(box_iou(np.array(proposal.bbox_xyxy), np.array(error.true_box))[0, 0] >= _GOOD)


def _mask_fits(case: Case, number: int, issue: Issue) -> bool:
    error, mask = case.errors[number], issue.proposal.mask
    if mask is None or error.true_mask is None:
        return False
    frames = case.inputs.frames
    at = frames.ids.index(error.frame_id)
    size = int(frames.heights[at]), int(frames.widths[at])
    return bool(rle_iou([to_rle(mask, *size)], [to_rle(error.true_mask, *size)])[0, 0] >= _GOOD)


def reliability_rows(case: Case, scored: Scored, seed: int) -> list[dict[str, Any]]:
    """Probabilities against the injected truth, which nothing was learned from: Brier, curve, forecast.

    One row per type, over all items to which it applies, and one for the queue: what it promises of its first
    10 % and 20 % against what they hold.
    """
    rows: list[dict[str, Any]] = []
    for kind in TYPES:
        if not case.count(kind):
            continue
        values = np.asarray(scored.probabilities[kind], float)
        if kind is IssueType.MISSING:
            known = case.pool.candidates >= 0
            values, truth = values[case.pool.candidates[known]], case.truth(kind)[known]
        else:
            values, truth = case.ranked(kind, values)
        found = reliability(values, truth.astype(np.int64))
        rows.append(
            {
                "type": f"reliability {kind.value}",
                "seed": seed,
                "brier": found.brier,
                "brier_of_the_rate": float(truth.mean() * (1 - truth.mean())) if len(truth) else None,
                "calibration_error": found.error,
                "predicted": found.predicted.tolist(),
                "observed": found.observed.tolist(),
                "counts": found.counts.tolist(),
            }
        )
    rows.append(_forecast(case, scored, seed))
    return rows


def _forecast(case: Case, scored: Scored, seed: int) -> dict[str, Any]:
    ranking = rank(scored)
    kinds = np.array(list(IssueType), dtype=object)[ranking.kinds]
    of_candidate = np.full(len(scored.evidence.candidates), -1, np.int64)
    known = case.pool.candidates >= 0
    of_candidate[case.pool.candidates[known]] = case.pool.errors[known]
    hit = np.array(
        [
            (of_candidate[row] if kind is IssueType.MISSING else case.label_errors[row]) >= 0
            if kind is not IssueType.BAD_FRAME
            else False
            for kind, row in zip(kinds, ranking.rows.tolist(), strict=True)
        ],
        bool,
    )
    row: dict[str, Any] = {"type": "forecast", "seed": seed}
    for name, share in (("10", 0.1), ("20", 0.2)):
        count = round(share * len(case.inputs.labels))
        promised = expected_errors(ranking.probabilities, count)
        row |= {
            f"promised{name}": promised.errors,
            f"low{name}": promised.low,
            f"high{name}": promised.high,
            f"held{name}": int(hit[:count].sum()),
        }
    return row


def without(inputs: FinderInputs, family: str) -> FinderInputs:
    """The same tables with one evidence family removed.

    Args:
        inputs: Tables and evidence.
        family: One of `FAMILIES`.
    """
    return FAMILIES[family](inputs)


def _no_label_scores(inputs: FinderInputs) -> FinderInputs:
    evidence = replace(
        inputs.label_evidence,
        class_probs=None,
        refined_boxes=None,
        location_scores=None,
        predicted_masks=None,
        mask_scores=None,
        redrawn_masks=None,
    )
    return replace(inputs, label_evidence=evidence, hints=HintTable.empty())


def _no_detections(inputs: FinderInputs) -> FinderInputs:
    return replace(inputs, detections=DetectionTable.empty(), detection_evidence=DetectionEvidence())


def _no_embeddings(inputs: FinderInputs) -> FinderInputs:
    evidence = replace(inputs.label_evidence, neighbour_agreement=None, neighbour_probs=None, outlier=None)
    return replace(inputs, label_evidence=evidence)


def _no_camera(inputs: FinderInputs) -> FinderInputs:
    evidence = replace(
        inputs.label_evidence,
        foreground=None,
        edge_contrast=None,
        edge_gain=None,
        mask_empty=None,
        mask_left=None,
        snapped_boxes=None,
        size_z=None,
        places=_nowhere(inputs, len(inputs.labels)),
    )
    found = DetectionEvidence(None, None, _nowhere(inputs, len(inputs.detections)))
    return replace(inputs, label_evidence=evidence, detection_evidence=found, hints=HintTable.empty())


def _nowhere(inputs: FinderInputs, count: int) -> PlaceEvidence:
    """Every box on a place of its own."""
    return PlaceEvidence(
        np.arange(count),
        np.ones(count, np.int64),
        np.full(count, 1 / max(1, len(inputs.frames))),
        np.zeros(count),
    )


def _no_time(inputs: FinderInputs) -> FinderInputs:
    """Every frame a recording of its own, so that nothing can be linked."""
    frames = replace(inputs.frames, clips=tuple(f"clip-{at}" for at in range(len(inputs.frames))))
    return replace(inputs, frames=frames, labels=replace(inputs.labels, tracks=None))


def _no_masks(inputs: FinderInputs) -> FinderInputs:
    """Only the labels' own masks are left, and no other of the same object."""
    evidence = replace(
        inputs.label_evidence,
        predicted_masks=None,
        mask_scores=None,
        redrawn_masks=None,
        segmenter_masks=None,
        segmenter_scores=None,
    )
    detections = replace(inputs.detections, masks=None)
    return replace(inputs, label_evidence=evidence, detections=detections)


FAMILIES: Mapping[str, Callable[[FinderInputs], FinderInputs]] = {
    "label as proposal": _no_label_scores,
    "detections": _no_detections,
    "embeddings": _no_embeddings,
    "fixed camera": _no_camera,
    "time": _no_time,
    "other masks": _no_masks,
}
"""Evidence families by name; geometry is the labels themselves and cannot be taken away."""
