"""Rows that the calibrators learn from: injected errors with their truth, and decided issues."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import DecisionKind, Issue, IssueType
from curate.issues.context import build_context
from curate.issues.features import build_features
from curate.issues.inject import InjectedError
from curate.issues.inputs import FinderInputs
from curate.issues.model import sigmoid
from curate.issues.pairs import overlaps
from curate.issues.settings import FinderSettings
from curate.issues.spec import SPECS
from curate.types import BoolArray, FloatArray, IntArray

__all__ = ["TrainingRows", "decision_rows", "injected_rows", "verdict"]

# What already looks like an error before anything was injected is probably one, and must not be taught as
# innocent.
_TAINTED = 0.5
# Masks are the exception: whoever stands behind something has a mask that looks wrong and is right. Of the sample's
# masks that look so about four in ten are right. Left out altogether, their likes are promised as errors; .3 was
# chosen among 0, .1, .3 and 1 (docs/finders.md, "What was tuned on what").
_RIGHT_AFTER_ALL = {IssueType.INACCURATE_MASK: 0.3}


@dataclass(frozen=True)
class TrainingRows:
    """Rows of one type.

    Attributes:
        values: (N, K) evidence in the order of the type's spec, NaN where absent.
        truth: (N,) 1 for an error of this type, else 0.
        blocks: (N,) time block.
        groups: (N,) number of the look that decided it together with others, -1 for a look of its own.
        weight: (N,) > 0.
    """

    values: FloatArray
    truth: IntArray
    blocks: IntArray
    groups: IntArray
    weight: FloatArray

    def __len__(self) -> int:
        return len(self.truth)


def injected_rows(
    inputs: FinderInputs,
    truth: Sequence[InjectedError],
    classes: Sequence[str],
    settings: FinderSettings | None = None,
    *,
    frames: BoolArray | None = None,
) -> dict[IssueType, TrainingRows]:
    """Evidence of corrupted labels against what is known about the corruption.

    Args:
        inputs: Tables and evidence computed on the CORRUPTED labels.
        truth: The errors that `curate.issues.inject.inject` put in.
        classes: Class names.
        settings: The settings of the scan.
        frames: (F,) True for frames whose rows are taken: those on which errors could be injected. None: all.

    Returns:
        Rows per type. Labels with an injected error of another type are innocent of this one, unless that error makes
        them wrong in this way too (`InjectedError.also`): such rows are left out. Labels
        without any that the prior already holds to be wrong are left out, too (masks: weigh less): real labels have
        real errors.
    """
    context = build_context(inputs, classes, settings or FinderSettings())
    features, candidates = build_features(inputs, context)
    kinds: dict[str, IssueType] = {}
    for error in truth:
        kinds.setdefault(error.annotation_id, error.type)
    label_kind = [kinds.get(name) for name in inputs.labels.ids]
    clean = np.array([kind is None for kind in label_kind], bool)
    wrong = {kind: np.array([value is kind for value in label_kind], bool) for kind in SPECS}
    besides = {error.annotation_id: error.also for error in truth}
    also = {
        kind: np.array([kind in besides.get(name, ()) for name in inputs.labels.ids], bool) for kind in SPECS
    }
    frame_of = {name: index for index, name in enumerate(inputs.frames.ids)}
    lost = [error for error in truth if error.type is IssueType.MISSING and error.true_box is not None]
    wrong[IssueType.MISSING] = _covers(
        candidates.frames,
        candidates.boxes,
        np.array([frame_of[error.frame_id] for error in lost], np.int64),
        np.array([error.true_box for error in lost], float).reshape(-1, 4),
    )
    blocks = np.asarray(inputs.frames.blocks)
    result: dict[IssueType, TrainingRows] = {}
    for kind, table in features.items():
        if kind is IssueType.BAD_FRAME:
            continue
        hit = wrong[kind]
        at = candidates.frames if kind is IssueType.MISSING else np.asarray(inputs.labels.frames)
        prior = sigmoid(_prior_logits(kind, table.values))
        innocent = np.ones(len(hit), bool) if kind is IssueType.MISSING else clean
        weight = np.where(hit | ~innocent | (prior < _TAINTED), 1.0, _RIGHT_AFTER_ALL.get(kind, 0.0))
        keep = table.applies & (weight > 0)
        if kind is not IssueType.MISSING:
            keep &= ~also[kind]
        if frames is not None:
            keep &= np.asarray(frames, bool)[at]
        result[kind] = TrainingRows(
            table.values[keep], hit[keep].astype(np.int64), blocks[at[keep]],
            np.full(int(keep.sum()), -1, np.int64), weight[keep],
        )  # fmt: skip
        if kind is IssueType.SPURIOUS:
            how = {error.annotation_id: error.kind for error in truth}
            ghost = np.array([how.get(name) == "ghost" for name in inputs.labels.ids], bool)[keep]
            result[kind] = _with_confirmed_ghosts(result[kind], ghost)
    return result


def _with_confirmed_ghosts(rows: TrainingRows, ghost: BoolArray) -> TrainingRows:
    """The rows and, for every injected standing false box, a copy that the detector confirms.

    The detectors that judge injected boxes never learned from them, so they always disagree. Those that learned
    from a cheap labeller's standing false boxes agree with them. Without the copies the classifier would come
    to trust the detector's agreement in the very case in which it means nothing. What the detector says about
    a copy is taken from innocent labels in turn; place, plate and size speak for themselves.
    """
    names = SPECS[IssueType.SPURIOUS].names
    innocent = np.flatnonzero(rows.truth == 0)
    # A parked car that the plate has swallowed and a false box of that class look alike: nothing to learn there.
    found = np.flatnonzero(ghost & (rows.values[:, names.index("low_foreground")] >= 0.5))
    if not len(found) or not len(innocent):
        return rows
    lender = innocent[np.linspace(0, len(innocent) - 1, len(found)).astype(int)]
    copies = rows.values[found].copy()
    for name in ("background", "unseen", "source_doubt"):
        copies[:, names.index(name)] = rows.values[lender, names.index(name)]
    sides = copies[:, [names.index("background"), names.index("low_foreground")]]
    copies[:, names.index("background_or_empty")] = np.where(
        np.isfinite(sides).all(1), np.nan_to_num(sides).max(1), np.nan
    )
    return TrainingRows(
        np.concatenate([rows.values, copies]),
        np.concatenate([rows.truth, rows.truth[found]]),
        np.concatenate([rows.blocks, rows.blocks[found]]),
        np.concatenate([rows.groups, rows.groups[found]]),
        np.concatenate([rows.weight, rows.weight[found]]),
    )


def _prior_logits(kind: IssueType, values: FloatArray) -> FloatArray:
    spec = SPECS[kind]
    return np.asarray(spec.bias + np.where(np.isfinite(values), values, spec.usual) @ spec.weights)


def _covers(frames: IntArray, boxes: FloatArray, true_frames: IntArray, true_boxes: FloatArray) -> BoolArray:
    """(N,) True where a box has IoU >= 0.5 with one of the true boxes of its frame."""
    found = np.zeros(len(frames), bool)
    pairs = overlaps(frames, boxes, true_frames, true_boxes)
    found[pairs.a[pairs.iou >= 0.5]] = True
    return found


_CONFIRMS: dict[DecisionKind, frozenset[IssueType]] = {
    DecisionKind.DELETE_LABEL: frozenset({IssueType.SPURIOUS, IssueType.DUPLICATE, IssueType.OUTLIER}),
    DecisionKind.RELABEL: frozenset({IssueType.WRONG_CLASS, IssueType.OUTLIER}),
    DecisionKind.EDIT: frozenset(
        {IssueType.BAD_LOCATION, IssueType.INACCURATE_MASK, IssueType.INCONSISTENT_TRACK, IssueType.OUTLIER}
    ),
    DecisionKind.ADD: frozenset({IssueType.MISSING}),
    DecisionKind.EXCLUDE_FRAME: frozenset({IssueType.BAD_FRAME}),
}


def verdict(kind: IssueType, decision: DecisionKind) -> bool | None:
    """Whether a decision says that an issue of this type was right; None when it says nothing.

    `apply` confirms and `keep` refutes any type. Deleting a label whose issue was about its box refutes the
    issue: it was wrong, but in another way. Excluding a frame says nothing about one label on it.
    """
    if decision is DecisionKind.APPLY:
        return True
    if decision is DecisionKind.KEEP:
        return False
    if decision in (DecisionKind.SKIP, DecisionKind.UNDO):
        return None
    if decision is DecisionKind.EXCLUDE_FRAME and kind is not IssueType.BAD_FRAME:
        return None
    return kind in _CONFIRMS[decision]


def decision_rows(
    decided: Iterable[tuple[Issue, DecisionKind]], block_of: Mapping[str, int]
) -> dict[IssueType, TrainingRows]:
    """Rows from decided issues: an issue carries the evidence that raised it, so nothing is computed again.

    Args:
        decided: Issues, each with the decision that stands (undone ones left out).
        block_of: Frame id -> time block. Frames that are not there get a block of their own (-1).

    Returns:
        Rows per type that was decided at least once.
    """
    found: dict[IssueType, list[tuple[list[float], bool, int, int]]] = {}
    groups: dict[str, int] = {}
    for issue, decision in decided:
        answer = verdict(issue.type, decision)
        if answer is None:
            continue
        values = [float(issue.evidence.get(name, np.nan)) for name in SPECS[issue.type].names]
        group = -1 if issue.group_id is None else groups.setdefault(issue.group_id, len(groups))
        found.setdefault(issue.type, []).append((values, answer, block_of.get(issue.frame_id, -1), group))
    return {
        kind: TrainingRows(
            np.array([row[0] for row in rows]), np.array([row[1] for row in rows], np.int64),
            np.array([row[2] for row in rows], np.int64), np.array([row[3] for row in rows], np.int64),
            np.ones(len(rows)),
        )
        for kind, rows in found.items()
    }  # fmt: skip
