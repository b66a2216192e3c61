"""A hand-made case: two frames, four labels, two of them wrong, one label lost."""

from __future__ import annotations

import numpy as np
import pytest

from curate.annotations import IssueType
from curate.bench.label_errors.case import Case, Pool
from curate.issues import DetectionTable, FinderInputs, FrameTable, InjectedError, LabelTable


@pytest.fixture
def case() -> Case:
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 40], [50, 50, 60, 60], [0, 0, 10, 10]], float)
    frames = FrameTable(
        ids=("f0", "f1"),
        times=np.array([0.0, 1.0]),
        clips=("c", "c"),
        blocks=np.array([0, 1]),
        folds=np.array([0, 1]),
        widths=np.array([100, 100]),
        heights=np.array([80, 80]),
    )
    labels = LabelTable(
        ids=("a", "b", "c", "d"),
        revisions=np.zeros(4, np.int64),
        frames=np.array([0, 0, 0, 1]),
        boxes=boxes,
        classes=np.array([0, 1, 0, 0]),
        counts=np.array([True, True, True, False]),
    )
    detections = DetectionTable(
        frames=np.array([1, 0, 1]),
        boxes=np.array([[40, 40, 60, 60], [0, 0, 10, 11], [70, 70, 79, 79]], float),
        scores=np.array([0.9, 0.8, 0.3]),
        classes=np.array([1, 0, 0]),
    )
    errors = (
        InjectedError(IssueType.SPURIOUS, "spawn", "c", "f0", None, None, None, -1),
        InjectedError(IssueType.WRONG_CLASS, "flip", "b", "f0", (20, 20, 30, 40), 0, None, 1),
        InjectedError(IssueType.MISSING, "drop", "x", "f1", (40, 40, 60, 60), 1, None, 4),
    )
    pool = Pool(
        frames=np.array([1, 1, 0]),
        boxes=np.array([[40, 40, 60, 60], [70, 70, 79, 79], [80, 10, 90, 30]], float),
        classes=np.array([1, 0, 0]),
        detections=np.array([0, 2, -1]),
        candidates=np.array([0, 1, 2]),
        errors=np.array([2, -1, -1]),
    )
    return Case(
        FinderInputs(frames, labels, detections), ("person", "car"), errors, np.array([-1, 1, 0, -1]), pool
    )
