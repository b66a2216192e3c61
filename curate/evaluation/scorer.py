"""One set of detections against one gold set, prepared: overlaps by box and by mask, matched on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.evaluation.gold import COUNTS, GoldArrays, gold_arrays, moving_objects
from curate.evaluation.matching import THRESHOLDS, Matches, match
from curate.evaluation.overlaps import DetectionArrays, Pairs, absorbed, detection_arrays, find_pairs
from curate.evaluation.settings import EvalSettings
from curate.tables import Detections
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["Scorer", "check_subsets", "motion_flags", "prepare"]


@dataclass(frozen=True)
class Scorer:
    """Everything that the figures are computed from.

    Attributes:
        gold: G objects.
        detections: D detections.
        settings: How they are scored.
        pairs: Overlaps by box.
        absorb: (D,) counts for nothing unless matched.
        mask_pairs: Overlaps by mask, None when masks cannot be scored.
        mask_absorb: As `absorb`, for masks.
        mask_reason: Why masks cannot be scored.
    """

    gold: GoldArrays
    detections: DetectionArrays
    settings: EvalSettings
    pairs: Pairs
    absorb: BoolArray
    mask_pairs: Pairs | None
    mask_absorb: BoolArray
    mask_reason: str

    def matches(
        self,
        *,
        masks: bool = False,
        subset: BoolArray | None = None,
        outside: BoolArray | None = None,
        thresholds: FloatArray = THRESHOLDS,
    ) -> Matches:
        """Match by box or by mask.

        Args:
            masks: By mask.
            subset: (G,) objects to score; None for all.
            outside: (D,) detections that count for nothing unless they find such an object.
            thresholds: (T,) IoU thresholds.

        Raises:
            DataError: Masks are asked for and cannot be scored.
        """
        pairs = self.mask_pairs if masks else self.pairs
        if pairs is None:
            raise DataError(f"masks cannot be scored: {self.mask_reason}")
        usable = np.array([mask is not None for mask in self.gold.masks], bool) if masks else None
        absorb = self.mask_absorb if masks else self.absorb
        if outside is not None:
            absorb = absorb | outside
        return match(
            self.gold,
            self.detections,
            pairs,
            absorb,
            thresholds=thresholds,
            subset=subset,
            usable=usable,
        )


def prepare(
    frames: Sequence[Frame],
    gold: Sequence[Annotation] | GoldArrays,
    detections: Sequence[Detections],
    classes: Sequence[str],
    settings: EvalSettings,
) -> Scorer:
    """Check all input and compute the overlaps.

    Raises:
        DataError: No frame, or as `gold_arrays` and `detection_arrays` say.
    """
    if not frames:
        raise DataError("the gold set has no frame", hint="make one with `curate gold create`")
    truth = gold if isinstance(gold, GoldArrays) else gold_arrays(frames, gold, classes, settings)
    found = detection_arrays(frames, detections, classes, settings)
    reason = ""
    if not any(truth.masks[row] is not None for row in np.flatnonzero(truth.kind == COUNTS)):
        reason = "no gold object that counts has a mask"
    elif found.masks is None:
        # Without a single detection the AP of masks is 0, not unknown.
        reason = "the detections have no masks" if len(found) else ""
    scored = not reason
    return Scorer(
        gold=truth,
        detections=found,
        settings=settings,
        pairs=find_pairs(truth, found),
        absorb=absorbed(truth, found, settings),
        mask_pairs=find_pairs(truth, found, masks=True) if scored else None,
        mask_absorb=absorbed(truth, found, settings, masks=True) if scored else np.zeros(len(found), bool),
        mask_reason=reason,
    )


def check_subsets(
    subsets: Mapping[str, BoolArray] | None, count: int, of: str = "gold label"
) -> dict[str, BoolArray]:
    """Slices as (G,) bool arrays.

    Raises:
        DataError: A slice has another length than the gold labels, or is not boolean.
    """
    result: dict[str, BoolArray] = {}
    for name, values in (subsets or {}).items():
        array = np.asarray(values)
        if array.shape != (count,) or array.dtype != bool:
            raise DataError(
                f"a slice needs {count} booleans, one per {of}, got {array.dtype} {array.shape}",
                item=f"slice {name}",
            )
        result[name] = array
    return result


def motion_flags(
    frames: Sequence[Frame], gold: Sequence[Annotation], moving: IntArray | BoolArray | None
) -> IntArray:
    """(G,) 1 moving, 0 parked, -1 unknown: as given, else derived from the tracks.

    Raises:
        DataError: The flags given have another length than the gold labels.
    """
    if moving is None:
        return moving_objects(frames, gold)
    flags = np.asarray(moving).astype(np.int64)
    if flags.shape != (len(gold),):
        raise DataError(f"moving flags need shape ({len(gold)},), got {flags.shape}")
    return flags
