"""Kinds of error as TIDE tells them apart (Bolya et al., ECCV 2020): how many there are, and what each costs in AP."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np

from curate.evaluation.curves import average_precision, block_curve
from curate.evaluation.gold import COUNTS, GoldArrays
from curate.evaluation.matching import Matches
from curate.evaluation.overlaps import MIN_PAIR_IOU, DetectionArrays, Pairs
from curate.evaluation.results import ErrorGains, ErrorKinds
from curate.evaluation.settings import MATCH_IOU
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["KINDS", "error_gains", "error_kinds", "errors_by_block", "mean_gains"]

KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
"""Names of the kinds, as in `ErrorKinds`."""


@dataclass(frozen=True)
class _Sorted:
    """Every error under its kind.

    Attributes:
        kinds: Kind of false positive -> (D,) bool.
        target: (D,) the object that a localisation or classification error points at, else -1.
        found: (G,) objects that have a true positive.
        missed: (G,) objects that have none and that no such error points at.
    """

    kinds: dict[str, BoolArray]
    target: IntArray
    found: BoolArray
    missed: BoolArray


def _sort(
    gold: GoldArrays, detections: DetectionArrays, pairs: Pairs, matches: Matches, score: float
) -> _Sorted:
    shown = detections.scores >= score
    false = matches.false[0] & shown
    counted = gold.kind[pairs.gold] == COUNTS
    same = counted & (detections.label[pairs.detection] == gold.label[pairs.gold])
    own, own_at = _best(pairs, same, len(detections))
    other, other_at = _best(pairs, counted & ~same, len(detections))
    near = (own >= MIN_PAIR_IOU) & (own < MATCH_IOU)
    swapped = ~near & (other >= MATCH_IOU)
    twice = ~near & ~swapped & (own >= MATCH_IOU)
    nothing = ~near & ~swapped & ~twice & (other < MIN_PAIR_IOU)
    both = ~(near | swapped | twice | nothing)
    found = np.zeros(len(gold.kind), bool)
    found[matches.gold[0][matches.true[0] & shown]] = True
    target = np.where(false & near, own_at, np.where(false & swapped, other_at, -1))
    missed = matches.positives & ~found
    missed[target[target >= 0]] = False
    parts = (swapped, near, both, twice, nothing)
    kinds = {name: false & part for name, part in zip(KINDS[:-1], parts, strict=True)}
    return _Sorted(kinds, target, found, missed)


def _best(pairs: Pairs, wanted: BoolArray, count: int) -> tuple[FloatArray, IntArray]:
    """Largest IoU of each detection over the wanted pairs (0 without) and the object it is with (-1)."""
    iou, where = np.zeros(count), np.full(count, -1, np.int64)
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(pairs.iou[rows], kind="stable")]
    iou[pairs.detection[rows]] = pairs.iou[rows]
    where[pairs.detection[rows]] = pairs.gold[rows]
    return iou, where


def error_kinds(
    gold: GoldArrays, detections: DetectionArrays, pairs: Pairs, matches: Matches, score: float, classes: int
) -> list[ErrorKinds]:
    """Number of errors per class: of the detected class for false positives, of the gold class for missed ones.

    Args:
        gold: G objects.
        detections: D detections.
        pairs: Their overlaps.
        matches: At IoU .5.
        score: Detections below it do not exist.
        classes: Number of classes.
    """
    found = _sort(gold, detections, pairs, matches, score)
    columns = {
        name: np.bincount(detections.label[kind], minlength=classes) for name, kind in found.kinds.items()
    }
    columns["missed"] = np.bincount(gold.label[found.missed], minlength=classes)
    return [
        ErrorKinds(**{name: int(counts[label]) for name, counts in columns.items()})
        for label in range(classes)
    ]


def errors_by_block(
    gold: GoldArrays,
    detections: DetectionArrays,
    pairs: Pairs,
    matches: Matches,
    score: float,
    blocks: IntArray,
) -> dict[str, tuple[IntArray, IntArray]]:
    """Kind -> block and class of each error at the operating score.

    Args:
        gold: G objects.
        detections: D detections.
        pairs: Their overlaps.
        matches: At IoU .5.
        score: Detections below it do not exist.
        blocks: (F,) block of each frame.
    """
    found = _sort(gold, detections, pairs, matches, score)
    result = {
        name: (blocks[detections.frame[kind]], detections.label[kind]) for name, kind in found.kinds.items()
    }
    result["missed"] = (blocks[gold.frame[found.missed]], gold.label[found.missed])
    return result


@dataclass
class _Outcome:
    """What AP is made of; a repair changes a copy."""

    label: IntArray
    true: BoolArray
    false: BoolArray
    positives: IntArray

    def copy(self) -> _Outcome:
        return _Outcome(self.label.copy(), self.true.copy(), self.false.copy(), self.positives.copy())

    def ap50(self, scores: FloatArray) -> FloatArray:
        """(C,) AP at IoU .5; a class without an object left has 1 without false positives, else 0."""
        one = np.ones((1, 1))
        values = np.zeros(len(self.positives))
        for label, objects in enumerate(self.positives.tolist()):
            mine = self.label == label
            if not objects:
                values[label] = not self.false[mine].any()
                continue
            nowhere = np.zeros(int(mine.sum()), np.int64)
            curve = block_curve(
                scores[mine], self.true[mine], self.false[mine], nowhere, np.array([float(objects)])
            )
            values[label] = average_precision(curve, one)[0]
        return values


def error_gains(
    gold: GoldArrays, detections: DetectionArrays, pairs: Pairs, matches: Matches, classes: int
) -> list[ErrorGains | None]:
    """AP50 that each class would gain if one kind of error were repaired, all detections taken at any score.

    The repairs are TIDE's (section 2.2 of the paper, and its program where that says less): a wrong class or place
    is put right, or dropped when the object is found already or a better-scored error points at it; other false
    positives are dropped; objects missed are taken out of the count. They do not add up to what is lacking.

    Args:
        gold: G objects.
        detections: D detections.
        pairs: Their overlaps.
        matches: At IoU .5.
        classes: Number of classes.

    Returns:
        One entry a class; None without an object that counts.
    """
    errors = _sort(gold, detections, pairs, matches, 0.0)
    objects = np.bincount(gold.label[matches.positives], minlength=classes)
    now = _Outcome(detections.label, matches.true[0], matches.false[0], objects)
    takes = _takes(errors, detections.scores)
    fixed: dict[str, _Outcome] = {}
    for name, kind in errors.kinds.items():
        fixed[name] = after = now.copy()
        after.false[kind] = False
        right = takes & kind
        after.true[right] = True
        after.label[right] = gold.label[errors.target[right]]
    for name, gone in (("missed", errors.missed), ("false_negative", matches.positives & ~errors.found)):
        fixed[name] = after = now.copy()
        after.positives = after.positives - np.bincount(gold.label[gone], minlength=classes)
    fixed["false_positive"] = after = now.copy()
    after.false[:] = False
    before = now.ap50(detections.scores)
    # Repairs cannot lose; reading the curve at 101 recalls can, by a hair.
    gains = {name: np.maximum(after.ap50(detections.scores) - before, 0.0) for name, after in fixed.items()}
    return [
        ErrorGains(**{name: float(values[label]) for name, values in gains.items()})
        if objects[label]
        else None
        for label in range(classes)
    ]


def _takes(errors: _Sorted, scores: FloatArray) -> BoolArray:
    """(D,) errors that a repair makes true positives: per object that is not found the best-scored one."""
    rows = np.flatnonzero(errors.target >= 0)
    rows = rows[~errors.found[errors.target[rows]]]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    first = np.unique(errors.target[rows], return_index=True)[1]
    takes = np.zeros(len(scores), bool)
    takes[rows[first]] = True
    return takes


def mean_gains(gains: list[ErrorGains | None]) -> ErrorGains | None:
    """Gains of the mean AP over the classes that have objects; None when none has."""
    known = [astuple(entry) for entry in gains if entry is not None]
    if not known:
        return None
    names = [entry.name for entry in fields(ErrorGains)]
    return ErrorGains(**dict(zip(names, np.mean(known, axis=0).tolist(), strict=True)))
