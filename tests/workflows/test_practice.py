"""The scan learns from errors that it puts into copies of the site's own labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from curate.annotations import IssueType, Polygon, Rle
from curate.issues import (
    FinderInputs,
    FrameHealth,
    FrameTable,
    InjectedError,
    LabelEvidence,
    LabelTable,
    PlaceEvidence,
    injected_rows,
)
from curate.workflows import practice
from curate.workflows.dataset import labelled_frames, working_frames
from curate.workflows.practice_files import Practice, load_practice, save_practice
from curate.workflows.progress import Quiet, SubReporter
from curate.workflows.project import Project
from curate.workflows.scan import scan
from curate.workflows.scan_gather import gather_scan


def test_the_scan_practises_once_and_says_what_it_learned(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {label.id: label for label in project.store.annotations(source="cheap")}
    scan(project)
    stored = project.cache_dir / "practice.npz"
    assert stored.exists()
    assert {label.id: label for label in project.store.annotations(source="cheap")} == before
    written = json.loads((project.cache_dir / "calibration.json").read_text())
    assert "injected rows" in json.dumps(written) or "too few" in json.dumps(written)

    frames = working_frames(project, source="cheap")
    labelled = labelled_frames(project, frames, before.values())
    quiet = SubReporter(Quiet(), 0, 1)
    gathered = gather_scan(project, labelled, force=False, reporter=quiet)
    done = practice.practise(project, gathered, force=False, reporter=quiet)
    assert done is not None
    rows = injected_rows(done.inputs, done.errors, project.config.classes, frames=done.frames)
    assert rows[IssueType.SPURIOUS].truth.sum() > 0
    assert rows[IssueType.BAD_LOCATION].truth.sum() > 0

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("practised again although nothing has changed")

    monkeypatch.setattr(practice, "inject", fail)
    again = practice.practise(project, gathered, force=False, reporter=quiet)
    assert again is not None
    assert again.errors == done.errors
    same = injected_rows(again.inputs, again.errors, project.config.classes, frames=again.frames)
    for kind, table in rows.items():
        assert np.array_equal(same[kind].values, table.values, equal_nan=True)
        assert np.array_equal(same[kind].truth, table.truth)
    stored.write_bytes(b"broken")
    with pytest.raises(AssertionError, match="practised again"):
        practice.practise(project, gathered, force=False, reporter=quiet)
    # Too few labels to put errors into: nothing is learned, and nothing breaks.
    monkeypatch.setattr(practice, "_LEAST_LABELS", 10**6)
    assert practice.practise(project, gathered, force=True, reporter=quiet) is None
    assert practice.practise(project, gathered, force=False, reporter=quiet) is None


def test_a_practice_goes_into_a_file_and_back(tmp_path: Path) -> None:
    square = (Polygon(((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))),)
    inputs = FinderInputs(
        FrameTable(
            ("f",), np.zeros(1), ("clip",), np.zeros(1, int), np.zeros(1, int), np.array([20]), np.array([20]),
            FrameHealth(sharpness=np.ones(1), verdicts=(("blurred",),)),
        ),
        LabelTable(
            ("a", "b"), np.zeros(2, int), np.zeros(2, int), np.array([[1, 1, 9, 9], [2, 2, 8, 8]], float),
            np.zeros(2, int), masks=(square, Rle(20, 20, (40, 5, 355))), tracks=("t", None),
        ),
        label_evidence=LabelEvidence(
            foreground=np.array([0.5, np.nan]), predicted_masks=(None, Rle(20, 20, (41, 3, 356))),
            places=PlaceEvidence(np.array([0, 1]), np.ones(2, int), np.ones(2), np.zeros(2)),
        ),
    )  # fmt: skip
    error = InjectedError(
        IssueType.BAD_LOCATION, "shift", "a", "f", (0.0, 1.0, 8.0, 9.0), None, None, -1,
        (IssueType.INACCURATE_MASK,),
    )  # fmt: skip
    path = tmp_path / "practice.npz"
    save_practice(path, "key", Practice(inputs, (error,), np.array([True])))
    assert load_practice(path, "another") is None
    found = load_practice(path, "key")
    assert found is not None
    assert found[0] is not None
    again = found[0]
    assert again.errors == (error,)
    assert again.frames.tolist() == [True]
    labels, evidence = again.inputs.labels, again.inputs.label_evidence
    assert labels.masks == inputs.labels.masks
    assert labels.tracks == ("t", None)
    assert labels.counts is None
    assert np.array_equal(labels.boxes, inputs.labels.boxes)
    assert again.inputs.frames.health.verdicts == (("blurred",),)
    assert evidence.predicted_masks == inputs.label_evidence.predicted_masks
    assert np.array_equal(evidence.foreground, [0.5, np.nan], equal_nan=True)
    assert evidence.places is not None
    assert evidence.places.ids.tolist() == [0, 1]
    assert evidence.class_probs is None
    save_practice(path, "key", None)
    assert load_practice(path, "key") == (None,)
    assert load_practice(tmp_path / "nothing.npz", "key") is None
