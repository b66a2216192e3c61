"""What a comparison takes and says, as frozen dataclasses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.evaluation.results import plain, restore
from curate.evaluation.settings import EvalSettings
from curate.tables import Detections

FEW_BLOCKS = 10
"""With fewer independent time blocks than this, every verdict reads "indicative"."""

LOWER_IS_BETTER = ("fppi@", "count_error", "errors@", "calibration_error")
"""Beginnings of the figures that are better when they are lower."""

__all__ = [
    "FEW_BLOCKS",
    "LOWER_IS_BETTER",
    "Comparison",
    "Difference",
    "EvalInput",
    "FrameChange",
    "Side",
]


@dataclass(frozen=True)
class EvalInput:
    """One run to be compared.

    Attributes:
        frames: F gold frames.
        gold: Gold labels on them.
        detections: One entry per frame, in the order of `frames`.
        classes: Class names.
        gold_id: Name of the gold set, for messages.
        gold_hash: Content hash that was recorded when the run was scored, "" if unknown: another one than
            that of `frames` and `gold` is refused.
        seed: Training seed; None when unknown. Runs of one seed are not independent and are drawn together.
        label: Name of the run, for messages.
        ms_per_frame: Time of the detector.
        memory_mb: Its memory for one frame.
    """

    frames: Sequence[Frame]
    gold: Sequence[Annotation]
    detections: Sequence[Detections]
    classes: Sequence[str]
    gold_id: str = ""
    gold_hash: str = ""
    seed: int | None = None
    label: str = ""
    ms_per_frame: float | None = None
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One side: its runs, the different training seeds among them, mean milliseconds and memory for a frame."""

    label: str
    runs: int
    seeds: int
    ms_per_frame: float | None
    memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class FrameChange:
    """Errors (false positives plus missed objects, mean over runs) of one frame on both sides."""

    frame_id: str
    name: str
    before: float
    after: float

    @property
    def right_after(self) -> bool:
        """All runs of the second side are without an error here."""
        return self.after == 0

    @property
    def right_before(self) -> bool:
        """All runs of the first side are without an error here."""
        return self.before == 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure of one scope on both sides.

    Attributes:
        kind: "all", "class", "size", "slice", "motion", "place", "light" or "approach".
        name: Name of the class, slice, place or light, "small", "moving", "north: person"; "" for all.
        metric: box_ap, box_ap50, box_ap75, mask_ap, mask_ap50, mask_ap75, recall, precision, fppi@<recall>,
            recall@<alarms>/h (recall at so many false alarms an hour), count_error (mean |detections - objects|),
            errors@<kind> (a frame, kinds as in `ErrorKinds`), calibration_error (see `Calibration`).
        before: Mean over the training seeds of the first side.
        after: Mean over the training seeds of the second side.
        value: after - before.
        low: Lower end of the 95 % interval of `value`.
        high: Upper end.
        p_value: Two-sided, by sign flips over blocks. It speaks of THESE runs on other footage: how training
            seeds differ is not in it, so that it is small even between seeds of one recipe. The verdict
            follows the interval, which has both.
        higher_is_better: False for figures of errors.
        few: One training seed a side, or fewer than 10 blocks with objects: the interval is indicative.
        objects: Gold objects that count behind the figure.
        tracks: Different tracks among them.
        frames: Frames with such objects.
        blocks: Time blocks with such objects.
        reason: Why something is None.
    """

    kind: str
    name: str
    metric: str
    before: float | None
    after: float | None
    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    higher_is_better: bool
    few: bool
    objects: int
    tracks: int
    frames: int
    blocks: int
    reason: str = ""

    @property
    def frames_to_decide(self) -> int | None:
        """Gold frames that a difference of this size would need to be told from none, None when it is told now.

        The interval shrinks with the root of the number of time blocks: an estimate for footage of the same kind,
        with at least ten blocks. None, too, without an interval or a difference.
        """
        if self.low is None or self.high is None or not self.value or not self.blocks:
            return None
        if (self.low > 0 or self.high < 0) and not self.few:
            return None
        half = (self.high - self.low) / 2
        blocks = max(self.blocks * (half / abs(self.value)) ** 2, float(FEW_BLOCKS))
        return math.ceil(self.frames * blocks / self.blocks)

    @property
    def direction(self) -> str:
        """What the interval alone says: "better", "worse", "no clear difference", "unknown" without one."""
        if self.low is None or self.high is None:
            return "unknown"
        if self.low > 0:
            return "better" if self.higher_is_better else "worse"
        if self.high < 0:
            return "worse" if self.higher_is_better else "better"
        return "no clear difference"

    @property
    def verdict(self) -> str:
        """`direction`, but "indicative" when too little stands behind it."""
        return "indicative" if self.few and self.direction != "unknown" else self.direction


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences between two sides.

    Attributes:
        gold_id: Name of the gold set.
        gold_hash: Its content hash.
        classes: Class names.
        settings: How it was scored.
        before: First side.
        after: Second side.
        frames: Gold frames.
        blocks: Time blocks.
        tracks: Different tracks among the objects that count.
        resamples: Bootstrap resamples.
        seed: Of the resampling.
        headline: The difference that the verdict speaks of.
        verdict: "better", "worse", "no clear difference", "indicative" or "unknown".
        differences: Every scope and metric.
        wins: Frames with fewer errors after, the largest gain first.
        losses: Frames with more errors after, the largest loss first.
        notes: What a reader must know.
    """

    gold_id: str
    gold_hash: str
    classes: tuple[str, ...]
    settings: EvalSettings
    before: Side
    after: Side
    frames: int
    blocks: int
    tracks: int
    resamples: int
    seed: int
    headline: Difference
    verdict: str
    differences: tuple[Difference, ...]
    wins: tuple[FrameChange, ...]
    losses: tuple[FrameChange, ...]
    notes: tuple[str, ...]

    def find(self, metric: str, kind: str = "all", name: str = "") -> Difference:
        """One difference.

        Raises:
            DataError: There is none of that name.
        """
        for entry in self.differences:
            if (entry.metric, entry.kind, entry.name) == (metric, kind, name):
                return entry
        raise DataError(f"the comparison has no figure {metric!r} for {kind} {name}".rstrip())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: only dicts, lists, strings, finite numbers and None."""
        result: dict[str, Any] = plain(asdict(self))
        return result

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Comparison:
        """Back from `to_dict`.

        Raises:
            DataError: A field is missing or has the wrong type.
        """
        return restore(cls, value)
