"""Embeddings of crops and frames after a scan: kept, laid out, searched."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from curate.annotations import Annotation, Decision, DecisionKind, IssueState, replace
from curate.embeddings import CropIndex
from curate.errors import NotFoundError
from curate.review import decide
from curate.workflows import whole_frames
from curate.workflows.crop_map import embedding_map, map_now
from curate.workflows.dataset import working_frames
from curate.workflows.embedding_store import (
    Embedded,
    crop_key,
    index_folder,
    keep_index,
    load_vectors,
    vectors_path,
)
from curate.workflows.maps import FRAME_COLUMNS, frame_map, similar_crops, similar_frames
from curate.workflows.picked import send_labels
from curate.workflows.progress import Cancelled, Quiet, SubReporter
from curate.workflows.project import Project
from curate.workflows.scan import scan
from curate.workflows.whole_frames import embed_frames

QUIET = SubReporter(Quiet(), 0.0, 1.0)


@pytest.fixture(scope="module")
def scanned_template(labelled_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scanned") / "site"
    shutil.copytree(labelled_template, root)
    project = Project.open(root)
    frames, labels = working_frames(project), project.store.annotations(source="cheap")
    done = scan(project).done
    assert f"{len(labels)} crops and {len(frames)} frames embedded" in done
    project.store.close()
    return root


@pytest.fixture
def scanned(scanned_template: Path, tmp_path: Path) -> Project:
    root = tmp_path / "scanned"
    shutil.copytree(scanned_template, root)
    opened = Project.open(root)
    yield opened
    opened.store.close()


def record(project: Project, what: Embedded) -> Path:
    return index_folder(project, what) / "index.json"


def exclude(project: Project, frame_id: str) -> str:
    decision = Decision(uuid.uuid4().hex, DecisionKind.EXCLUDE_FRAME, "ann", frame_id=frame_id)
    decide(project.store, decision)
    return decision.id


def test_every_working_frame_and_crop_is_kept_with_its_index(scanned: Project) -> None:
    frames = {frame.id for frame in working_frames(scanned)}
    labels = {crop_key(label) for label in scanned.store.annotations(source="cheap")}
    for what, keys in ((Embedded.FRAME, frames), (Embedded.CROP, labels)):
        assert set(load_vectors(vectors_path(scanned, what))) == keys
        assert set(CropIndex.load(index_folder(scanned, what)).ids) == keys


def test_another_scan_embeds_and_writes_only_what_changed(scanned: Project) -> None:
    before = {what: record(scanned, what).stat().st_mtime_ns for what in Embedded}
    label = scanned.store.annotations(source="cheap")[0]
    decide(
        scanned.store,
        Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id),
    )
    assert "0 crops and 0 frames embedded" in scan(scanned).done
    assert record(scanned, Embedded.FRAME).stat().st_mtime_ns == before[Embedded.FRAME]
    assert record(scanned, Embedded.CROP).stat().st_mtime_ns > before[Embedded.CROP]
    assert crop_key(label) not in CropIndex.load(index_folder(scanned, Embedded.CROP)).ids


class StopAfter(Quiet):
    """Says stop after so many reports."""

    def __init__(self, reports: int) -> None:
        self.left = reports

    def update(self, fraction: float, message: str) -> None:
        self.left -= 1

    def should_stop(self) -> bool:
        return self.left <= 0


def test_embedding_goes_on_where_it_was_stopped(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_frames, "_AT_ONCE", 2)
    monkeypatch.setattr(whole_frames, "_SAVE_EVERY", 4)
    frames = working_frames(project)
    with pytest.raises(Cancelled):
        embed_frames(project, frames, SubReporter(StopAfter(3), 0.0, 1.0))
    kept = load_vectors(vectors_path(project, Embedded.FRAME))
    assert len(kept) == 4
    assert embed_frames(project, frames, QUIET) == len(frames) - 4
    assert embed_frames(project, frames, QUIET) == 0
    after = load_vectors(vectors_path(project, Embedded.FRAME))
    assert all(np.array_equal(after[key], vector) for key, vector in kept.items())


def test_broken_files_are_made_again(scanned: Project) -> None:
    frames = working_frames(scanned)
    wanted = similar_frames(scanned, frames[0].id, 3)
    assert len(wanted) == 3
    next(index_folder(scanned, Embedded.FRAME).glob("*.faiss")).write_bytes(b"cut")
    record(scanned, Embedded.FRAME).touch()
    again = similar_frames(scanned, frames[0].id, 3)
    assert [alike.id for alike in again] == [alike.id for alike in wanted]
    assert CropIndex.load(index_folder(scanned, Embedded.FRAME)).ids
    vectors = vectors_path(scanned, Embedded.FRAME)
    vectors.write_bytes(vectors.read_bytes()[:1000])
    assert frame_map(scanned).empty
    assert embed_frames(scanned, frames, QUIET) == len(frames)
    assert len(frame_map(scanned)) == len(frames)


def test_the_map_of_frames_counts_and_keeps_the_excluded_where_they_were(scanned: Project) -> None:
    before = frame_map(scanned)
    assert tuple(before.columns) == FRAME_COLUMNS
    assert list(before["frame_id"]) == [frame.id for frame in working_frames(scanned)]
    labels = Counter(label.frame_id for label in scanned.store.annotations(source="cheap"))
    issues = Counter(s.issue.frame_id for s in scanned.store.issue_statuses(states=(IssueState.OPEN,)))
    assert list(before["labels"]) == [labels[frame_id] for frame_id in before["frame_id"]]
    assert list(before["open_issues"]) == [issues[frame_id] for frame_id in before["frame_id"]]
    assert before["outlier"].between(0, 1).all()
    assert np.isfinite(before[["x", "y"]].to_numpy()).all()

    gone = before["frame_id"][0]
    exclude(scanned, gone)
    after = frame_map(scanned)
    assert list(after["excluded"]) == [frame_id == gone for frame_id in after["frame_id"]]
    assert after["open_issues"][0] == 0
    assert after[["frame_id", "x", "y", "outlier"]].equals(before[["frame_id", "x", "y", "outlier"]])
    embed_frames(scanned, working_frames(scanned), QUIET)
    assert gone in load_vectors(vectors_path(scanned, Embedded.FRAME))


def test_similar_frames_are_those_of_the_highest_cosine(scanned: Project) -> None:
    index = CropIndex.load(index_folder(scanned, Embedded.FRAME))
    own = index.ids[3]
    cosine = index.vectors @ index.vectors[3]
    order = [index.ids[row] for row in np.argsort(-cosine) if index.ids[row] != own]
    found = similar_frames(scanned, own, 5)
    assert [alike.id for alike in found] == order[:5]
    assert found[0].similarity == pytest.approx(np.sort(cosine)[-2], abs=1e-5)
    assert len(similar_frames(scanned, own, 1000)) == len(index) - 1


def test_similar_crops_follow_the_labels_of_now(scanned: Project) -> None:
    labels = scanned.store.annotations(source="cheap")
    twin: Annotation = replace(labels[0], id="twin")
    scanned.store.add_annotations([twin], "ann")
    found = similar_crops(scanned, labels[0].id, 4)
    assert found[0].id == "twin"
    assert found[0].similarity == pytest.approx(1.0, abs=1e-5)
    assert labels[0].id not in {alike.id for alike in found}
    assert len(found) == 4
    decide(scanned.store, Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id="twin"))
    second = found[1].id
    x1, y1, x2, y2 = scanned.store.annotation(second).bbox_xyxy
    edit = Decision(
        uuid.uuid4().hex,
        DecisionKind.EDIT,
        "ann",
        annotation_id=second,
        bbox_xyxy=(x1, y1, x2 - 1, y2 - 1),
    )
    decide(scanned.store, edit)
    assert not {"twin", second} & {alike.id for alike in similar_crops(scanned, labels[0].id, 1000)}
    assert similar_crops(scanned, second, 4) == []


def test_the_map_follows_decisions_without_being_made_anew(
    scanned: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = scanned.store
    known = map_now(scanned)
    before = known.points
    flagged = store.flagged_labels()
    one, two, three, four = [a for a in store.annotations(source="cheap") if a.id not in flagged][:4]

    def say(kind: DecisionKind, **fields: object) -> str:
        decision = Decision(uuid.uuid4().hex, kind, "ann", **fields)  # type: ignore[arg-type]
        decide(store, decision, classes=scanned.config.classes)
        return decision.id

    monkeypatch.setattr("curate.workflows.crop_map.plane", lambda *_: pytest.fail("laid out anew"))
    other = next(name for name in scanned.config.classes if name != one.label)
    say(DecisionKind.RELABEL, annotation_id=one.id, label=other)
    gone = say(DecisionKind.DELETE_LABEL, annotation_id=two.id)
    x1, y1, x2, y2 = three.bbox_xyxy
    box = (x1, y1, x2 - 1, y2 - 1)
    moved = say(DecisionKind.EDIT, annotation_id=three.id, bbox_xyxy=box)
    say(DecisionKind.DELETE_LABEL, annotation_id=four.id)
    changed = map_now(scanned, known)
    ids = set(before["annotation_id"])
    assert ids - set(changed.points["annotation_id"]) == {two.id, three.id, four.id}
    say(DecisionKind.UNDO, undoes=moved)
    say(DecisionKind.UNDO, undoes=gone)
    sent = send_labels(scanned, [three], "ann")
    issue = next(
        issue for issue in store.issues(limit=100).issues if issue.annotation_id not in (None, three.id)
    )
    say(DecisionKind.KEEP, issue_id=issue.id)
    changed = map_now(scanned, changed)
    row = changed.points.set_index("annotation_id").loc[three.id]
    assert row["issue_type"] == store.issue(sent.issues[0]).type.value
    assert row["source"] == "cheap", "undone: as its source wrote it"
    assert map_now(scanned, changed).points.equals(changed.points)

    monkeypatch.undo()
    pd.testing.assert_frame_equal(changed.points, embedding_map(scanned))
    same = before.merge(changed.points, on="annotation_id")
    assert (same["x_x"] == same["x_y"]).all(), "what is deleted or changed does not move the others"
    assert changed.points.set_index("annotation_id").loc[one.id, "source"] == "ann"
    # A frame taken out may move the folds: then everything is read.
    exclude(scanned, one.frame_id)
    pd.testing.assert_frame_equal(map_now(scanned, changed).points, embedding_map(scanned))


def test_a_server_that_starts_finds_the_map_read(scanned: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = map_now(scanned).points
    monkeypatch.setattr(type(scanned.store), "flagged_labels", lambda _: pytest.fail("all was read again"))
    pd.testing.assert_frame_equal(map_now(scanned).points, first)
    label = scanned.store.annotations(source="cheap")[0]
    gone = Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id)
    decide(scanned.store, gone)
    assert label.id not in set(map_now(scanned).points["annotation_id"])
    assert map_now(scanned).sequence == scanned.store.decisions(limit=1)[0].sequence
    monkeypatch.undo()
    # What no decision did, and a file that is broken: everything is read.
    scanned.store.add_annotations([replace(label, id="twin")], "import")
    assert "twin" in set(map_now(scanned).points["annotation_id"])
    whole = map_now(scanned).points
    (scanned.cache_dir / "embeddings" / "map-points.npz").write_bytes(b"PK, but no archive")
    pd.testing.assert_frame_equal(map_now(scanned).points, whole)


def test_before_a_scan_there_is_nothing_alike_and_nobody_unknown(project: Project) -> None:
    frame, label = project.store.frames()[0], project.store.annotations(source="cheap")[0]
    assert frame_map(project).empty
    assert embedding_map(project).empty
    assert similar_frames(project, frame.id, 3) == []
    assert similar_crops(project, label.id, 3) == []
    with pytest.raises(NotFoundError):
        similar_frames(project, "nowhere", 3)
    with pytest.raises(NotFoundError):
        similar_crops(project, "nowhere", 3)


def test_keys_that_come_twice_are_indexed_once(tmp_path: Path) -> None:
    vectors = np.eye(3, dtype=np.float32)[[0, 1, 0]]
    assert keep_index(tmp_path / "index", ["b", "a", "b"], vectors)
    assert not keep_index(tmp_path / "index", ["a", "b"], vectors[[1, 0]])
    index = CropIndex.load(tmp_path / "index")
    assert index.ids == ("a", "b")
    assert np.array_equal(index.vectors, vectors[[1, 0]])


def test_maps_and_searches_do_not_load_torch(scanned: Project) -> None:
    frame, label = working_frames(scanned)[0], scanned.store.annotations(source="cheap")[0]
    program = (
        "import sys\n"
        "from curate.workflows.crop_map import embedding_map\n"
        "from curate.workflows.maps import frame_map, similar_crops, similar_frames\n"
        "from curate.workflows.project import Project\n"
        "assert not {'torch', 'faiss', 'onnxruntime'} & set(sys.modules)\n"
        "project = Project.open(sys.argv[1])\n"
        "assert len(embedding_map(project)) and len(frame_map(project))\n"
        "assert similar_frames(project, sys.argv[2], 2) and similar_crops(project, sys.argv[3], 2)\n"
        "assert not {'torch', 'onnxruntime'} & set(sys.modules)\n"
    )
    command = [sys.executable, "-c", program, str(scanned.root), frame.id, label.id]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
