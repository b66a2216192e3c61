"""The scan learns from errors that it puts into copies of the site's own labels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from curate.annotations import IssueType
from curate.issues import TrainingRows
from curate.workflows import practice
from curate.workflows.dataset import labelled_frames, working_frames
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
    rows = practice.practice_rows(project, gathered, force=False, reporter=quiet)
    assert rows[IssueType.SPURIOUS].truth.sum() > 0
    assert rows[IssueType.BAD_LOCATION].truth.sum() > 0

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("practised again although nothing has changed")

    monkeypatch.setattr(practice, "inject", fail)
    again = practice.practice_rows(project, gathered, force=False, reporter=quiet)
    for kind, table in rows.items():
        assert np.array_equal(again[kind].values, table.values, equal_nan=True)
        assert np.array_equal(again[kind].truth, table.truth)
    stored.write_bytes(b"broken")
    with pytest.raises(AssertionError, match="practised again"):
        practice.practice_rows(project, gathered, force=False, reporter=quiet)
    # Too few labels to put errors into: nothing is learned, and nothing breaks.
    monkeypatch.setattr(practice, "_LEAST_LABELS", 10**6)
    assert practice.practice_rows(project, gathered, force=True, reporter=quiet) == {}


def test_rows_of_an_older_program_are_made_again(project: Project) -> None:
    path = project.cache_dir / "practice.npz"
    short = TrainingRows(np.zeros((4, 2)), np.zeros(4, int), np.zeros(4, int), np.full(4, -1), np.ones(4))
    practice._save(path, "key", {IssueType.SPURIOUS: short})
    assert practice._load(path, "key") is None
    assert practice._load(path, "another") is None
