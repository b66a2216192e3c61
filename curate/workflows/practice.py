"""What the finders learn before anybody has decided anything: errors put into copies of the site's own labels.

The judges score the corrupted copies, and the classifiers learn from what is known about them. Nothing of it reaches
the store. It is done again when the judges are trained anew, at most on `MOST_FRAMES` frames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import Annotation, IssueType
from curate.embeddings import Reducer
from curate.issues import DEFAULT_RATES, Injected, LabelTable, inject
from curate.types import BoolArray, FloatArray
from curate.workflows.crops import compare_crops
from curate.workflows.dataset import LabelledFrame
from curate.workflows.embedding_store import Embedded, crop_key, load_vectors, vectors_path
from curate.workflows.frame_evidence import judge_frame, sorted_labels
from curate.workflows.frame_hints import frame_hints
from curate.workflows.practice_files import Practice, load_practice, save_practice
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project
from curate.workflows.scan_tables import finder_inputs, frame_table, label_table

if TYPE_CHECKING:
    from curate.workflows.scan_gather import Gathered

__all__ = ["practise"]

MOST_FRAMES = 160
"""Frames whose labels get errors: more would not change what a classifier of ten weights learns."""
_FORMAT = 3
_SEED = 20260
_LEAST_LABELS = 60


def practise(project: Project, gathered: Gathered, *, force: bool, reporter: SubReporter) -> Practice | None:
    """Injected errors as the judges see them; from the cache as long as judges and plates are the same.

    Args:
        project: The project.
        gathered: What the scan has gathered on the labels as they are.
        force: Do it again.
        reporter: Told how far it is.

    Returns:
        None when there are fewer than 60 labels to put errors into.
    """
    path = project.cache_dir / "practice.npz"
    judges = [judge.fingerprint for judge in gathered.judges]
    settings = [_FORMAT, _SEED, judges, gathered.plates_digest, list(project.config.classes)]
    key = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    known = None if force else load_practice(path, key)
    if known is not None:
        return known[0]
    made = _practise(project, gathered, reporter)
    save_practice(path, key, made)
    return made


def _practise(project: Project, gathered: Gathered, reporter: SubReporter) -> Practice | None:
    labelled, folds = gathered.labelled, gathered.folds
    classes = project.config.classes
    frames, labels = frame_table(labelled, folds), label_table(labelled, classes)
    chosen = _chosen_frames(len(labelled))
    inside = chosen[np.asarray(labels.frames)] if len(labels) else np.zeros(0, bool)
    usable = inside & (np.ones(len(labels), bool) if labels.counts is None else np.asarray(labels.counts))
    if usable.sum() < _LEAST_LABELS:
        return None
    # Labels of the other frames are shut out as if somebody had settled them; the rates are of those inside.
    share = float(usable.mean())
    rates = {kind: rate * share for kind, rate in _possible(labels, classes).items()}
    injected = inject(frames, replace(labels, reviewed=~usable), classes, rates=rates, seed=_SEED)
    corrupted = _annotations(injected, labelled, classes)
    touched = {frames.ids.index(error.frame_id) for error in injected.truth}
    hints = frame_hints(frames, label_table(corrupted, classes))
    evidence = list(gathered.evidence)
    for done, at in enumerate(sorted(touched)):
        reporter.update(done / len(touched), f"practising on frame {done + 1} of {len(touched)}")
        entry = corrupted[at]
        evidence[at] = judge_frame(
            entry, project.frame_image(entry.frame), gathered.judges[int(folds.folds[at])],
            gathered.plates, hints[at], gathered.evidence[at].detections,
        )  # fmt: skip
    vectors = _vectors(project, corrupted, labels)
    inputs = finder_inputs(
        corrupted, folds, evidence, classes, gathered.inputs.frames.health, {},
        None if vectors is None else compare_crops(project, corrupted, folds, vectors),
    )  # fmt: skip
    # Frames on which nothing was injected say nothing about errors, and are many.
    return Practice(inputs, injected.truth, np.isin(np.arange(len(labelled)), sorted(touched)))


def _chosen_frames(count: int) -> BoolArray:
    chosen = np.zeros(count, bool)
    chosen[np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).astype(int))] = True
    return chosen


def _possible(labels: LabelTable, classes: Sequence[str]) -> dict[IssueType, float]:
    """The default rates of the errors that these labels can have."""
    rates = dict(DEFAULT_RATES)
    if len(classes) < 2:
        del rates[IssueType.WRONG_CLASS]
    if labels.masks is None:
        del rates[IssueType.INACCURATE_MASK]
    return rates


def _annotations(
    injected: Injected, labelled: Sequence[LabelledFrame], classes: Sequence[str]
) -> list[LabelledFrame]:
    """The corrupted table as labelled frames."""
    table = injected.labels
    known = {annotation.id: annotation for entry in labelled for annotation in entry.annotations}
    rng = np.random.default_rng(_SEED)
    scores = [a.score for a in known.values() if a.score is not None]
    doubles = {error.annotation_id for error in injected.truth if error.type is IssueType.DUPLICATE}
    rows: list[list[Annotation]] = [[] for _ in labelled]
    for row, name in enumerate(table.ids):
        at = int(table.frames[row])
        x1, y1, x2, y2 = (float(value) for value in table.boxes[row])
        if x2 - x1 < 1e-3 or y2 - y1 < 1e-3:
            continue
        mask = None if table.masks is None else table.masks[row]
        old = known.get(name)
        if old is None:
            # A labeller's double has a score as any other; what it would say to a box on nothing is not known.
            score = float(rng.choice(scores)) if scores and name in doubles else None
            old = Annotation(name, labelled[at].frame.id, "", (x1, y1, x2, y2), score=score)
        label = classes[int(table.classes[row])]
        rows[at].append(replace(old, label=label, bbox_xyxy=(x1, y1, x2, y2), mask=mask))
    return [LabelledFrame(entry.frame, tuple(found)) for entry, found in zip(labelled, rows, strict=True)]


def _vectors(project: Project, corrupted: Sequence[LabelledFrame], labels: LabelTable) -> FloatArray | None:
    """(L', D) vectors of the corrupted labels; a moved label keeps that of its right box, a made-up one has none."""
    stored = load_vectors(vectors_path(project, Embedded.CROP))
    if not stored:
        return None
    wanted = [annotation for entry in corrupted for annotation in sorted_labels(entry)]
    boxes = dict(zip(labels.ids, np.asarray(labels.boxes, float), strict=True))
    dims = len(next(iter(stored.values())))
    table = np.full((len(wanted), dims), np.nan, np.float32)
    for row, annotation in enumerate(wanted):
        box = boxes.get(annotation.id)
        if box is not None:
            x1, y1, x2, y2 = (float(value) for value in box)
            vector = stored.get(crop_key(replace(annotation, bbox_xyxy=(x1, y1, x2, y2))))
            if vector is not None:
                table[row] = vector
    known = np.isfinite(table).all(1)
    if not known.any():
        return None
    reducer = Reducer.fit(table[known])
    result = np.full((len(wanted), len(reducer.components)), np.nan, np.float32)
    result[known] = reducer.transform(table[known])
    return result
