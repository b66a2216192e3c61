"""Which frames to label next, on the rendered junction."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import pytest

from curate.annotations import Annotation, Decision, DecisionKind
from curate.errors import DataError
from curate.review import decide
from curate.workflows import label_next as module
from curate.workflows.coverage import mark_covered
from curate.workflows.gold import create_gold
from curate.workflows.ingest import ingest
from curate.workflows.label_next import label_next
from curate.workflows.project import Project


@pytest.fixture(scope="module")
def looked_at(video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No labels yet; every candidate measured, embedded and searched once."""
    root = tmp_path_factory.mktemp("next") / "site"
    root.mkdir()
    (root / "site.yaml").write_text(
        "classes: [person, car]\nframes: {every_n: 1}\nmodel: {input_size: 160}\n"
        "split: {block_seconds: 4, gap_seconds: 0.5, gold_share: 0.5}\n"
    )
    project = Project.open(root)
    ingest(project, [video])
    create_gold(project)
    label_next(project, 1)
    project.store.close()
    return root


@pytest.fixture
def fresh(looked_at: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy on which no frame may be looked at again."""
    shutil.copytree(looked_at, tmp_path / "site")
    project = Project.open(tmp_path / "site")

    def fail(*_: object) -> None:
        raise AssertionError("a frame was looked at twice")

    monkeypatch.setattr(Project, "frame_image", fail)
    yield project
    project.store.close()


def test_frames_without_labels_are_proposed_and_gold_never(fresh: Project) -> None:
    chosen = label_next(fresh, 5)
    ids = [entry.frame_id for entry in chosen]
    gold = set(fresh.store.gold_sets()[-1].manifest["frames"])
    assert 0 < len(ids) <= 5
    assert len(set(ids)) == len(ids)
    assert not gold & set(ids)
    assert all(entry.reason.endswith(".") for entry in chosen)
    assert label_next(fresh, 5) == chosen


def test_covered_frames_are_done(fresh: Project) -> None:
    first, *rest = (entry.frame_id for entry in label_next(fresh, 100))
    mark_covered(fresh, "cheap", [first])
    assert {entry.frame_id for entry in label_next(fresh, 100)} <= set(rest)


def test_where_all_is_labelled_frames_that_nobody_has_reviewed_come(fresh: Project) -> None:
    frames = fresh.store.frames()
    labels = [
        Annotation(f"cheap:{frame.id}", frame.id, "person", (10, 10, 30, 60), source="cheap")
        for frame in frames
    ]
    fresh.store.add_annotations(labels, actor="cheap")
    mark_covered(fresh, "cheap", [frame.id for frame in frames])
    chosen = label_next(fresh, 100)
    target = f"cheap:{chosen[0].frame_id}"
    decide(fresh.store, Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=target))
    after = {entry.frame_id for entry in label_next(fresh, 100)}
    assert chosen[0].frame_id not in after
    assert after


def test_many_candidates_are_thinned(fresh: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_CANDIDATES", 3)
    assert len(label_next(fresh, 100)) <= 3


def test_wrong_questions_are_refused(empty_project: Project) -> None:
    with pytest.raises(DataError, match="no working frames"):
        label_next(empty_project, 3)
    with pytest.raises(DataError, match="at least 1"):
        label_next(empty_project, 0)
