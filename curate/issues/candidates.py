"""The pool of candidates for missing labels: fixed before anything is scored."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from curate.geometry.boxes import box_iou_pairwise
from curate.issues.context import Context, may_stand
from curate.issues.hints import HintSource, HintTable
from curate.issues.inputs import FinderInputs, LabelTable, PlaceEvidence
from curate.issues.pairs import Pairs, best_of, iter_frame_pairs, overlaps
from curate.issues.places import frames_of, recurring
from curate.issues.tracks import affinity, frame_order, shapes, track_gaps
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["Candidates", "missing_candidates"]

# A detection matched one to one this well is the label's own: not a candidate.
_OWN = 0.5
_DOUBLE = 0.5
# Between two labels of a track the object may as well be hidden: half of what a continuing detection is worth.
_GAP = 0.5
_PART = 0.3


@dataclass(frozen=True)
class Candidates:
    """N boxes that may lack a label.

    Attributes:
        frames: (N,) frame.
        boxes: (N, 4).
        classes: (N,) proposed class.
        scores: (N,) confidence of the detection; 0 for a hint or gap, NaN for those if no detector ran.
        detections: (N,) row of the detection, -1 for hints and gaps.
        hints: (N,) row of the hint, -1 for detections and gaps.
        objects: (N,) probability of any object that the detector gives to the hint's box; NaN for detections.
        free: (N,) 1 - largest IoU with a label of the same class.
        uncovered: (N,) 1 - largest share of the candidate inside one label of the same class.
        in_track: (N,) 0..1, how well it continues labels before and after that have no partner on the frame.
        ledger: (N,) share of all frames on which the same place, standing still, has a label of this class;
            0 for classes that do not stand for long.
        foreground: (N,) share of the box that differs from the plate, NaN when unknown. A gap in a track
            takes that of the label before.
        unexplained: (N,) the same outside all labels, NaN when unknown.
        size_z: (N, 2) z-scores, NaN when unknown; likewise.
        places: Where the candidates stand, labels at the same place counted in.
        overlapped: (N,) label that overlaps most, -1 for none.
    """

    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    scores: FloatArray
    detections: IntArray
    hints: IntArray
    objects: FloatArray
    free: FloatArray
    uncovered: FloatArray
    in_track: FloatArray
    ledger: FloatArray
    foreground: FloatArray
    unexplained: FloatArray
    size_z: FloatArray
    places: PlaceEvidence
    overlapped: IntArray

    def __len__(self) -> int:
        return len(self.frames)


class _Pool(NamedTuple):
    """The boxes before anything is known about them; `kin` is the label that lends a gap its evidence."""

    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    scores: FloatArray
    detections: IntArray
    hints: IntArray
    kin: IntArray

    def where(self, keep: BoolArray) -> _Pool:
        return _Pool(
            self.frames[keep], self.boxes[keep], self.classes[keep], self.scores[keep],
            self.detections[keep], self.hints[keep], self.kin[keep],
        )  # fmt: skip


def missing_candidates(inputs: FinderInputs, context: Context) -> Candidates:
    """Detections that are not the one-to-one match of a label, hints, and gaps in tracks that neither covers.

    Of candidates that overlap each other by more than half the best one stays. What lies mostly inside an
    ignored label is explained by it and no candidate.
    """
    pool = _pool(inputs, context)
    pool = pool.where(
        _without_doubles(pool.frames, pool.boxes, _rank(inputs, pool))
        & ~_ignored(inputs, pool.frames, pool.boxes)
    )
    frames, boxes, classes = pool.frames, pool.boxes, pool.classes
    free, uncovered, overlapped = _coverage(inputs.labels, _label_pairs(inputs, context, pool), classes)
    places, ledger = _places(inputs, context, frames, boxes, classes, pool.detections)
    probs = inputs.hints.class_probs
    gap = (pool.detections < 0) & (pool.hints < 0)
    gap |= (pool.hints >= 0) & _of(inputs.hints.sources == HintSource.GAP, pool.hints)
    seen, hinted, known = inputs.detection_evidence, inputs.hints, inputs.label_evidence
    return Candidates(
        frames=frames,
        boxes=boxes,
        classes=classes,
        scores=pool.scores,
        detections=pool.detections,
        hints=pool.hints,
        objects=_take(pool, hints=None if probs is None else 1 - np.asarray(probs, float)[:, -1]),
        free=free,
        uncovered=uncovered,
        in_track=np.maximum(_continues(inputs, context, frames, boxes, classes), np.where(gap, _GAP, 0.0)),
        ledger=ledger,
        foreground=_take(pool, seen.foreground, hinted.foreground, known.foreground),
        unexplained=_take(pool, seen.unexplained, hinted.unexplained),
        size_z=_take(pool, seen.size_z, hinted.size_z, known.size_z, width=2),
        places=places,
        overlapped=overlapped,
    )


def _pool(inputs: FinderInputs, context: Context) -> _Pool:
    """Detections without a label of their own, then hints, then gaps in tracks."""
    detections, hints = inputs.detections, inputs.hints
    scores = np.nan_to_num(np.asarray(detections.scores, float), nan=0.0)
    rows = np.flatnonzero((context.matched_label_iou < _OWN) & (scores >= context.settings.candidate_score))
    gaps = track_gaps(inputs.frames, inputs.labels, context.links)
    new = _uncovered_gaps(inputs, gaps.frames, gaps.boxes)
    boxes, classes = _hinted(hints)
    quiet = 0.0 if len(detections) or len(hints) else np.nan
    counts = (len(rows), len(hints), len(new))
    blank = [np.full(count, -1, np.int64) for count in counts]
    return _Pool(
        np.concatenate([np.asarray(detections.frames)[rows], hints.frames, gaps.frames[new]]).astype(
            np.int64
        ),
        np.concatenate([np.asarray(detections.boxes, float)[rows], boxes, gaps.boxes[new]]),
        np.concatenate([np.asarray(detections.classes)[rows], classes, gaps.classes[new]]).astype(np.int64),
        np.concatenate([scores[rows], np.full(counts[1] + counts[2], quiet)]),
        np.concatenate([rows, blank[1], blank[2]]),
        np.concatenate([blank[0], np.arange(counts[1]), blank[2]]),
        np.concatenate([blank[0], blank[1], gaps.before[new]]).astype(np.int64),
    )


def _hinted(hints: HintTable) -> tuple[FloatArray, IntArray]:
    """Boxes and classes of the hints.

    A piece of foreground is what differs from the ground, a part of somebody or two people at once: where the
    detector sees an object in it, its box is taken.
    """
    boxes, classes = np.array(hints.boxes, float).reshape(-1, 4), np.array(hints.classes, np.int64)
    if hints.class_probs is None or not len(hints):
        return boxes, np.maximum(classes, 0)
    probs = np.asarray(hints.class_probs, float)
    classes = np.where(classes >= 0, classes, probs[:, :-1].argmax(1))
    if hints.refined_boxes is not None:
        refined = np.asarray(hints.refined_boxes, float)
        better = (np.asarray(hints.sources) == HintSource.FOREGROUND) & (probs[:, -1] < 0.5)
        better &= box_iou_pairwise(boxes, refined) >= _PART
        boxes[better] = refined[better]
    return boxes, classes


def _rank(inputs: FinderInputs, pool: _Pool) -> FloatArray:
    """(N,) which of two candidates for one object stays: detections by score, hints by half their probability."""
    rank = np.nan_to_num(pool.scores, nan=0.0)
    probs = inputs.hints.class_probs
    if probs is not None:
        at = pool.hints >= 0
        rank[at] = (1 - np.asarray(probs, float)[pool.hints[at], -1]) / 2
    return rank


def _of(values: BoolArray, rows: IntArray) -> BoolArray:
    """(N,) values of rows, False for -1."""
    result = np.zeros(len(rows), bool)
    result[rows >= 0] = np.asarray(values)[rows[rows >= 0]]
    return result


def _take(
    pool: _Pool,
    detections: FloatArray | None = None,
    hints: FloatArray | None = None,
    labels: FloatArray | None = None,
    *,
    width: int = 0,
) -> FloatArray:
    """(N,) or (N, width) evidence of the detection, of the hint, or, for a gap, of the label before it."""
    result = np.full((len(pool.frames), width) if width else len(pool.frames), np.nan)
    for values, at in ((detections, pool.detections), (hints, pool.hints), (labels, pool.kin)):
        if values is not None:
            result[at >= 0] = np.asarray(values, float)[at[at >= 0]]
    return result


def _uncovered_gaps(inputs: FinderInputs, frames: IntArray, boxes: FloatArray) -> IntArray:
    filled = np.zeros(len(frames), bool)
    for table in (inputs.detections, inputs.labels, inputs.hints):
        pairs = overlaps(frames, boxes, table.frames, table.boxes)
        filled[pairs.a[pairs.iou >= 0.3]] = True
    return np.flatnonzero(~filled)


def _without_doubles(frames: IntArray, boxes: FloatArray, scores: FloatArray) -> np.ndarray:
    pairs = overlaps(frames, boxes, frames, boxes)
    rank = np.nan_to_num(scores, nan=-1.0)
    better = (rank[pairs.b] > rank[pairs.a]) | ((rank[pairs.b] == rank[pairs.a]) & (pairs.b < pairs.a))
    keep = np.ones(len(frames), bool)
    keep[pairs.a[(pairs.iou > _DOUBLE) & better & (pairs.a != pairs.b)]] = False
    return keep


def _ignored(inputs: FinderInputs, frames: IntArray, boxes: FloatArray) -> np.ndarray:
    result = np.zeros(len(frames), bool)
    counts = inputs.labels.counts
    if counts is not None and not np.all(counts):
        rows = np.flatnonzero(~np.asarray(counts, bool))
        pairs = overlaps(frames, boxes, np.asarray(inputs.labels.frames)[rows], inputs.labels.boxes[rows])
        result[pairs.a[pairs.inside_a > 0.5]] = True
    return result


def _label_pairs(inputs: FinderInputs, context: Context, pool: _Pool) -> Pairs:
    """Candidates and the labels that they overlap; for detections that is known already."""
    detected = np.flatnonzero(pool.detections >= 0)
    row_of = np.full(len(inputs.detections), -1, np.int64)
    row_of[pool.detections[detected]] = detected
    known = context.label_pairs.where(row_of[context.label_pairs.a] >= 0)
    rest = np.flatnonzero(pool.detections < 0)
    new = overlaps(pool.frames[rest], pool.boxes[rest], inputs.labels.frames, inputs.labels.boxes)
    parts = (replace(known, a=row_of[known.a]), replace(new, a=rest[new.a]))
    return Pairs(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Pairs)))


def _coverage(labels: LabelTable, pairs: Pairs, classes: IntArray) -> tuple[FloatArray, FloatArray, IntArray]:
    """What each candidate of classes (N,) has free, uncovered and overlapped (see `Candidates`)."""
    count = len(classes)
    _, at = best_of(pairs.a, pairs.iou, count)
    overlapped = np.where(at >= 0, pairs.b[at] if len(pairs.b) else -1, -1)
    same = pairs.where(classes[pairs.a] == np.asarray(labels.classes)[pairs.b])
    free = 1 - best_of(same.a, same.iou, count)[0]
    return free, 1 - best_of(same.a, same.inside_a, count)[0], np.asarray(overlapped)


def _continues(
    inputs: FinderInputs, context: Context, frames: IntArray, boxes: FloatArray, classes: IntArray
) -> FloatArray:
    """(N,) mean over both directions of the likeness to a neighbouring label without partner here."""
    labels, links = inputs.labels, context.links
    order = frame_order(inputs.frames)
    here, there = order[frames], order[np.asarray(labels.frames, np.int64)]
    width = len(context.classes)
    own, known = shapes(boxes), shapes(labels.boxes)
    total = np.zeros(len(frames))
    for step, link in ((-1, links.after), (1, links.before)):
        partner = np.where(link >= 0, there[link] if len(there) else 0, -9)
        rows = np.flatnonzero(partner != there - step)
        best = np.zeros(len(frames))
        wanted = (here + step) * width + classes
        for a, b in iter_frame_pairs(wanted, there[rows] * width + np.asarray(labels.classes)[rows]):
            np.maximum.at(best, a, affinity(own.take(a, axis=1), known.take(rows.take(b), axis=1)))
        total += best / 2
    return np.clip(total, 0, 1)


def _places(
    inputs: FinderInputs,
    context: Context,
    frames: IntArray,
    boxes: FloatArray,
    classes: IntArray,
    rows: IntArray,
) -> tuple[PlaceEvidence, FloatArray]:
    """Where the candidates stand, and their ledger (see `Candidates`).

    Labels and candidates are clustered together: a fixture that is labelled on half of the frames and only
    detected on the others is one place.
    """
    labels, total = inputs.labels, len(inputs.frames)
    everything = recurring(
        np.concatenate([np.asarray(labels.frames), frames]),
        np.concatenate([np.asarray(labels.boxes, float), boxes]),
        np.concatenate([np.asarray(labels.classes), classes]).astype(np.int64),
        total,
        iou=context.settings.place_iou,
    )
    ids = everything.ids[len(labels) :]
    size = int(everything.ids.max(initial=-1)) + 1
    labelled = frames_of(everything.ids[: len(labels)], labels.frames, size) / max(total, 1)
    still = may_stand(classes, context.classes, context.settings)
    own = PlaceEvidence(
        ids,
        everything.counts[len(labels) :],
        everything.shares[len(labels) :],
        everything.stillness[len(labels) :],
    )
    ledger = np.where(still, labelled[ids] * own.stillness, 0.0) if len(ids) else np.zeros(0)
    given = inputs.detection_evidence.places
    if given is None or (rows < 0).any():
        return own, ledger
    return PlaceEvidence(
        given.ids[rows], given.counts[rows], given.shares[rows], given.stillness[rows]
    ), ledger
