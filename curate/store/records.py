"""What the store gives back besides the nouns of `curate.annotations`: frozen, never a database row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from curate.annotations import Annotation, Decision, Issue, IssueState, IssueType

__all__ = [
    "Artifact",
    "DecisionEffects",
    "DecisionRecord",
    "EvaluationRecord",
    "FrameEffect",
    "FrameOrigin",
    "GoldSet",
    "GoldState",
    "IssueCount",
    "IssueEffect",
    "IssuePage",
    "IssueStatus",
    "IssueSync",
    "Job",
    "JobState",
    "LabelEffect",
    "LabelHead",
    "QuarantinedItem",
    "Revision",
    "RunRecord",
    "SiteSettings",
    "SourceCount",
    "VersionRecord",
]


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """What decisions need of site.yaml.

    Attributes:
        classes: Class names in order; None while nobody has told the store.
        working_source: The label source that review works on; an added label gets it.
    """

    classes: tuple[str, ...] | None = None
    working_source: str = "cheap"


@dataclass(frozen=True, slots=True)
class FrameOrigin:
    """That a frame's picture was blurred before it was stored.

    Attributes:
        clear_sha256: SHA-256 (hex) of the clear picture, which is not kept.
        frame_id: The frame that holds the blurred one.
        blur: How: setting, model, score, and how many regions there were.
    """

    clear_sha256: str
    frame_id: str
    blur: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class QuarantinedItem:
    """Something that could not be taken in.

    Attributes:
        source: The file.
        item: The part of it (frame number, annotation id), "" for the whole file.
        reason: Why, for a person.
        created_at: Unix time.
    """

    source: str
    item: str
    reason: str
    created_at: float


@dataclass(frozen=True, slots=True)
class SourceCount:
    """How many current labels a source has, on how many frames."""

    source: str
    labels: int
    frames: int


@dataclass(frozen=True, slots=True)
class LabelHead:
    """Where a current label stands.

    Attributes:
        annotation_id: The label.
        revision: Its newest revision.
        content_of: The first revision with the same content: an undo brings old content back in a new one.
        frame_id: The frame.
        label: Class name.
    """

    annotation_id: str
    revision: int
    content_of: int
    frame_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of a label's history.

    Attributes:
        annotation: The label as it was from then on (for a deletion: as it was last).
        parent: Revision that it replaced; None for the first.
        content_of: See `LabelHead`.
        deleted: The label is gone from then on.
        actor: Reviewer or label source.
        decision_id: The decision that caused it, or None for an import.
        created_at: Unix time.
    """

    annotation: Annotation
    parent: int | None
    content_of: int
    deleted: bool
    actor: str
    decision_id: str | None
    created_at: float


@dataclass(frozen=True, slots=True)
class IssueSync:
    """What taking in the result of a scan did, in issues."""

    new: int
    updated: int
    unchanged: int
    decided: int
    """Found again although decided: left alone."""
    obsolete: int
    """Were open or skipped and are no longer found."""


@dataclass(frozen=True, slots=True)
class IssuePage:
    """A page of the queue, most severe first.

    Attributes:
        issues: At most `limit` of them.
        next: Pass it as `after` for the next page; None on the last.
    """

    issues: tuple[Issue, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class IssueStatus:
    """An issue with what the store knows about it besides.

    Attributes:
        issue: The issue in its current state.
        annotation_revision: The label's revision that the scan saw; None without a label.
        decision_id: The decision that put it into its state; None when a scan did.
    """

    issue: Issue
    annotation_revision: int | None
    decision_id: str | None


@dataclass(frozen=True, slots=True)
class IssueCount:
    """How many issues of one type are in one state, and the sum of their probabilities."""

    type: IssueType
    state: IssueState
    count: int
    expected: float


@dataclass(frozen=True, slots=True)
class LabelEffect:
    """A decision took a label from revision `before` (None: not there yet) to `after`."""

    annotation_id: str
    before: int | None
    after: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class IssueEffect:
    """A decision took an issue from one state to another; the decision ids say who stood behind each."""

    issue_id: str
    before: IssueState
    after: IssueState
    decision_before: str | None
    decision_after: str | None


@dataclass(frozen=True, slots=True)
class FrameEffect:
    """A decision took a frame out (`after` True) or back in."""

    frame_id: str
    before: bool
    after: bool


@dataclass(frozen=True, slots=True)
class DecisionEffects:
    """Everything that a decision changed.

    Attributes:
        labels: Labels, in order.
        issues: Issues, in order, the decided ones first.
        frames: Frames.
        left_open: Issues of the group that stay open because their label changed since the scan.
    """

    labels: tuple[LabelEffect, ...] = ()
    issues: tuple[IssueEffect, ...] = ()
    frames: tuple[FrameEffect, ...] = ()
    left_open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A stored decision.

    Attributes:
        sequence: Order of arrival, rising.
        decision: As it was made, with the time and the ids that the store filled in.
        effects: What it changed.
        undone_by: The undo that took it back and stands; None while the decision stands.
    """

    sequence: int
    decision: Decision
    effects: DecisionEffects
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file made from inputs: while `input_hash` is the same it need not be made again."""

    stage: str
    key: str
    input_hash: str
    path: str
    created_at: float = 0.0


class GoldState(StrEnum):
    """A gold set can change until it is frozen."""

    DRAFT = "draft"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True)
class GoldSet:
    """A test set.

    Attributes:
        id: Unique.
        name: Shared by its revisions.
        revision: From 1.
        state: Draft or frozen.
        content_hash: Digest of frames and labels; "" for a draft.
        manifest: Whatever makes it up (frame ids, label revisions, blocks): JSON values.
        created_at: Unix time, set by the store when 0.
    """

    id: str
    name: str
    revision: int = 1
    state: GoldState = GoldState.DRAFT
    content_hash: str = ""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A dataset version without its manifest; see `curate.versions`."""

    id: str
    content_hash: str
    parent: str | None
    created_by: str
    note: str
    frames: int
    labels: int
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A training run.

    Attributes:
        id: Unique.
        version_id: The dataset version it trained on; None for a model from elsewhere.
        kind: "train", "generic", ...
        state: "running", "done", "failed" or "cancelled".
        seed: Training seed.
        path: Its folder, relative to the project.
        config: JSON values.
        result: JSON values: loss, seconds, ...
        error: Why it failed.
        created_at: Unix time, set by the store when 0.
        finished_at: Unix time or None.
    """

    id: str
    version_id: str | None
    kind: str
    state: str
    seed: int
    path: str
    config: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    created_at: float = 0.0
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """A run judged on a gold set; `metrics` are JSON values, `path` a file with the details or ""."""

    id: str
    run_id: str
    gold_id: str
    metrics: Mapping[str, Any]
    path: str = ""
    created_at: float = 0.0


class JobState(StrEnum):
    """Where a job stands. LOST: no heartbeat for long; it may have died, and comes back if it has not."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Job:
    """Work of a worker process.

    Attributes:
        id: Unique.
        kind: Name of the work ("retrain", "scan").
        params: JSON values.
        state: See `JobState`.
        progress: 0..1.
        message: What it is doing, for a person.
        eta: Seconds left, or None.
        heartbeat: Unix time of the last sign of life.
        pid: Process id of the worker.
        cancel_requested: Somebody wants it to stop.
        result: JSON values, when done.
        error: Why it failed.
        created_at: Unix time.
        started_at: Unix time.
        finished_at: Unix time.
    """

    id: str
    kind: str
    params: Mapping[str, Any]
    state: JobState
    progress: float
    message: str
    eta: float | None
    heartbeat: float | None
    pid: int | None
    cancel_requested: bool
    result: Mapping[str, Any] | None
    error: str
    created_at: float
    started_at: float | None
    finished_at: float | None
