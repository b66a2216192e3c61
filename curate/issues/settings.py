"""What a user can set about the finders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from curate.annotations import IssueType

__all__ = ["STILL_CLASSES", "FinderSettings"]

STILL_CLASSES: frozenset[str] = frozenset(
    {
        *("car", "van", "truck", "lorry", "bus", "coach", "minibus", "pickup", "hgv", "trailer", "vehicle"),
        *("motorcycle", "motorbike", "scooter", "moped", "bicycle", "bike", "boat", "train", "tram"),
    }
)
"""Names of classes that may stand still for hours: a parked one does not differ from the background plate."""


def _costs() -> Mapping[IssueType, float]:
    return {
        IssueType.MISSING: 1.0,
        IssueType.SPURIOUS: 1.0,
        IssueType.WRONG_CLASS: 1.0,
        IssueType.DUPLICATE: 1.0,
        IssueType.BAD_LOCATION: 0.9,
        IssueType.INACCURATE_MASK: 0.8,
        IssueType.BAD_FRAME: 0.9,
        IssueType.INCONSISTENT_TRACK: 0.7,
        IssueType.OUTLIER: 0.5,
    }


@dataclass(frozen=True)
class FinderSettings:
    """How the queue is made.

    Attributes:
        min_probability: Nothing below gets into the queue, 0..1.
        max_per_type: At most so many issues of one type.
        costs: What an error of each type costs, 0..1; severity = probability x cost.
        still_classes: Class names (lower case) that may stand still for hours. For them neither a missing
            difference to the background nor a fixed place speaks against a label.
        candidate_score: Detections below are no candidates for a missing label. Deliberately low: what is
            left out here can never be found.
        place_iou: Boxes of different frames with at least this IoU stand on the same place.
        group_size: Places with at least so many labels (or candidates) make one decision.
    """

    min_probability: float = 0.05
    max_per_type: int = 100_000
    costs: Mapping[IssueType, float] = field(default_factory=_costs)
    still_classes: frozenset[str] = STILL_CLASSES
    candidate_score: float = 0.05
    place_iou: float = 0.5
    group_size: int = 3
