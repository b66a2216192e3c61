"""What labels and detections say about each other: computed once, read by every type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.errors import DataError
from curate.issues.doubles import Doubles, find_doubles
from curate.issues.inputs import FinderInputs, PlaceEvidence
from curate.issues.pairs import Pairs, best_of, match_one_to_one, overlaps
from curate.issues.places import recurring
from curate.issues.scores import typical_foreground
from curate.issues.settings import FinderSettings
from curate.issues.tracks import Links, expected_boxes, link_tracks
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["Context", "build_context", "may_stand"]

# Below this IoU a detection is not taken for the label's own one.
_SAME = 0.2
_SAME_CLASS = 0.25


@dataclass(frozen=True)
class Context:
    """Derived arrays; L labels, D detections.

    Attributes:
        classes: Class names.
        settings: The settings in force.
        matched: (L,) detection matched one to one (same class preferred), -1 without.
        matched_iou: (L,) its IoU, NaN without.
        matched_label: (D,) the label matched, -1 without.
        matched_label_iou: (D,) IoU of that match, 0 without.
        support: (L,) largest IoU x score over the detections of the frame.
        own_support: (L,) the same over detections of the labelled class.
        other_support: (L,) the same over detections of other classes.
        doubles: The label of the same class that each one most looks a duplicate of.
        links: Labels linked over time.
        majority: (L,) most frequent class of the label's track, -1 for tracks of fewer than three labels.
        expected: (L, 4) box that the track expects, NaN without.
        places: Where the labels stand.
        still: (L,) True for labels of classes that may stand still.
        usual_foreground: (L,) share of foreground that is usual for the class.
        label_pairs: Overlapping (detection, label) pairs.
    """

    classes: tuple[str, ...]
    settings: FinderSettings
    matched: IntArray
    matched_iou: FloatArray
    matched_label: IntArray
    matched_label_iou: FloatArray
    support: FloatArray
    own_support: FloatArray
    other_support: FloatArray
    doubles: Doubles
    links: Links
    majority: IntArray
    expected: FloatArray
    places: PlaceEvidence
    still: BoolArray
    usual_foreground: FloatArray
    label_pairs: Pairs


def build_context(inputs: FinderInputs, classes: Sequence[str], settings: FinderSettings) -> Context:
    """Match, link and place everything.

    Raises:
        DataError: A label or detection has a class that is not in the list, or the class posterior has
            another number of columns.
    """
    labels, detections = inputs.labels, inputs.detections
    _check_classes("labels", labels.classes, classes)
    _check_classes("detections", detections.classes, classes)
    probs = inputs.label_evidence.class_probs
    if probs is not None and np.asarray(probs).shape[1] != len(classes) + 1:
        raise DataError(
            f"class_probs needs {len(classes) + 1} columns (classes and background), "
            f"got {np.asarray(probs).shape[1]}",
            item="label evidence",
        )
    scores = np.nan_to_num(np.asarray(detections.scores, float), nan=0.0)
    pairs = overlaps(detections.frames, detections.boxes, labels.frames, labels.boxes)
    same = np.asarray(detections.classes)[pairs.a] == np.asarray(labels.classes)[pairs.b]
    weight = np.where(pairs.iou >= _SAME, (pairs.iou + _SAME_CLASS * same) * (0.5 + scores[pairs.a]), 0.0)
    matched = match_one_to_one(pairs.b, pairs.a, weight, len(labels), len(detections))
    matched_iou = np.full(len(labels), np.nan)
    matched_label = np.full(len(detections), -1, np.int64)
    matched_label_iou = np.zeros(len(detections))
    hit = matched[pairs.b] == pairs.a
    matched_iou[pairs.b[hit]] = pairs.iou[hit]
    matched_label[pairs.a[hit]] = pairs.b[hit]
    matched_label_iou[pairs.a[hit]] = pairs.iou[hit]
    strength = pairs.iou * scores[pairs.a]
    own = best_of(pairs.b[same], strength[same], len(labels))[0]
    other = best_of(pairs.b[~same], strength[~same], len(labels))[0]
    links = link_tracks(inputs.frames, labels)
    still = may_stand(labels.classes, classes, settings)
    evidence = inputs.label_evidence
    places = evidence.places
    if places is None:
        places = recurring(
            labels.frames, labels.boxes, labels.classes, len(inputs.frames), iou=settings.place_iou
        )
    foreground = evidence.foreground
    usual = typical_foreground(
        np.full(len(labels), np.nan) if foreground is None else foreground, labels.classes, still
    )
    expected = expected_boxes(inputs.frames, labels, links)
    doubles = find_doubles(inputs, own, matched_iou, expected)
    return Context(
        tuple(classes), settings, matched, matched_iou, matched_label, matched_label_iou,
        np.maximum(own, other), own, other, doubles, links, _majority(links.tracks, labels.classes),
        expected, places, still, usual, pairs,
    )  # fmt: skip


def _majority(tracks: IntArray, classes: IntArray) -> IntArray:
    if not len(tracks):
        return np.zeros(0, np.int64)
    width = int(np.max(classes)) + 1
    pairs, counts = np.unique(np.asarray(tracks) * width + np.asarray(classes), return_counts=True)
    # Later writes win: the most frequent class of each track is written last.
    order = np.argsort(counts, kind="stable")
    most = np.zeros(int(tracks.max()) + 1, np.int64)
    most[pairs[order] // width] = pairs[order] % width
    return np.where(np.bincount(tracks)[tracks] >= 3, most[tracks], -1)


def _check_classes(table: str, values: IntArray, classes: Sequence[str]) -> None:
    values = np.asarray(values)
    if len(values) and (values.min() < 0 or values.max() >= len(classes)):
        bad = int(np.flatnonzero((values < 0) | (values >= len(classes)))[0])
        raise DataError(
            f"row {bad} has class {int(values[bad])}, but there are {len(classes)} classes", item=table
        )


def may_stand(values: IntArray, classes: Sequence[str], settings: FinderSettings) -> BoolArray:
    """(N,) True where the class (N,) may stand still for hours."""
    names = np.array([name.strip().lower() in settings.still_classes for name in classes], bool)
    return np.asarray(names[np.asarray(values, np.int64)] if len(values) else np.zeros(0, bool))
