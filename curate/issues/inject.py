"""Seeded label errors of every type, with the truth about each: what calibration and benchmark learn from.

Errors go into copies; nothing is ever injected into gold (the caller hands in working labels only). Every
corrupted label gets one error only. `restore` takes them all back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import IssueType, Mask
from curate.errors import DataError
from curate.geometry.boxes import box_iou
from curate.geometry.rle import rle_iou
from curate.geometry.shapes import Rle
from curate.issues.inject_boxes import disturbed_boxes, free_boxes, shifted_double
from curate.issues.inject_masks import corrupt_mask, followed_box, remap_mask
from curate.issues.inputs import FrameTable, LabelTable
from curate.issues.masks import as_rles, mask_bounds
from curate.types import BoxTuple, IntArray

__all__ = ["DEFAULT_RATES", "Injected", "InjectedError", "inject", "restore"]

DEFAULT_RATES: Mapping[IssueType, float] = {
    IssueType.MISSING: 0.025,
    IssueType.SPURIOUS: 0.02,
    IssueType.WRONG_CLASS: 0.02,
    IssueType.BAD_LOCATION: 0.02,
    IssueType.INACCURATE_MASK: 0.02,
    IssueType.DUPLICATE: 0.015,
}
"""Share of the labels that gets each type of error: 12 % in all."""
_GHOST_SHARE = 0.5
_GHOST_FRAMES = 30
# Half of the wrong masks have a box of their own, as where a segmenter drew inside a detector's box; the boxes of the
# others follow the mask, as in every tool for outlines.
_FOLLOWS = 0.5
_RIGHT = 0.9


@dataclass(frozen=True)
class InjectedError:
    """One error and what is true instead.

    Attributes:
        type: The issue type that should find it.
        kind: How it was made: "drop", "shift", "scale", "flip", "spawn", "ghost" (one false box that stands on
            many frames), "double", or "mask_dilate", "mask_erode", "mask_shift", "mask_simplify", "mask_clip",
            "mask_merge", "mask_leak".
        annotation_id: The corrupted label; for "drop" the label that is gone.
        frame_id: Its frame.
        true_box: The right box; None where there should be no label.
        true_class: The right class; None where there should be no label.
        true_mask: The right mask, if the label had one.
        row: Row of the label in the table that was handed in; -1 for a label made up.
        also: Types in which the label is wrong by the same stroke: a moved label's mask is wrong too, and so is the
            box that follows a fat outline. Such a label is neither right nor meant for these types, so it is left
            out where they are learned or judged. Wrong is an IoU under 0.9 with the right box or mask.
    """

    type: IssueType
    kind: str
    annotation_id: str
    frame_id: str
    true_box: BoxTuple | None
    true_class: int | None
    true_mask: Mask | None
    row: int
    also: tuple[IssueType, ...] = ()


@dataclass(frozen=True)
class Injected:
    """Corrupted labels and the truth about them.

    Attributes:
        labels: The corrupted table: labels in their old order without the dropped ones, made-up ones last.
        truth: One entry per error.
        rows: (L',) row in the original table of each corrupted label, -1 for a made-up one.
    """

    labels: LabelTable
    truth: tuple[InjectedError, ...]
    rows: IntArray


class _Editor:
    """The table as mutable columns, while errors go in."""

    def __init__(self, frames: FrameTable, labels: LabelTable, rng: np.random.Generator, count: int) -> None:
        self.frames, self.labels, self.rng, self.classes = frames, labels, rng, count
        self.boxes = np.array(labels.boxes, float)
        self.kinds = np.array(labels.classes, np.int64)
        self.masks: list[Mask | None] = list(labels.masks or [None] * len(labels))
        self.dropped = np.zeros(len(labels), bool)
        self.new_frames: list[int] = []
        self.new_boxes: list[BoxTuple] = []
        self.new_classes: list[int] = []
        self.new_masks: list[Mask | None] = []
        self.new_ids: list[str] = []
        self.truth: list[InjectedError] = []

    def size(self, row: int) -> tuple[int, int]:
        frame = int(self.labels.frames[row])
        return int(self.frames.widths[frame]), int(self.frames.heights[frame])

    def rle(self, row: int) -> Rle | None:
        return self._rle(self.masks[row], row)

    def right_rle(self, row: int) -> Rle | None:
        return self._rle(None if self.labels.masks is None else self.labels.masks[row], row)

    def _rle(self, mask: Mask | None, row: int) -> Rle | None:
        width, height = self.size(row)
        return as_rles([mask], np.array([width]), np.array([height]))[0]

    def note(self, kind: IssueType, how: str, row: int) -> None:
        """Write down the label's error, once it stands in the columns, and what was right."""
        frame = self.frames.ids[int(self.labels.frames[row])]
        box = tuple(float(value) for value in self.labels.boxes[row])
        mask = None if self.labels.masks is None else self.labels.masks[row]
        self.truth.append(
            InjectedError(
                kind, how, self.labels.ids[row], frame, (box[0], box[1], box[2], box[3]),
                int(self.labels.classes[row]), mask, int(row),
                self.also(kind, row, self.boxes[row], self.rle(row)),
            )
        )  # fmt: skip

    def also(self, kind: IssueType, row: int, box: np.ndarray, mask: Rle | None) -> tuple[IssueType, ...]:
        """In what else a label of `row`'s object is wrong, drawn with this box and mask; see `InjectedError`."""
        if kind not in (IssueType.BAD_LOCATION, IssueType.INACCURATE_MASK, IssueType.DUPLICATE):
            return ()
        found = []
        if float(box_iou(box, self.labels.boxes[row])[0, 0]) < _RIGHT:
            found.append(IssueType.BAD_LOCATION)
        true = self.right_rle(row)
        if mask is not None and true is not None and float(rle_iou([mask], [true])[0, 0]) < _RIGHT:
            found.append(IssueType.INACCURATE_MASK)
        return tuple(other for other in found if other is not kind)

    def add(self, kind: IssueType, how: str, donor: int, frame: int, box: np.ndarray) -> None:
        name = f"injected-{len(self.new_ids):06d}"
        values = tuple(float(value) for value in box)
        old = self.rle(donor)
        mask = None
        if old is not None:
            size = int(self.frames.widths[frame]), int(self.frames.heights[frame])
            mask = remap_mask(old, self.labels.boxes[donor], box, *size)
        self.new_ids.append(name)
        self.new_frames.append(frame)
        self.new_boxes.append((values[0], values[1], values[2], values[3]))
        self.new_classes.append(int(self.labels.classes[donor]))
        self.new_masks.append(mask)
        also = self.also(kind, donor, box, mask)
        self.truth.append(InjectedError(kind, how, name, self.frames.ids[frame], None, None, None, -1, also))


def inject(
    frames: FrameTable,
    labels: LabelTable,
    classes: Sequence[str],
    *,
    rates: Mapping[IssueType, float] | None = None,
    seed: int = 0,
) -> Injected:
    """Put errors into a copy of the labels.

    Args:
        frames: The frames.
        labels: Labels taken as right. Those that do not count are left alone.
        classes: Class names.
        rates: Share of the labels per type, each in [0, 1], together at most 1; types: missing, spurious,
            wrong_class, bad_location, inaccurate_mask, duplicate. None: `DEFAULT_RATES`, where the share of
            a type that cannot be (one class, no masks) goes to the others, so that it is 12 % in all.
        seed: The same seed, tables and rates give the same errors.

    Raises:
        DataError: A rate is out of range or of a type that cannot be injected.
    """
    wanted = _rates(labels, classes, rates)
    rng = np.random.default_rng(seed)
    editor = _Editor(frames, labels, rng, len(classes))
    pool = rng.permutation(np.flatnonzero(labels.judged))
    actions: dict[IssueType, Callable[[_Editor, IntArray], None]] = {
        IssueType.MISSING: _drop,
        IssueType.BAD_LOCATION: _move,
        IssueType.WRONG_CLASS: _flip,
        IssueType.INACCURATE_MASK: _spoil,
        IssueType.DUPLICATE: _double,
        IssueType.SPURIOUS: _spawn,
    }
    masked = np.array([mask is not None for mask in editor.masks], bool)
    for kind, action in actions.items():
        count = round(wanted.get(kind, 0.0) * len(labels))
        usable = pool[masked[pool]] if kind is IssueType.INACCURATE_MASK else pool
        chosen = usable[:count]
        pool = pool[~np.isin(pool, chosen)]
        action(editor, chosen)
    return _finish(editor)


def _rates(
    labels: LabelTable, classes: Sequence[str], rates: Mapping[IssueType, float] | None
) -> dict[IssueType, float]:
    wanted = dict(DEFAULT_RATES if rates is None else rates)
    for kind, rate in wanted.items():
        if kind not in DEFAULT_RATES:
            allowed = ", ".join(sorted(DEFAULT_RATES))
            raise DataError(f"errors of type {kind!r} cannot be injected; allowed: {allowed}")
        if not 0 <= rate <= 1:
            raise DataError(f"a rate lies between 0 and 1, got {rate}", item=str(kind))
    total = sum(wanted.values())
    if total > 1:
        raise DataError(f"the rates together must not exceed 1, got {total:.3g}")
    impossible = set()
    if len(classes) < 2:
        impossible.add(IssueType.WRONG_CLASS)
    if labels.masks is None or not any(mask is not None for mask in labels.masks):
        impossible.add(IssueType.INACCURATE_MASK)
    left = {kind: rate for kind, rate in wanted.items() if kind not in impossible}
    if rates is None:
        scale = total / sum(left.values())
        left = {kind: rate * scale for kind, rate in left.items()}
    return left


def _drop(editor: _Editor, rows: IntArray) -> None:
    for row in rows.tolist():
        editor.dropped[row] = True
        editor.note(IssueType.MISSING, "drop", row)


def _move(editor: _Editor, rows: IntArray) -> None:
    frames = np.asarray(editor.labels.frames)[rows]
    sizes = np.column_stack([editor.frames.widths, editor.frames.heights])[frames]
    scaled = editor.rng.random(len(rows)) < 0.5
    boxes = disturbed_boxes(editor.boxes[rows], scaled, sizes, editor.rng)
    for row, box, scale in zip(rows.tolist(), boxes, scaled.tolist(), strict=True):
        old = editor.rle(row)
        if old is not None:
            editor.masks[row] = remap_mask(old, editor.boxes[row], box, *editor.size(row))
        editor.boxes[row] = box
        editor.note(IssueType.BAD_LOCATION, "scale" if scale else "shift", row)


def _flip(editor: _Editor, rows: IntArray) -> None:
    for row in rows.tolist():
        editor.note(IssueType.WRONG_CLASS, "flip", row)
        other = int(editor.rng.integers(editor.classes - 1))
        editor.kinds[row] = other + (other >= editor.kinds[row])


def _spoil(editor: _Editor, rows: IntArray) -> None:
    for row in rows.tolist():
        old = editor.rle(row)
        if old is None or mask_bounds(old) is None:
            continue
        neighbours = np.flatnonzero(np.asarray(editor.labels.frames) == editor.labels.frames[row])
        near = [rle for other in neighbours.tolist() if other != row and (rle := editor.rle(other))]
        how, mask = corrupt_mask(old, near, editor.rng)
        editor.masks[row] = mask
        # A label that was moved with mask and box is a badly placed label, not a wrong mask.
        if editor.rng.random() < _FOLLOWS and how != "shift":
            editor.boxes[row] = followed_box(editor.boxes[row], old, mask)
        editor.note(IssueType.INACCURATE_MASK, f"mask_{how}", row)


def _double(editor: _Editor, rows: IntArray) -> None:
    for row in rows.tolist():
        box = shifted_double(editor.boxes[row], editor.size(row), editor.rng)
        editor.add(IssueType.DUPLICATE, "double", row, int(editor.labels.frames[row]), box)


def _spawn(editor: _Editor, rows: IntArray) -> None:
    """Boxes on nothing: half of them alone, half as false boxes that stand on the same place for long."""
    if not len(rows):
        return
    labels, rng = editor.labels, editor.rng
    ghosts = round(len(rows) * _GHOST_SHARE)
    alone, rest = rows[ghosts:], rows[:ghosts]
    for row in alone.tolist():
        frame = int(rng.integers(len(editor.frames)))
        for box in free_boxes(editor.frames, labels, np.array([frame]), labels.boxes[row], rng):
            editor.add(IssueType.SPURIOUS, "spawn", row, frame, box)
    while len(rest):
        length = min(len(rest), int(rng.integers(5, _GHOST_FRAMES + 1)), len(editor.frames))
        start = int(rng.integers(len(editor.frames) - length + 1))
        span = np.arange(start, start + length)
        boxes = free_boxes(editor.frames, labels, span, labels.boxes[rest[0]], rng)
        for frame, box in zip(span.tolist(), boxes, strict=False):
            editor.add(IssueType.SPURIOUS, "ghost", int(rest[0]), frame, box)
        rest = rest[length:]


def _finish(editor: _Editor) -> Injected:
    labels, new = editor.labels, len(editor.new_ids)
    keep = np.flatnonzero(~editor.dropped)

    def joined(old: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        return np.concatenate([np.asarray(old)[keep], fresh])

    def grown(values: Sequence[object] | None) -> tuple[object, ...]:
        return (*((values or ())[row] for row in keep.tolist()), *([None] * new))

    scores, counts, reviewed = labels.source_scores, labels.counts, labels.reviewed
    table = LabelTable(
        ids=(*(labels.ids[row] for row in keep.tolist()), *editor.new_ids),
        revisions=joined(labels.revisions, np.zeros(new, np.int64)),
        frames=joined(labels.frames, np.array(editor.new_frames, np.int64)),
        boxes=joined(editor.boxes, np.array(editor.new_boxes, float).reshape(-1, 4)),
        classes=joined(editor.kinds, np.array(editor.new_classes, np.int64)),
        source_scores=None if scores is None else joined(scores, np.full(new, np.nan)),
        tracks=None if labels.tracks is None else grown(labels.tracks),  # type: ignore[arg-type]
        masks=None
        if labels.masks is None
        else (*(editor.masks[row] for row in keep.tolist()), *editor.new_masks),
        counts=None if counts is None else joined(counts, np.ones(new, bool)),
        reviewed=None if reviewed is None else joined(reviewed, np.zeros(new, bool)),
    )
    return Injected(table, tuple(editor.truth), np.concatenate([keep, np.full(new, -1, np.int64)]))


def restore(injected: Injected, labels: LabelTable) -> LabelTable:
    """Take all errors back by what the truth says: the labels as they were handed to `inject`.

    Args:
        injected: The corrupted labels.
        labels: The original table: it lends what an error never touches (order, revisions, tracks, scores).
    """
    at = {name: row for row, name in enumerate(injected.labels.ids)}
    boxes, classes = np.array(labels.boxes, float), np.array(labels.classes)
    masks = None if labels.masks is None else list(labels.masks)
    wrong = {error.row: error for error in injected.truth if error.row >= 0}
    for row, name in enumerate(labels.ids):
        error = wrong.get(row)
        if error is not None:
            boxes[row] = error.true_box
            classes[row] = -1 if error.true_class is None else error.true_class
            if masks is not None:
                masks[row] = error.true_mask
        else:
            boxes[row], classes[row] = injected.labels.boxes[at[name]], injected.labels.classes[at[name]]
            if masks is not None and injected.labels.masks is not None:
                masks[row] = injected.labels.masks[at[name]]
    return LabelTable(
        labels.ids, labels.revisions, labels.frames, boxes, classes, labels.source_scores, labels.tracks,
        None if masks is None else tuple(masks), labels.counts, labels.reviewed,
    )  # fmt: skip
