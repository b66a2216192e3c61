"""What the finders read: plain arrays, one row per frame, label or detection.

The workflow layer fills these tables from store, detectors, scene and embeddings. Every piece of evidence
is optional: None means that it does not apply or was not computed, NaN that it is unknown for one row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from curate.annotations import Mask
from curate.geometry.shapes import Rle
from curate.issues.checks import check_array, check_frames, check_length
from curate.issues.hints import HintTable
from curate.types import BoolArray, FloatArray, IntArray

__all__ = [
    "DetectionEvidence",
    "DetectionTable",
    "FinderInputs",
    "FrameHealth",
    "FrameTable",
    "LabelEvidence",
    "LabelTable",
    "PlaceEvidence",
]


@dataclass(frozen=True)
class FrameHealth:
    """Numbers about F whole frames. Each is None when it was not measured.

    Attributes:
        sharpness: (F,) any focus measure >= 0, high = sharp (variance of the Laplacian, for instance).
        brightness: (F,) mean grey level, 0..255.
        change: (F,) mean absolute grey-level difference to the frame before; NaN for the first of a clip.
        shift: (F,) pixels by which the camera has moved against the background plate.
        twin: (F,) index of the earlier frame that this one nearly repeats, or -1.
        twin_distance: (F,) difference to that twin in grey levels, 0 = the same picture; NaN without twin.
        verdicts: F tuples of words ("blurred", "dark", "frozen", "offline", "moved", "duplicate", ...) that
            an earlier step found certain; empty = fine.
    """

    sharpness: FloatArray | None = None
    brightness: FloatArray | None = None
    change: FloatArray | None = None
    shift: FloatArray | None = None
    twin: IntArray | None = None
    twin_distance: FloatArray | None = None
    verdicts: tuple[tuple[str, ...], ...] | None = None


@dataclass(frozen=True)
class FrameTable:
    """F frames of one camera.

    Attributes:
        ids: F frame ids.
        times: (F,) seconds.
        clips: F names of recordings.
        blocks: (F,) number of the time block; calibration never judges a block that it learned from.
        folds: (F,) fold whose detector judged the frame.
        widths: (F,) pixels.
        heights: (F,) pixels.
        health: Numbers about the pictures.
    """

    ids: tuple[str, ...]
    times: FloatArray
    clips: tuple[str, ...]
    blocks: IntArray
    folds: IntArray
    widths: IntArray
    heights: IntArray
    health: FrameHealth = field(default_factory=FrameHealth)

    def __post_init__(self) -> None:
        rows = len(self.ids)
        check_length("frames", "clips", self.clips, rows)
        check_array("frames", "times", self.times, rows, finite=True)
        for name in ("blocks", "folds", "widths", "heights"):
            check_array("frames", name, getattr(self, name), rows)
        for name in ("sharpness", "brightness", "change", "shift", "twin", "twin_distance"):
            check_array("frames", f"health.{name}", getattr(self.health, name), rows)
        check_length("frames", "health.verdicts", self.health.verdicts, rows)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class LabelTable:
    """L labels.

    Attributes:
        ids: L annotation ids.
        revisions: (L,) revision numbers.
        frames: (L,) index into the frame table.
        boxes: (L, 4) x1 y1 x2 y2 in pixels, finite.
        classes: (L,) index into the class list.
        source_scores: (L,) confidence of the model that made the label, NaN when unknown; None = all unknown.
        tracks: L track ids (None for a label without), or None when there are none at all.
        masks: L masks (None for a label without), or None when there are none at all.
        counts: (L,) False for crowd, difficult and ignored labels: they explain detections away, but nothing
            is claimed about them. None = all count.
        reviewed: (L,) True where a person has already decided on this revision: it is taken as right and no
            issue is raised. None = nobody has looked.
    """

    ids: tuple[str, ...]
    revisions: IntArray
    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    source_scores: FloatArray | None = None
    tracks: tuple[str | None, ...] | None = None
    masks: tuple[Mask | None, ...] | None = None
    counts: BoolArray | None = None
    reviewed: BoolArray | None = None

    def __post_init__(self) -> None:
        rows = len(self.ids)
        for name in ("revisions", "frames", "classes", "source_scores", "counts", "reviewed"):
            check_array("labels", name, getattr(self, name), rows)
        check_array("labels", "boxes", self.boxes, rows, 4, finite=True)
        check_length("labels", "tracks", self.tracks, rows)
        check_length("labels", "masks", self.masks, rows)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def judged(self) -> BoolArray:
        """(L,) True for labels that may get an issue: they count and nobody has decided on them."""
        judged = np.ones(len(self), bool)
        if self.counts is not None:
            judged &= np.asarray(self.counts, bool)
        if self.reviewed is not None:
            judged &= ~np.asarray(self.reviewed, bool)
        return judged


@dataclass(frozen=True)
class DetectionTable:
    """D out-of-fold detections: each made by a detector that never saw a label of its frame.

    Attributes:
        frames: (D,) index into the frame table.
        boxes: (D, 4) x1 y1 x2 y2 in pixels, finite.
        scores: (D,) in [0, 1]; rows with NaN are ignored.
        classes: (D,) index into the class list.
        masks: D masks (None for a detection without), or None.
    """

    frames: IntArray
    boxes: FloatArray
    scores: FloatArray
    classes: IntArray
    masks: tuple[Rle | None, ...] | None = None

    def __post_init__(self) -> None:
        rows = len(self.scores)
        check_array("detections", "frames", self.frames, rows)
        check_array("detections", "boxes", self.boxes, rows, 4, finite=True)
        check_array("detections", "classes", self.classes, rows)
        check_length("detections", "masks", self.masks, rows)

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> DetectionTable:
        """No detections."""
        none = np.zeros(0, np.int64)
        return cls(none, np.zeros((0, 4)), np.zeros(0), none)


@dataclass(frozen=True)
class PlaceEvidence:
    """Which place of the picture each of N boxes stands on, over all frames.

    Attributes:
        ids: (N,) number of the place, -1 for none.
        counts: (N,) frames with a box at this place.
        shares: (N,) the same as a share of all frames, 0..1.
        stillness: (N,) 0..1, median IoU of the place's boxes with its middle box: 0.85 and more for a thing
            that stands, about 0.6 where people walk through, 0 for a place with one box.
    """

    ids: IntArray
    counts: IntArray
    shares: FloatArray
    stillness: FloatArray


@dataclass(frozen=True)
class LabelEvidence:
    """What is known about each of L labels, row by row in the order of the label table.

    Attributes:
        class_probs: (L, C + 1) class posterior of the out-of-fold detector on the label's own box; the last
            column is background.
        refined_boxes: (L, 4) where that detector would put the box.
        location_scores: (L,) IoU that it predicts for the given box, 0..1.
        predicted_masks: L masks of its mask head inside the given box.
        mask_scores: (L,) confidence in that mask, 0..1.
        redrawn_masks: L masks of the same head inside the box that foreground or detector would put instead; None
            where that hardly differs.
        segmenter_masks: L masks of the promptable segmenter for the given box.
        segmenter_scores: (L,) the segmenter's own estimate of its IoU, 0..1.
        foreground: (L,) share of the box (or mask) that differs from the background plate, 0..1. With
            several plates over time: the largest of the shares.
        edge_contrast: (L,) contrast of the difference image across the edge of the mask or box, against the
            same edge shifted; about 0 = no edge there, 1 = a clear one.
        edge_gain: (L,) that contrast minus the best one of the same outline a few pixels aside, larger or
            smaller: below 0 the outline would fit better there.
        mask_empty: (L,) share of the mask that looks like the empty scene, 0..1.
        mask_left: (L,) foreground that hangs together with the mask and lies in no label, as a share of its area.
        snapped_boxes: (L, 4) the box fitted to the foreground under it, NaN rows where there is none.
        size_z: (L, 2) robust z-scores of width and height for the foot row and class.
        places: Where each label stands, over time. None: computed from the boxes.
        neighbour_agreement: (L,) share of the nearest crops (other time block, other track) with the same class.
        neighbour_probs: (L, C) share of the nearest crops per class.
        outlier: (L,) 0..1, distance of the crop to its class against the usual distance, as a percentile.
    """

    class_probs: FloatArray | None = None
    refined_boxes: FloatArray | None = None
    location_scores: FloatArray | None = None
    predicted_masks: tuple[Mask | None, ...] | None = None
    mask_scores: FloatArray | None = None
    redrawn_masks: tuple[Mask | None, ...] | None = None
    segmenter_masks: tuple[Mask | None, ...] | None = None
    segmenter_scores: FloatArray | None = None
    foreground: FloatArray | None = None
    edge_contrast: FloatArray | None = None
    edge_gain: FloatArray | None = None
    mask_empty: FloatArray | None = None
    mask_left: FloatArray | None = None
    snapped_boxes: FloatArray | None = None
    size_z: FloatArray | None = None
    places: PlaceEvidence | None = None
    neighbour_agreement: FloatArray | None = None
    neighbour_probs: FloatArray | None = None
    outlier: FloatArray | None = None


@dataclass(frozen=True)
class DetectionEvidence:
    """The same for each of D detections.

    Attributes:
        foreground: (D,) share of the box that differs from the plate, 0..1.
        size_z: (D, 2) robust z-scores of width and height.
        places: Where each detection stands, over time. None: computed from the boxes.
        unexplained: (D,) share of the box that differs from the plate and lies in no label, 0..1.
    """

    foreground: FloatArray | None = None
    size_z: FloatArray | None = None
    places: PlaceEvidence | None = None
    unexplained: FloatArray | None = None


@dataclass(frozen=True)
class FinderInputs:
    """Everything that `find_issues` reads; checked on construction.

    Raises:
        DataError: A shape does not fit, a box is not finite, or a row points at a frame that does not exist.
    """

    frames: FrameTable
    labels: LabelTable
    detections: DetectionTable = field(default_factory=DetectionTable.empty)
    label_evidence: LabelEvidence = field(default_factory=LabelEvidence)
    detection_evidence: DetectionEvidence = field(default_factory=DetectionEvidence)
    hints: HintTable = field(default_factory=HintTable.empty)

    def __post_init__(self) -> None:
        check_frames("labels", self.labels.frames, len(self.frames))
        check_frames("hints", self.hints.frames, len(self.frames))
        check_frames("detections", self.detections.frames, len(self.frames))
        widths: Mapping[str, tuple[int, ...]] = {"refined_boxes": (4,), "snapped_boxes": (4,), "size_z": (2,)}
        flat = (
            "location_scores",
            "mask_scores",
            "segmenter_scores",
            "foreground",
            "edge_contrast",
            "edge_gain",
            "mask_empty",
            "mask_left",
            "outlier",
        )
        rows, evidence = len(self.labels), self.label_evidence
        for name in (*flat, "neighbour_agreement", *widths):
            check_array("label evidence", name, getattr(evidence, name), rows, *widths.get(name, ()))
        for name in ("class_probs", "neighbour_probs"):
            value = getattr(evidence, name)
            if value is not None:
                check_array("label evidence", name, value, rows, np.asarray(value).shape[-1])
        for name in ("predicted_masks", "redrawn_masks", "segmenter_masks"):
            check_length("label evidence", name, getattr(evidence, name), rows)
        for name in ("foreground", "unexplained"):
            value = getattr(self.detection_evidence, name)
            check_array("detection evidence", name, value, len(self.detections))
        check_array("detection evidence", "size_z", self.detection_evidence.size_z, len(self.detections), 2)
        for places, count in (
            (evidence.places, rows),
            (self.detection_evidence.places, len(self.detections)),
        ):
            if places is not None:
                for name in ("ids", "counts", "shares", "stillness"):
                    check_array("places", name, getattr(places, name), count)
