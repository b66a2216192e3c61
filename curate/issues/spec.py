"""Which evidence speaks for which type of error, and what it is worth before anything was learned.

P(error) = sigmoid(bias + sum of weight x evidence). Every evidence lies in [0, 1], and more of it never makes
an error less likely, so weights are never negative: that keeps a classifier sane that was trained on injected
errors when it meets errors that nobody injected. The weights here are round numbers from reasoning, not fits;
`curate.issues.calibrate` moves them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueType
from curate.types import FloatArray

__all__ = ["SPECS", "Evidence", "TypeSpec"]


@dataclass(frozen=True)
class Evidence:
    """One input of a type's classifier.

    Attributes:
        name: Key in `Issue.evidence`.
        weight: Log-odds that a value of 1 adds, before learning.
        usual: Value of a clean item: stands in when the evidence is absent, so that absence says nothing.
        key: At least one key evidence must be there, else the type does not apply.
    """

    name: str
    weight: float
    usual: float
    key: bool = False


@dataclass(frozen=True)
class TypeSpec:
    """The prior classifier of one type.

    Attributes:
        bias: Log-odds when all evidence is 0.
        evidence: Its inputs, in the order of the columns.
    """

    bias: float
    evidence: tuple[Evidence, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(item.name for item in self.evidence)

    @property
    def weights(self) -> FloatArray:
        """(K,) prior weights."""
        return np.array([item.weight for item in self.evidence])

    @property
    def usual(self) -> FloatArray:
        """(K,) values that stand in for absent evidence."""
        return np.array([item.usual for item in self.evidence])


SPECS: dict[IssueType, TypeSpec] = {
    IssueType.SPURIOUS: TypeSpec(
        -6.0,
        (
            Evidence("background", 3.0, 0.15, key=True),
            Evidence("unseen", 1.0, 0.3, key=True),
            Evidence("low_foreground", 2.5, 0.1, key=True),
            Evidence("empty_once", 0.5, 0.1),
            Evidence("background_or_empty", 1.5, 0.2),
            Evidence("untracked", 0.5, 0.1),
            Evidence("standing", 2.0, 0.05),
            Evidence("source_doubt", 3.0, 0.35, key=True),
            Evidence("odd_size", 1.5, 0.1),
        ),
    ),
    IssueType.MISSING: TypeSpec(
        -12.5,
        (
            Evidence("confidence", 5.0, 0.2, key=True),
            Evidence("object", 5.0, 0.2, key=True),
            Evidence("uncovered", 3.0, 0.8),
            Evidence("free", 1.5, 0.9),
            Evidence("foreground", 2.0, 0.6),
            Evidence("unexplained", 2.0, 0.5),
            Evidence("not_standing", 1.0, 0.8),
            Evidence("usual_size", 0.5, 0.8),
            Evidence("in_track", 1.5, 0.2, key=True),
            Evidence("ledger", 2.0, 0.0),
        ),
    ),
    IssueType.WRONG_CLASS: TypeSpec(
        -5.0,
        (
            Evidence("class_doubt", 4.5, 0.05, key=True),
            Evidence("seen_as_other", 2.0, 0.0),
            Evidence("neighbours", 2.0, 0.15, key=True),
            Evidence("track_minority", 2.0, 0.0),
            Evidence("odd_size", 0.5, 0.1),
        ),
    ),
    IssueType.BAD_LOCATION: TypeSpec(
        -7.5,
        (
            Evidence("refined", 3.0, 0.3, key=True),
            Evidence("detected", 2.0, 0.25, key=True),
            Evidence("snapped", 2.0, 0.3, key=True),
            Evidence("detector_elsewhere", 2.0, 0.05),
            Evidence("foreground_elsewhere", 1.5, 0.05),
            Evidence("path_elsewhere", 1.5, 0.05),
            Evidence("misfit", 2.0, 0.25, key=True),
            Evidence("unseen", 1.5, 0.3),
            Evidence("mask_box", 2.5, 0.05),
            Evidence("mask_region", 1.0, 0.35),
            Evidence("edge", 0.5, 0.4),
            Evidence("jump", 1.0, 0.25),
            Evidence("odd_size", 0.5, 0.1),
            Evidence("sliver", 6.0, 0.0, key=True),
            Evidence("out_of_frame", 6.0, 0.0, key=True),
        ),
    ),
    IssueType.INACCURATE_MASK: TypeSpec(
        -7.0,
        (
            Evidence("mask_region", 1.5, 0.15, key=True),
            Evidence("mask_boundary", 0.5, 0.2),
            Evidence("redrawn_region", 1.0, 0.15),
            Evidence("redrawn_boundary", 0.5, 0.2),
            Evidence("detected_region", 1.0, 0.15),
            Evidence("detected_boundary", 0.5, 0.2),
            Evidence("off_ground", 3.0, 0.05),
            Evidence("weak_edge", 3.0, 0.05),
            Evidence("segmenter_region", 2.0, 0.15, key=True),
            Evidence("segmenter_boundary", 0.5, 0.2),
            Evidence("mask_box", 4.0, 0.05, key=True),
            Evidence("edge", 0.5, 0.4),
            Evidence("aside", 1.5, 0.1),
            Evidence("hollow", 2.0, 0.05),
            Evidence("cut", 1.5, 0.05),
            Evidence("coarse", 2.5, 0.05),
            Evidence("invalid", 7.0, 0.0, key=True),
        ),
    ),
    IssueType.DUPLICATE: TypeSpec(
        -7.0,
        (
            Evidence("overlap", 5.0, 0.0, key=True),
            Evidence("inside", 1.0, 0.0),
            Evidence("alone", 2.0, 0.3),
            Evidence("converge", 2.0, 0.2),
            Evidence("loose", 1.0, 0.2),
            Evidence("mask_overlap", 2.5, 0.2),
            Evidence("source_doubt", 1.0, 0.35),
        ),
    ),
    IssueType.INCONSISTENT_TRACK: TypeSpec(
        -7.0,
        (
            Evidence("jump", 3.0, 0.25, key=True),
            Evidence("jitter", 1.5, 0.2),
            Evidence("track_minority", 2.5, 0.0),
        ),
    ),
    IssueType.OUTLIER: TypeSpec(
        -6.0,
        (
            Evidence("far", 3.0, 0.05, key=True),
            Evidence("neighbours", 1.5, 0.15),
            Evidence("odd_size", 1.5, 0.1),
        ),
    ),
    IssueType.BAD_FRAME: TypeSpec(
        -4.0,
        (
            Evidence("verdict", 7.0, 0.0, key=True),
            Evidence("blur", 5.5, 0.0, key=True),
            Evidence("exposure", 6.0, 0.0, key=True),
            Evidence("frozen", 6.0, 0.0, key=True),
            Evidence("repeated", 6.0, 0.0, key=True),
            Evidence("moved", 6.0, 0.0, key=True),
        ),
    ),
}
