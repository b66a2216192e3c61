"""What every tool is judged on: labels, one fixed pool of candidates, and the truth about both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueType
from curate.issues import FinderInputs, InjectedError, gather
from curate.issues.pairs import overlaps
from curate.types import BoolArray, FloatArray, IntArray
from curate.workflows.project import Project
from curate.workflows.scan_gather import scan_settings

__all__ = ["LABEL_TYPES", "Case", "Pool", "make_case"]

LABEL_TYPES = (
    IssueType.SPURIOUS,
    IssueType.WRONG_CLASS,
    IssueType.BAD_LOCATION,
    IssueType.INACCURATE_MASK,
    IssueType.DUPLICATE,
)
"""Injected errors that a label carries; `missing` is carried by a candidate."""
_MEANS = 0.5
"""IoU from which a box means the object."""


@dataclass(frozen=True)
class Pool:
    """N places where a label may be missing: fixed before anything is scored, the same for every tool.

    First what our finders propose to look at (unmatched detections, gaps in tracks, whatever else they know),
    before any probability; then every other detection that no label means, best first, doubles left out. So a
    candidate that our finders pass over still stands in the pool, and costs us.

    Attributes:
        frames: (N,) frame.
        boxes: (N, 4).
        classes: (N,).
        detections: (N,) row of the detection, -1 where no detector sees it (other tools cannot score that).
        candidates: (N,) row of our finders' candidate, -1 for those that they passed over.
        errors: (N,) the lost label that it means, -1 for none; each lost label has one item at most.
    """

    frames: IntArray
    boxes: FloatArray
    classes: IntArray
    detections: IntArray
    candidates: IntArray
    errors: IntArray

    def __len__(self) -> int:
        return len(self.frames)


@dataclass(frozen=True)
class Case:
    """One data set with one injection.

    Attributes:
        inputs: Tables and evidence, out of fold.
        classes: Class names.
        errors: What was injected.
        label_errors: (L,) the error that each label carries, -1 for none.
        pool: Candidates.
    """

    inputs: FinderInputs
    classes: tuple[str, ...]
    errors: tuple[InjectedError, ...]
    label_errors: IntArray
    pool: Pool

    @property
    def judged(self) -> BoolArray:
        """(L,) labels that count."""
        return self.inputs.labels.judged

    def truth(self, kind: IssueType) -> BoolArray:
        """(L,) labels, or (N,) candidates for `missing`, that carry an error of this type."""
        carriers = self.pool.errors if kind is IssueType.MISSING else self.label_errors
        kinds = np.array([error.type is kind for error in self.errors] + [False])
        return np.asarray(kinds[carriers])

    def ranked(self, kind: IssueType, values: FloatArray) -> tuple[FloatArray, BoolArray]:
        """Scores (of labels, or of candidates for `missing`) and truth of the items that a ranking is judged on.

        Those are all candidates, and the labels that count and are clearly right or meant: one that an error of
        another type has made wrong in this way too (`InjectedError.also`) is neither.
        """
        truth = self.truth(kind)
        if kind is IssueType.MISSING:
            return values, truth
        besides = np.array([kind in error.also for error in self.errors] + [False])
        fair = self.judged & ~besides[self.label_errors]
        return values[fair], truth[fair]

    def unreachable(self, kind: IssueType) -> int:
        """Errors of this type that no item carries."""
        return sum(error.type is kind for error in self.errors) - int(self.truth(kind).sum())

    def count(self, kind: IssueType) -> int:
        """Errors of this type."""
        return sum(error.type is kind for error in self.errors)


def make_case(inputs: FinderInputs, project: Project, errors: Sequence[InjectedError]) -> Case:
    """Fix the pool and tell which label or candidate carries which error."""
    classes = tuple(project.config.classes)
    row_of = {name: row for row, name in enumerate(inputs.labels.ids)}
    carriers = np.full(len(inputs.labels), -1, np.int64)
    for number, error in enumerate(errors):
        if error.type is not IssueType.MISSING:
            carriers[row_of[error.annotation_id]] = number
    return Case(inputs, classes, tuple(errors), carriers, _pool(inputs, project, classes, errors))


def _pool(
    inputs: FinderInputs, project: Project, classes: Sequence[str], errors: Sequence[InjectedError]
) -> Pool:
    found = gather(inputs, classes, scan_settings(project)).candidates
    extra = _passed_over(inputs, found.frames, found.boxes)
    detections = inputs.detections
    frames = np.concatenate([found.frames, detections.frames[extra]]).astype(np.int64)
    boxes = np.concatenate([np.asarray(found.boxes, float), np.asarray(detections.boxes, float)[extra]])
    return Pool(
        frames,
        boxes,
        np.concatenate([found.classes, detections.classes[extra]]).astype(np.int64),
        np.concatenate([found.detections, extra]).astype(np.int64),
        np.concatenate([np.arange(len(found.frames)), np.full(len(extra), -1)]).astype(np.int64),
        _meant(inputs, frames, boxes, errors),
    )


def _passed_over(inputs: FinderInputs, frames: IntArray, boxes: FloatArray) -> IntArray:
    """Rows of detections that no label and no candidate means, doubles and ignored places left out."""
    labels, found = inputs.labels, inputs.detections
    everywhere = np.asarray(found.boxes, float)
    free = np.isfinite(np.asarray(found.scores, float))
    near = overlaps(found.frames, everywhere, labels.frames, labels.boxes)
    free[near.a[near.iou >= _MEANS]] = False
    if labels.counts is not None:
        ignored = ~np.asarray(labels.counts, bool)[near.b]
        free[near.a[ignored & (near.inside_a > 0.5)]] = False
    known = overlaps(found.frames, everywhere, frames, boxes)
    free[known.a[known.iou >= _MEANS]] = False
    rows = np.flatnonzero(free)
    rows = rows[np.argsort(-np.asarray(found.scores, float)[rows], kind="stable")]
    twins = overlaps(found.frames[rows], everywhere[rows], found.frames[rows], everywhere[rows])
    dropped = np.zeros(len(rows), bool)
    for later, earlier in zip(twins.a.tolist(), twins.b.tolist(), strict=True):
        if earlier < later and not dropped[earlier] and _same(everywhere[rows[[later, earlier]]]):
            dropped[later] = True
    return np.asarray(rows[~dropped], np.int64)


def _same(pair: FloatArray) -> bool:
    from curate.geometry.boxes import box_iou

    return bool(box_iou(pair[:1], pair[1:])[0, 0] > _MEANS)


def _meant(
    inputs: FinderInputs, frames: IntArray, boxes: FloatArray, errors: Sequence[InjectedError]
) -> IntArray:
    """(N,) number of the lost label that each candidate means best, one to one."""
    frame_of = {name: index for index, name in enumerate(inputs.frames.ids)}
    lost = [number for number, error in enumerate(errors) if error.type is IssueType.MISSING]
    at = np.array([frame_of[errors[number].frame_id] for number in lost], np.int64)
    true = np.array([errors[number].true_box for number in lost], float).reshape(-1, 4)
    pairs = overlaps(frames, boxes, at, true)
    result = np.full(len(frames), -1, np.int64)
    taken: set[int] = set()
    for best in np.argsort(-pairs.iou, kind="stable"):
        item, error = int(pairs.a[best]), int(pairs.b[best])
        if pairs.iou[best] < _MEANS:
            break
        if result[item] < 0 and error not in taken:
            result[item] = lost[error]
            taken.add(error)
    return result
