"""Score one set of detections on gold: AP by faster-coco-eval, the rest by the same matching rule."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple

import numpy as np

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.evaluation.calibration import calibration
from curate.evaluation.coco import SIZES, CocoFigures, coco_figures
from curate.evaluation.error_kinds import error_gains, error_kinds, mean_gains
from curate.evaluation.gold import COUNTS, gold_hash
from curate.evaluation.matching import Matches
from curate.evaluation.operating import (
    confusion_matrix,
    curve_points,
    false_at_recalls,
    operating_point,
)
from curate.evaluation.results import (
    Ap,
    ClassResult,
    ErrorGains,
    ErrorKinds,
    EvalResult,
    FrameCounts,
    RecallAtAlarms,
    SubsetResult,
)
from curate.evaluation.scorer import Scorer, check_subsets, motion_flags, prepare
from curate.evaluation.settings import EvalSettings
from curate.evaluation.traffic import count_errors, looks_per_hour, recall_at_alarms
from curate.tables import Detections
from curate.types import BoolArray, IntArray, Ring

__all__ = ["evaluate"]

_AT_50 = np.array([0.5])


def evaluate(
    frames: Sequence[Frame],
    gold: Sequence[Annotation],
    detections: Sequence[Detections],
    classes: Sequence[str],
    settings: EvalSettings | None = None,
    *,
    slices: Mapping[str, BoolArray] | None = None,
    moving: IntArray | BoolArray | None = None,
    gold_id: str = "",
    regions: Mapping[str, Ring] | None = None,
    ms_per_frame: float | None = None,
    memory_mb: float | None = None,
) -> EvalResult:
    """Score detections on gold labels.

    Args:
        frames: F gold frames.
        gold: G gold labels on them.
        detections: One entry per frame, in the order of the frames; `classes` index into `classes`.
        classes: Class names.
        settings: Operating point, recalls and what is left out.
        slices: Name -> (G,) bool, the gold objects of each slice.
        moving: (G,) 1/True moving, 0/False parked, -1 unknown; None derives it from tracks.
        gold_id: Name of the gold set.
        regions: Name -> polygon in which things are counted, such as an approach.
        ms_per_frame: Time of the detector, passed through.
        memory_mb: Memory of the detector for one frame, passed through.

    Raises:
        DataError: The input does not fit together (see `gold_arrays` and `detection_arrays`).
    """
    settings = settings or EvalSettings()
    if ms_per_frame is not None and not (math.isfinite(ms_per_frame) and ms_per_frame >= 0):
        raise DataError(f"ms_per_frame must be a number >= 0 or None, got {ms_per_frame}")
    scorer = prepare(frames, gold, detections, classes, settings)
    subsets = check_subsets(slices, len(gold))
    motion = motion_flags(frames, gold, moving)
    truth, found = scorer.gold, scorer.detections
    counted = truth.kind == COUNTS
    matches = scorer.matches(thresholds=_AT_50)
    kinds = error_kinds(truth, found, scorer.pairs, matches, settings.score, len(classes))
    gains = error_gains(truth, found, scorer.pairs, matches, len(classes))
    box, mask = _figures(scorer, len(classes), None)
    per_class = {
        name: _class_result(scorer, matches, label, name, box, mask, kinds[label], gains[label])
        for label, name in enumerate(classes)
    }
    everything = np.ones(len(found), bool)
    totals = [sum(values) for values in zip(*map(astuple, kinds), strict=True)]
    confusion = confusion_matrix(truth, found, scorer.pairs, matches, settings.score, len(classes))
    return EvalResult(
        gold_id=gold_id,
        gold_hash=gold_hash(frames, gold),
        classes=tuple(classes),
        settings=settings,
        frames=len(frames),
        objects=int(counted.sum()),
        ignored=int((~counted).sum()),
        tracks=truth.count_tracks(counted),
        detections=len(found),
        box=_ap(scorer, box, None, counted),
        mask=_ap(scorer, mask, None, counted, masks=True),
        box_sizes=_sizes(scorer, box, None),
        mask_sizes=_sizes(scorer, mask, None, masks=True),
        at_score=operating_point(settings.score, *_counts(scorer, matches, everything), int(counted.sum())),
        fppi=false_at_recalls(
            found.scores,
            matches.true[0],
            matches.false[0],
            int(counted.sum()),
            len(frames),
            settings.recalls,
        ),
        errors=ErrorKinds(*totals) if totals else ErrorKinds(0, 0, 0, 0, 0, 0),
        per_class=per_class,
        slices={name: _subset_result(scorer, name, keep, classes) for name, keep in subsets.items()},
        motion={
            name: _subset_result(scorer, name, motion == flag, classes)
            for name, flag in (("moving", 1), ("parked", 0))
        },
        motion_unknown=int((counted & (motion < 0)).sum()),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        per_frame=_per_frame(scorer, matches, frames),
        ms_per_frame=ms_per_frame,
        notes=_notes(scorer, motion, counted),
        alarms={name: _alarms(scorer, matches, label, frames) for label, name in enumerate(classes)},
        counts=count_errors(scorer, matches, classes, regions or {}),
        calibration=calibration(found.scores, matches.true[0], matches.false[0]),
        gains=mean_gains(gains),
        memory_mb=memory_mb,
    )


def _alarms(
    scorer: Scorer, matches: Matches, label: int, frames: Sequence[Frame]
) -> tuple[RecallAtAlarms, ...]:
    mine = scorer.detections.label == label
    return recall_at_alarms(
        scorer.detections.scores[mine],
        matches.true[0][mine],
        matches.false[0][mine],
        int((matches.positives & (scorer.gold.label == label)).sum()),
        len(frames),
        looks_per_hour(frames),
        scorer.settings.alarms_per_hour,
    )


def _figures(
    scorer: Scorer, classes: int, subset: BoolArray | None
) -> tuple[CocoFigures, CocoFigures | None]:
    box = coco_figures(scorer.gold, scorer.detections, scorer.absorb, classes, scorer.settings, subset=subset)
    if scorer.mask_pairs is None:
        return box, None
    mask = coco_figures(
        scorer.gold,
        scorer.detections,
        scorer.mask_absorb,
        classes,
        scorer.settings,
        subset=subset,
        masks=True,
    )
    return box, mask


def _ap(
    scorer: Scorer,
    figures: CocoFigures | None,
    label: int | None,
    members: BoolArray,
    *,
    size: str = "all",
    masks: bool = False,
) -> Ap:
    """One `Ap` with the reason when there is none. `members` (G,) are the objects that it speaks of."""
    if masks:
        members = members & np.array([mask is not None for mask in scorer.gold.masks], bool)
    objects = int(members.sum())
    if figures is None:
        return Ap(None, None, None, objects, scorer.mask_reason)
    values = figures.triple(label, size)
    if values is None:
        return Ap(None, None, None, objects, "no gold object counts here")
    mine = scorer.detections.label == label if label is not None else np.ones(len(scorer.detections), bool)
    return Ap(*values, objects, "" if mine.any() else "no detections")


def _sizes(
    scorer: Scorer, figures: CocoFigures | None, label: int | None, *, masks: bool = False
) -> dict[str, Ap]:
    gold = scorer.gold
    mine = gold.kind == COUNTS
    if label is not None:
        mine = mine & (gold.label == label)
    return {
        # Both limits belong to a size, as in pycocotools: an object of exactly 32 x 32 is small and medium.
        name: _ap(
            scorer,
            figures,
            label,
            mine & (gold.area >= low) & (gold.area <= high),
            size=name,
            masks=masks,
        )
        for name, (low, high) in SIZES.items()
    }


def _counts(scorer: Scorer, matches: Matches, members: BoolArray) -> tuple[int, int]:
    """True and false positives at the operating point among the member detections (D,)."""
    shown = members & (scorer.detections.scores >= scorer.settings.score)
    return int((matches.true[0] & shown).sum()), int((matches.false[0] & shown).sum())


def _class_result(
    scorer: Scorer,
    matches: Matches,
    label: int,
    name: str,
    box: CocoFigures,
    mask: CocoFigures | None,
    errors: ErrorKinds,
    gains: ErrorGains | None,
) -> ClassResult:
    gold, settings = scorer.gold, scorer.settings
    mine, own = scorer.detections.label == label, gold.label == label
    counted = own & (gold.kind == COUNTS)
    positives = int(counted.sum())
    scores, true, false = scorer.detections.scores[mine], matches.true[0][mine], matches.false[0][mine]
    return ClassResult(
        label=name,
        objects=positives,
        ignored=int(own.sum()) - positives,
        tracks=gold.count_tracks(counted),
        detections=int(mine.sum()),
        box=_ap(scorer, box, label, counted),
        mask=_ap(scorer, mask, label, counted, masks=True),
        box_sizes=_sizes(scorer, box, label),
        mask_sizes=_sizes(scorer, mask, label, masks=True),
        at_score=operating_point(settings.score, *_counts(scorer, matches, mine), positives),
        fppi=false_at_recalls(scores, true, false, positives, gold.frames, settings.recalls),
        errors=errors,
        curve=curve_points(scores, true, false, positives, gold.frames),
        gains=gains,
    )


def _subset_result(scorer: Scorer, name: str, subset: BoolArray, classes: Sequence[str]) -> SubsetResult:
    gold = scorer.gold
    members = subset & (gold.kind == COUNTS)
    box, mask = _figures(scorer, len(classes), subset)
    matches = scorer.matches(subset=subset, thresholds=_AT_50)
    everything = np.ones(len(scorer.detections), bool)
    counts = _counts(scorer, matches, everything)
    return SubsetResult(
        name=name,
        objects=int(members.sum()),
        tracks=gold.count_tracks(members),
        box=_ap(scorer, box, None, members),
        mask=_ap(scorer, mask, None, members, masks=True),
        per_class={
            entry: _ap(scorer, box, label, members & (gold.label == label))
            for label, entry in enumerate(classes)
        },
        at_score=operating_point(scorer.settings.score, *counts, int(members.sum())),
    )


def _per_frame(scorer: Scorer, matches: Matches, frames: Sequence[Frame]) -> tuple[FrameCounts, ...]:
    shown = scorer.detections.scores >= scorer.settings.score
    owner, count = scorer.detections.frame, len(frames)
    true = np.bincount(owner[matches.true[0] & shown], minlength=count)
    false = np.bincount(owner[matches.false[0] & shown], minlength=count)
    missed = np.bincount(scorer.gold.frame[matches.positives], minlength=count) - true
    columns = zip(frames, true.tolist(), false.tolist(), missed.tolist(), strict=True)
    return tuple(FrameCounts(frame.id, t, f, m) for frame, t, f, m in columns)


def _notes(scorer: Scorer, motion: IntArray, counted: BoolArray) -> tuple[str, ...]:
    notes = []
    without = int((counted & np.array([mask is None for mask in scorer.gold.masks], bool)).sum())
    if scorer.mask_pairs is None:
        notes.append(f"Masks were not scored: {scorer.mask_reason}.")
    elif without:
        notes.append(f"Gold objects without a mask, ignored in the mask figures: {without}.")
    unknown = int((counted & (motion < 0)).sum())
    if unknown:
        notes.append(f"Gold objects without a track to tell whether they move: {unknown}.")
    return tuple(notes)
