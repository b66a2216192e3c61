"""What an evaluation says: frozen dataclasses to JSON and back. A figure that cannot be had is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from curate.errors import DataError
from curate.evaluation.settings import EvalSettings

__all__ = [
    "Ap",
    "Calibration",
    "CalibrationBin",
    "ClassResult",
    "CountError",
    "Curve",
    "ErrorGains",
    "ErrorKinds",
    "EvalResult",
    "FalseAtRecall",
    "FrameCounts",
    "OperatingPoint",
    "RecallAtAlarms",
    "SubsetResult",
]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Ap:
    """Average precision over IoU .50:.95, at .50 and at .75, in [0, 1].

    Attributes:
        ap: Mean over ten IoU thresholds; None when it cannot be had.
        ap50: At IoU .50.
        ap75: At IoU .75.
        objects: Gold objects that count.
        reason: Why a figure is None, or why it is 0 without a single detection.
    """

    ap: float | None
    ap50: float | None
    ap75: float | None
    objects: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Counts at one score: true and false positives, missed objects; precision and recall in [0, 1].

    Precision is None without detections, recall without objects.
    """

    score: float
    true: int
    false: int
    missed: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class RecallAtAlarms:
    """The largest recall that a number of false alarms an hour allows.

    Attributes:
        per_hour: False alarms an hour of footage at most, every frame of the gold set's pace looked at.
        recall: None when the hour is unknown or there is no object.
        score: The threshold that gives it.
        reason: Why something is None.
    """

    per_hour: float
    recall: float | None
    score: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CountError:
    """Counts per frame at the operating score: objects, detections, mean error (bias), mean absolute error."""

    objects: float
    detections: float
    bias: float
    absolute: float


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Detections with a score in [low, high): how many, their mean score, the share that is right."""

    low: float
    high: float
    detections: int
    score: float | None
    precision: float | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Reliability of the scores.

    Attributes:
        bins: Ten of equal width.
        error: Expected calibration error: mean gap between score and precision, weighted by detections; None
            without detections.
    """

    bins: tuple[CalibrationBin, ...]
    error: float | None


@dataclass(frozen=True, slots=True)
class FalseAtRecall:
    """False positives per frame at the highest score threshold that reaches a recall.

    Attributes:
        recall: Wanted.
        per_frame: None when the recall is not reached (or there is no object).
        score: That threshold.
        precision: Precision there.
        reason: Why `per_frame` is None.
    """

    recall: float
    per_frame: float | None
    score: float | None
    precision: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """Precision-recall curve at IoU .5, one point per score threshold (at most 200, falling score)."""

    score: tuple[float, ...]
    recall: tuple[float, ...]
    precision: tuple[float, ...]
    false_per_frame: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ErrorKinds:
    """Errors at the operating point in TIDE's sense (Bolya et al., ECCV 2020).

    A false positive is, in this order: `localisation` when its best IoU with an object of its class is in
    [.1, .5); `classification` when it is >= .5 with an object of another class; `duplicate` when it is >= .5
    with an object of its class (a better detection has it); `background` when it meets no object with >= .1;
    else `both`. `missed` are the undetected objects that no localisation or classification error points at.
    """

    classification: int
    localisation: int
    both: int
    duplicate: int
    background: int
    missed: int


@dataclass(frozen=True, slots=True)
class ErrorGains:
    """AP50 in [0, 1] that would be gained if one kind of error alone were repaired, as in TIDE (see `ErrorKinds`).

    `false_positive` drops all false positives, `false_negative` finds all that is not found. Detections count at any
    score here, as AP does, so that the errors behind these are more than those of the operating point.
    """

    classification: float
    localisation: float
    both: float
    duplicate: float
    background: float
    missed: float
    false_positive: float
    false_negative: float


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """Outcome on one frame at the operating point, over all classes."""

    frame_id: str
    true: int
    false: int
    missed: int


@dataclass(frozen=True, slots=True)
class ClassResult:
    """All figures of one class.

    Attributes:
        label: Class name.
        objects: Gold objects that count.
        ignored: Gold objects of the class that do not.
        tracks: Different tracks among the objects.
        detections: Detections of the class at any score.
        box: AP by boxes.
        mask: AP by masks, over the gold objects that have one.
        box_sizes: AP by boxes for COCO's small, medium, large.
        mask_sizes: The same by masks.
        at_score: The operating point.
        fppi: False positives per frame at each recall of the settings.
        errors: Error kinds at the operating point.
        curve: Precision-recall curve by boxes.
        gains: AP50 to be had by repairing each kind of error; None without objects, and in older results.
    """

    label: str
    objects: int
    ignored: int
    tracks: int
    detections: int
    box: Ap
    mask: Ap
    box_sizes: dict[str, Ap]
    mask_sizes: dict[str, Ap]
    at_score: OperatingPoint
    fppi: tuple[FalseAtRecall, ...]
    errors: ErrorKinds
    curve: Curve
    gains: ErrorGains | None = None


@dataclass(frozen=True, slots=True)
class SubsetResult:
    """Figures of a named subset of the gold objects; every unmatched detection counts against it.

    Attributes:
        name: Name of the slice, or "moving" / "parked".
        objects: Objects of the subset that count.
        tracks: Different tracks among them.
        box: AP by boxes, mean over the classes that have objects here.
        mask: AP by masks.
        per_class: AP by boxes per class.
        at_score: The operating point; only `recall` and `missed` speak of the subset alone.
    """

    name: str
    objects: int
    tracks: int
    box: Ap
    mask: Ap
    per_class: dict[str, Ap]
    at_score: OperatingPoint


@dataclass(frozen=True, slots=True)
class EvalResult:
    """One set of detections scored on one gold set.

    Attributes:
        gold_id: Name of the gold set, "" if unnamed.
        gold_hash: Content hash of frames and labels.
        classes: Class names in the order of the indices.
        settings: How it was scored.
        frames: Number of frames.
        objects: Gold objects that count.
        ignored: Gold objects that do not.
        tracks: Different tracks among the objects that count.
        detections: Detections at any score, after the cut to `max_detections`.
        box: AP by boxes, mean over the classes that have objects.
        mask: AP by masks.
        box_sizes: By COCO size.
        mask_sizes: By COCO size.
        at_score: Operating point over all classes.
        fppi: False positives per frame over all classes, at each recall.
        errors: Error kinds over all classes.
        per_class: Class name -> figures.
        slices: Slice name -> figures.
        motion: "moving" and "parked" -> figures.
        motion_unknown: Objects that count and are in neither.
        confusion: (C + 1) x (C + 1) counts at the operating point: row = gold class, column = detected class;
            last row: false positives that meet no object, last column: missed objects.
        per_frame: Counts per frame, in the order of the frames.
        ms_per_frame: As given: milliseconds per frame.
        notes: What a reader must know, in sentences.
        alarms: Class name -> recall at each number of false alarms an hour.
        counts: Class name, or "region: class" -> error of the counts per frame.
        calibration: Whether scores mean what they say; None in results of older versions.
        memory_mb: As given: memory of tensors for one frame, weights included, in 2^20 bytes.
        gains: Mean over the classes that have objects of what repairing each kind of error would bring in AP50;
            None without objects, and in results of older versions.
    """

    gold_id: str
    gold_hash: str
    classes: tuple[str, ...]
    settings: EvalSettings
    frames: int
    objects: int
    ignored: int
    tracks: int
    detections: int
    box: Ap
    mask: Ap
    box_sizes: dict[str, Ap]
    mask_sizes: dict[str, Ap]
    at_score: OperatingPoint
    fppi: tuple[FalseAtRecall, ...]
    errors: ErrorKinds
    per_class: dict[str, ClassResult]
    slices: dict[str, SubsetResult]
    motion: dict[str, SubsetResult]
    motion_unknown: int
    confusion: tuple[tuple[int, ...], ...]
    per_frame: tuple[FrameCounts, ...]
    ms_per_frame: float | None
    notes: tuple[str, ...]
    alarms: dict[str, tuple[RecallAtAlarms, ...]] = field(default_factory=dict)
    counts: dict[str, CountError] = field(default_factory=dict)
    calibration: Calibration | None = None
    gains: ErrorGains | None = None
    memory_mb: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: only dicts, lists, strings, finite numbers and None."""
        result: dict[str, Any] = plain(asdict(self))
        return result

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> EvalResult:
        """Back from `to_dict`.

        Raises:
            DataError: A field is missing or has the wrong type.
        """
        return restore(cls, value)


def plain(value: Any) -> Any:
    """Tuples to lists, all the way down."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def restore(kind: type[_T], value: Mapping[str, Any]) -> _T:
    """A dataclass from its dict, checked.

    Raises:
        DataError: A field is missing or has the wrong type.
    """
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"a stored result needs another value: {first['msg']}", item=f"{kind.__name__} {where}"
        ) from error
