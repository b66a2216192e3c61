"""The nouns of Crossguard as frozen dataclasses: what every layer above passes around.

Coordinates are absolute pixels in continuous image space: x grows right, y grows down, the top-left pixel
covers [0, 1) x [0, 1), and a box is (x1, y1, x2, y2) without any "+1".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from curate.errors import DataError
from curate.geometry.shapes import Mask, Polygon, Rle
from curate.types import BoxTuple

__all__ = [
    "GOLD_SOURCE",
    "Annotation",
    "Decision",
    "DecisionKind",
    "Frame",
    "Issue",
    "IssueState",
    "IssueType",
    "Mask",
    "Polygon",
    "Prediction",
    "Proposal",
    "ProposalKind",
    "Rle",
    "replace",
]


GOLD_SOURCE = "gold"
"""Label source of the frozen test set."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the camera, addressed by its content.

    Attributes:
        id: First 32 hex digits of the SHA-256 of the stored image file.
        name: Unique readable name; the `file_name` in COCO files ("junction_000120.jpg").
        camera: Name of the camera (site.yaml `camera`).
        clip: The recording that the frame belongs to. Folds and splits never cut inside a short clip.
        index: Position in the recording (video frame number) or in the folder's sorted order.
        captured_at: Seconds. Unix time if `wall_time`, else seconds from the start of the clip.
        wall_time: Whether `captured_at` is a real clock time.
        width: Pixels.
        height: Pixels.
        sha256: Full digest of the stored image file.
        path: Where the image lies, relative to the project's frame folder.
        source: The file that it was ingested from.
        excluded: Taken out of training and of the queue by a decision.
    """

    id: str
    name: str
    camera: str
    clip: str
    index: int
    captured_at: float
    wall_time: bool
    width: int
    height: int
    sha256: str
    path: str
    source: str
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Annotation:
    """One label: what a person or another label source says is there. Immutable: an edit is a new revision.

    Attributes:
        id: Stable over all revisions.
        frame_id: `Frame.id`.
        label: Class name.
        bbox_xyxy: Tight box of the visible object, finite, x2 > x1 and y2 > y1.
        mask: Polygons, RLE or None.
        source: Label source ("cheap", "reviewer", ...).
        score: Confidence of the source in [0, 1] when it is a model, else None.
        track_id: Same object over time, or None.
        iscrowd: COCO's crowd flag.
        occluded: More than a little is hidden.
        difficult: Counts neither for nor against a detector.
        ignore: Nobody can tell, or the policy leaves it out: ignored in loss and metric alike.
        attributes: Anything else that came with the label; survives export.
        revision: 0 for the first, one more with every edit.
    """

    id: str
    frame_id: str
    label: str
    bbox_xyxy: BoxTuple
    mask: Mask | None = None
    source: str = "import"
    score: float | None = None
    track_id: str | None = None
    iscrowd: bool = False
    occluded: bool = False
    difficult: bool = False
    ignore: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    revision: int = 0

    def __post_init__(self) -> None:
        box = tuple(float(value) for value in self.bbox_xyxy)
        if len(box) != 4 or not all(math.isfinite(value) for value in box):
            raise DataError(
                f"a box needs four finite numbers, got {self.bbox_xyxy!r}", item=f"annotation {self.id}"
            )
        if box[2] <= box[0] or box[3] <= box[1]:
            raise DataError(f"a box needs x2 > x1 and y2 > y1, got {box}", item=f"annotation {self.id}")
        object.__setattr__(self, "bbox_xyxy", box)

    @property
    def counts(self) -> bool:
        """Whether it counts in loss and metric (neither crowd, difficult nor ignored)."""
        return not (self.iscrowd or self.difficult or self.ignore)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One output of a detector."""

    frame_id: str
    label: str
    bbox_xyxy: BoxTuple
    score: float
    mask: Rle | None = None


class IssueType(StrEnum):
    """What can be wrong."""

    MISSING = "missing"
    SPURIOUS = "spurious"
    WRONG_CLASS = "wrong_class"
    BAD_LOCATION = "bad_location"
    INACCURATE_MASK = "inaccurate_mask"
    DUPLICATE = "duplicate"
    INCONSISTENT_TRACK = "inconsistent_track"
    OUTLIER = "outlier"
    BAD_FRAME = "bad_frame"


class IssueState(StrEnum):
    """Where an issue stands."""

    OPEN = "open"
    SKIPPED = "skipped"
    DECIDED = "decided"
    OBSOLETE = "obsolete"
    """A later scan no longer finds it, or its label is gone."""


class ProposalKind(StrEnum):
    """What `apply` would do."""

    EDIT = "edit"
    RELABEL = "relabel"
    DELETE_LABEL = "delete_label"
    ADD = "add"
    EXCLUDE_FRAME = "exclude_frame"
    NONE = "none"
    """Nothing to propose: look at it."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The correction that one key accepts.

    Attributes:
        kind: What to do.
        label: New class (RELABEL, ADD).
        bbox_xyxy: New box (EDIT, ADD).
        mask: New mask (EDIT, ADD), or None for "no mask".
    """

    kind: ProposalKind
    label: str | None = None
    bbox_xyxy: BoxTuple | None = None
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that a person should look at.

    Attributes:
        id: Deterministic: hash of type, frame, label (or place) and the label's revision, so that what was
            decided never comes back unless the label or the frame changed.
        type: Kind of error.
        frame_id: Where.
        annotation_id: The label at fault; None for `missing` and `bad_frame`.
        bbox_xyxy: The place on the frame to zoom to; None for a whole frame.
        label: Class concerned, or None.
        severity: 0..1, high = look first. Probability of an error times what it costs.
        probability: Calibrated P(error), 0..1.
        explanation: One sentence for a person, with the numbers behind it.
        evidence: Name -> number.
        proposal: What `apply` does.
        group_id: Issues of one standing object at one place share it: one decision for all. None if alone.
        state: Open, skipped, decided or obsolete.
    """

    id: str
    type: IssueType
    frame_id: str
    annotation_id: str | None
    bbox_xyxy: BoxTuple | None
    label: str | None
    severity: float
    probability: float
    explanation: str
    evidence: Mapping[str, float]
    proposal: Proposal
    group_id: str | None = None
    state: IssueState = IssueState.OPEN


class DecisionKind(StrEnum):
    """What a reviewer decides."""

    APPLY = "apply"
    KEEP = "keep"
    EDIT = "edit"
    RELABEL = "relabel"
    ADD = "add"
    DELETE_LABEL = "delete_label"
    EXCLUDE_FRAME = "exclude_frame"
    SKIP = "skip"
    UNDO = "undo"


@dataclass(frozen=True, slots=True)
class Decision:
    """One verdict of a reviewer; stored in one transaction with the label revisions that it causes.

    Attributes:
        id: Given by the client (uuid4 hex) so that a repeated delivery is applied once.
        kind: The verdict.
        reviewer: Who.
        issue_id: The issue decided, or None for a free edit.
        frame_id: The frame, for `add` and `exclude_frame` without an issue.
        annotation_id: The label concerned, for free edits; ADD may give the new label's id.
        label: New class (RELABEL, ADD).
        bbox_xyxy: New box (EDIT, ADD).
        mask: New mask (EDIT, ADD).
        flags: Changed flags for EDIT and ADD, of "occluded", "difficult", "ignore".
        track_id: Track of the label from now on (EDIT, ADD): the same object over time.
        expected_revision: The revision that the reviewer saw; another is a ConflictError. None: no check.
        group: Decide all open issues of the issue's group in the same way.
        undoes: For UNDO: the decision to revert; None = this reviewer's last one that is not yet undone.
        note: Free text.
        created_at: Unix time, set by the store when 0.
    """

    id: str
    kind: DecisionKind
    reviewer: str
    issue_id: str | None = None
    frame_id: str | None = None
    annotation_id: str | None = None
    label: str | None = None
    bbox_xyxy: BoxTuple | None = None
    mask: Mask | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    track_id: str | None = None
    expected_revision: int | None = None
    group: bool = False
    undoes: str | None = None
    note: str = ""
    created_at: float = 0.0
