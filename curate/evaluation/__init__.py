"""Scoring detections on gold labels, and comparing detectors so that the difference can be believed.

Arrays and labels in, dataclasses out: no torch, no database. `matching` states the one rule of what counts.
"""

from curate.evaluation.comparer import compare
from curate.evaluation.comparison import Comparison, Difference, EvalInput, FrameChange, Side
from curate.evaluation.evaluator import evaluate
from curate.evaluation.gold import gold_hash, moving_objects
from curate.evaluation.report import (
    comparison_markdown,
    delta,
    escape_markdown,
    evaluation_markdown,
    headline,
    verdict_sentence,
)
from curate.evaluation.results import (
    Ap,
    Calibration,
    CalibrationBin,
    ClassResult,
    CountError,
    Curve,
    ErrorGains,
    ErrorKinds,
    EvalResult,
    FalseAtRecall,
    FrameCounts,
    OperatingPoint,
    RecallAtAlarms,
    SubsetResult,
)
from curate.evaluation.settings import EvalSettings, places_in_slice, settings_from_site, site_slices

__all__ = [
    "Ap",
    "Calibration",
    "CalibrationBin",
    "ClassResult",
    "Comparison",
    "CountError",
    "Curve",
    "Difference",
    "ErrorGains",
    "ErrorKinds",
    "EvalInput",
    "EvalResult",
    "EvalSettings",
    "FalseAtRecall",
    "FrameChange",
    "FrameCounts",
    "OperatingPoint",
    "RecallAtAlarms",
    "Side",
    "SubsetResult",
    "compare",
    "comparison_markdown",
    "delta",
    "escape_markdown",
    "evaluate",
    "evaluation_markdown",
    "gold_hash",
    "headline",
    "moving_objects",
    "places_in_slice",
    "settings_from_site",
    "site_slices",
    "verdict_sentence",
]
