"""The pool of candidates for missing labels: fixed before anything is scored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.issues.context import Context, may_stand
from curate.issues.inputs import FinderInputs, PlaceEvidence
from curate.issues.pairs import best_of, iter_frame_pairs, overlaps
from curate.issues.places import recurring
from curate.issues.tracks import affinity, frame_order, track_gaps
from curate.types import FloatArray, IntArray

__all__ = ["Candidates", "missing_candidates"]

# A detection matched one to one this well is the label's own: not a candidate.
_OWN = 0.5
_DOUBLE = 0.5
# Between two labels of a track the object may as well be hidden: half of what a continuing detection is worth.
_GAP = 0.5


@dataclass(frozen=True)
class Candidates:
    """N boxes that may lack a label.

    Attributes:
        frames: (N,) frame.
        boxes: (N, 4).
        classes: (N,) proposed class.
        scores: (N,) confidence of the detection; for a gap in a track 0, or NaN if no detector ran.
        detections: (N,) row of the detection, -1 for a gap in a track.
        free: (N,) 1 - largest IoU with a label of the same class.
        uncovered: (N,) 1 - largest share of the candidate inside one label of the same class.
        in_track: (N,) 0..1, how well it continues labels before and after that have no partner on the frame.
        ledger: (N,) share of all frames on which the same place, standing still, has a label of this class;
            0 for classes that do not stand for long.
        foreground: (N,) share of the box that differs from the plate, NaN when unknown. A gap in a track
            takes that of the label before.
        size_z: (N, 2) z-scores, NaN when unknown; likewise.
        places: Where the candidates stand, labels at the same place counted in.
        overlapped: (N,) label that overlaps most, -1 for none.
    """

    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    scores: FloatArray
    detections: IntArray
    free: FloatArray
    uncovered: FloatArray
    in_track: FloatArray
    ledger: FloatArray
    foreground: FloatArray
    size_z: FloatArray
    places: PlaceEvidence
    overlapped: IntArray

    def __len__(self) -> int:
        return len(self.frames)


def missing_candidates(inputs: FinderInputs, context: Context) -> Candidates:
    """Detections that are not the one-to-one match of a label, and gaps in tracks where nothing was detected.

    Of candidates that overlap each other by more than half the best one stays. What lies mostly inside an
    ignored label is explained by it and no candidate.
    """
    labels, detections = inputs.labels, inputs.detections
    rows = np.arange(len(detections))
    scores = np.nan_to_num(np.asarray(detections.scores, float), nan=0.0)
    rows = rows[(context.matched_label_iou < _OWN) & (scores >= context.settings.candidate_score)]
    gaps = track_gaps(inputs.frames, labels, context.links)
    new = _gaps_without_detection(inputs, gaps.frames, gaps.boxes)
    frames = np.concatenate([np.asarray(detections.frames)[rows], gaps.frames[new]]).astype(np.int64)
    boxes = np.concatenate([np.asarray(detections.boxes, float)[rows], gaps.boxes[new]])
    classes = np.concatenate([np.asarray(detections.classes)[rows], gaps.classes[new]]).astype(np.int64)
    values = np.concatenate([scores[rows], np.full(len(new), 0.0 if len(detections) else np.nan)])
    keep = _without_doubles(frames, boxes, values) & ~_ignored(inputs, frames, boxes)
    source = np.concatenate([rows, np.full(len(new), -1)]).astype(np.int64)[keep]
    frames, boxes, classes, values = frames[keep], boxes[keep], classes[keep], values[keep]
    free, uncovered, overlapped = _coverage(inputs, frames, boxes, classes)
    evidence = inputs.detection_evidence
    places, ledger = _places(inputs, context, frames, boxes, classes, source)
    kin = np.concatenate([np.full(len(rows), -1), gaps.before[new]]).astype(np.int64)[keep]
    known = inputs.label_evidence
    return Candidates(
        frames, boxes, classes, values, source, free, uncovered,
        np.where(source < 0, _GAP, _continues(inputs, context, frames, boxes, classes)),
        ledger, _take(evidence.foreground, known.foreground, source, kin),
        _take(evidence.size_z, known.size_z, source, kin, 2), places, overlapped,
    )  # fmt: skip


def _take(
    of_detections: FloatArray | None, of_labels: FloatArray | None, rows: IntArray, kin: IntArray, *shape: int
) -> FloatArray:
    """(N, *shape) evidence of the detection, or, for a gap in a track, of the label before it."""
    result = np.full((len(rows), *shape), np.nan)
    for values, at in ((of_detections, rows), (of_labels, kin)):
        if values is not None:
            result[at >= 0] = np.asarray(values, float)[at[at >= 0]]
    return result


def _gaps_without_detection(inputs: FinderInputs, frames: IntArray, boxes: FloatArray) -> IntArray:
    """Gaps that no detection and no label fills."""
    filled = np.zeros(len(frames), bool)
    for table in (inputs.detections, inputs.labels):
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


def _coverage(
    inputs: FinderInputs, frames: IntArray, boxes: FloatArray, classes: IntArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    labels = inputs.labels
    pairs = overlaps(frames, boxes, labels.frames, labels.boxes)
    _, at = best_of(pairs.a, pairs.iou, len(frames))
    overlapped = np.where(at >= 0, pairs.b[at] if len(pairs.b) else -1, -1)
    same = pairs.where(classes[pairs.a] == np.asarray(labels.classes)[pairs.b])
    free = 1 - best_of(same.a, same.iou, len(frames))[0]
    return free, 1 - best_of(same.a, same.inside_a, len(frames))[0], np.asarray(overlapped)


def _continues(
    inputs: FinderInputs, context: Context, frames: IntArray, boxes: FloatArray, classes: IntArray
) -> FloatArray:
    """(N,) mean over both directions of the likeness to a neighbouring label without partner here."""
    labels, links = inputs.labels, context.links
    order = frame_order(inputs.frames)
    here, there = order[frames], order[np.asarray(labels.frames, np.int64)]
    label_boxes, label_classes = np.asarray(labels.boxes, float), np.asarray(labels.classes)
    total = np.zeros(len(frames))
    for step, link in ((-1, links.after), (1, links.before)):
        partner = np.where(link >= 0, there[link] if len(there) else 0, -9)
        rows = np.flatnonzero(partner != there - step)
        for a, b in iter_frame_pairs(here + step, there[rows]):
            same = classes[a] == label_classes[rows[b]]
            a, b = a[same], rows[b[same]]
            likeness = best_of(a, affinity(boxes[a], label_boxes[b]), len(frames))[0]
            total = total + likeness / 2
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
    entries = np.unique(np.column_stack([everything.ids[: len(labels)], labels.frames]), axis=0)[:, 0]
    labelled = np.bincount(entries, minlength=size) / max(total, 1)
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
