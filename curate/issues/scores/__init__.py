"""Raw scores, one pure function each: arrays in, one array out.

Every score lies in [0, 1], and high means suspicious, unless its docstring says otherwise; NaN means that the
evidence is not there for that row. Nothing here knows tables, models or thresholds that decide.
"""

from curate.issues.scores.classes import (
    class_doubt,
    neighbour_doubt,
    outlier_score,
    seen_as_other,
    track_minority,
)
from curate.issues.scores.frames import (
    blur_score,
    duplicate_frame_score,
    exposure_score,
    frozen_score,
    moved_for_good,
    moved_score,
    verdict_score,
)
from curate.issues.scores.location import (
    box_disagreement,
    detection_disagreement,
    duplicate_overlap,
    elsewhere,
    jitter_score,
    misfit,
    odd_size,
    out_of_frame,
    sliver,
)
from curate.issues.scores.masks import (
    above_usual,
    edge_aside,
    edge_doubt,
    hollow,
    invalid_polygon,
    mask_box_gap,
    mask_disagreement,
)
from curate.issues.scores.presence import (
    background_doubt,
    confidence,
    empty_once,
    low_foreground,
    source_doubt,
    standing,
    typical_foreground,
    unseen,
    untracked,
)

__all__ = [
    "above_usual",
    "background_doubt",
    "blur_score",
    "box_disagreement",
    "class_doubt",
    "confidence",
    "detection_disagreement",
    "duplicate_frame_score",
    "duplicate_overlap",
    "edge_aside",
    "edge_doubt",
    "elsewhere",
    "empty_once",
    "exposure_score",
    "frozen_score",
    "hollow",
    "invalid_polygon",
    "jitter_score",
    "low_foreground",
    "mask_box_gap",
    "mask_disagreement",
    "misfit",
    "moved_for_good",
    "moved_score",
    "neighbour_doubt",
    "odd_size",
    "out_of_frame",
    "outlier_score",
    "seen_as_other",
    "sliver",
    "source_doubt",
    "standing",
    "track_minority",
    "typical_foreground",
    "unseen",
    "untracked",
    "verdict_score",
]
