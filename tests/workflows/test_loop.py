"""Scan, review, retrain and compare on a rendered junction, with trainings of a few steps."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from curate.annotations import Decision, DecisionKind, IssueState, replace
from curate.errors import CompareError, ConflictError, DataError, NotFoundError
from curate.evaluation import Comparison
from curate.files import exclusive
from curate.review import decide
from curate.synth import SyntheticScene
from curate.workflows.compare import comparisons, load_comparison, run_detections
from curate.workflows.coverage import mark_covered
from curate.workflows.dataset import working_frames
from curate.workflows.evaluate import evaluate_run
from curate.workflows.gold import create_gold, freeze_gold, frozen_gold, revise_gold
from curate.workflows.progress import Cancelled, Quiet
from curate.workflows.project import Project
from curate.workflows.retrain import retrain
from curate.workflows.scan import scan
from curate.workflows.snapshot import snapshot
from curate.workflows.status import project_status
from curate.workflows.train import train_version


def delete_one(project: Project) -> str:
    label = project.store.annotations(source="cheap")[0]
    decide(
        project.store,
        Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id),
    )
    return label.id


def test_scan_is_incremental_and_decisions_do_not_come_back(project: Project) -> None:
    first = scan(project)
    assert not first.unchanged
    assert sum(first.open_by_type.values()) > 0
    again = scan(project)
    assert again.unchanged
    assert again.open_by_type == first.open_by_type

    page = project.store.issues(states=(IssueState.OPEN,), limit=3)
    kept = next(issue for issue in page.issues if issue.annotation_id is not None)
    decide(project.store, Decision(uuid.uuid4().hex, DecisionKind.KEEP, "ann", issue_id=kept.id))
    delete_one(project)
    third = scan(project)
    assert not third.unchanged
    redone = next(line for line in third.done if "evidence gathered" in line)
    assert redone.startswith("evidence gathered on 1 of"), redone
    assert all("kept" in line for line in third.done if line.startswith("detector"))
    assert project.store.issue(kept.id).state is IssueState.DECIDED
    labels = {issue.annotation_id for issue in project.store.issues(limit=1000).issues}
    assert kept.annotation_id not in labels


def test_gold_never_trains_and_never_gets_issues(project: Project) -> None:
    gold = frozen_gold(project)
    assert gold is not None
    held_out = {frame.id for frame in gold.frames} | set(gold.gold.manifest["gap_frames"])
    assert not held_out & {frame.id for frame in working_frames(project)}
    scan(project)
    assert not held_out & {issue.frame_id for issue in project.store.issues(limit=1000).issues}


def untimed(comparison: Comparison) -> Comparison:
    """What two comparisons of the same runs share: the times are taken anew."""
    assert comparison.before.ms_per_frame
    assert comparison.after.ms_per_frame
    sides = {name: replace(getattr(comparison, name), ms_per_frame=None) for name in ("before", "after")}
    return replace(comparison, **sides)


def test_retrain_compares_with_the_version_before_and_repeats_nothing(project: Project) -> None:
    first = retrain(project)
    assert first.against_before is None
    assert first.against_generic.comparison.verdict in ("indicative", "unknown")
    delete_one(project)
    second = retrain(project)
    assert second.against_before is not None
    assert second.against_before.before == first.runs
    assert second.version != first.version
    weights = project.runs_dir / second.runs[0] / "model.safetensors"
    stamp = weights.stat().st_mtime_ns
    third = retrain(project)
    assert third.runs == second.runs
    assert weights.stat().st_mtime_ns == stamp
    stored = load_comparison(project, second.against_before.id)
    assert untimed(stored.comparison) == untimed(second.against_before.comparison)
    assert {record.id for record in comparisons(project)} >= {stored.id, second.against_generic.id}
    gold = frozen_gold(project)
    assert gold is not None
    found = run_detections(project, second.runs[0], gold.gold.id, [frame.id for frame in gold.frames])
    assert len(found) == len(gold.frames)


def test_a_revised_gold_set_is_judged_again(project: Project) -> None:
    result = retrain(project)
    before = frozen_gold(project)
    assert before is not None
    frozen_label = project.store.annotations(source="gold")[0]
    with pytest.raises(ConflictError, match="frozen gold"):
        decide(
            project.store,
            Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=frozen_label.id),
        )
    draft = revise_gold(project)
    assert draft.revision == 2
    with pytest.raises(ConflictError, match="draft is open"):
        revise_gold(project)
    label = project.store.annotations(source="gold")[0]
    removal = Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id)
    decide(project.store, removal)  # Open for correction while the draft is.
    still = frozen_gold(project)
    assert still is not None
    assert still.gold.id == before.gold.id
    with pytest.raises(ConflictError, match="gold set already"):
        create_gold(project)
    assert result.against_generic.comparison.gold_id == before.gold.id
    revised = freeze_gold(project)
    assert revised.content_hash != before.gold.content_hash
    again = retrain(project)
    assert again.runs == result.runs
    assert again.against_generic.comparison.gold_id == revised.id


@pytest.mark.slow
def test_torchvision_is_compared_where_its_weights_are(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state dict of random numbers under the name of the real one: it loads, runs and is compared."""
    import torch
    from torchvision.models import detection

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    assert retrain(project).against_torchvision is None
    weights = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1
    folder = tmp_path / "hub" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    torch.save(model.state_dict(), folder / weights.url.rsplit("/", 1)[-1])
    compared = retrain(project).against_torchvision
    assert compared is not None
    assert compared.before == ("torchvision",)


def test_what_is_missing_is_named(empty_project: Project) -> None:
    with pytest.raises(DataError, match="nothing to scan"):
        scan(empty_project)
    with pytest.raises(NotFoundError, match="gold"):
        retrain(empty_project)
    assert "curate ingest" in project_status(empty_project).next_step


def test_footage_that_comes_later_does_not_leak_into_training(
    project: Project, scene: SyntheticScene
) -> None:
    """The same minutes ingested again with other settings are another recording, but still gold's minutes."""
    gold = frozen_gold(project)
    assert gold is not None
    source = gold.frames[0].source
    times = {frame.captured_at for frame in gold.frames}
    twins = [
        replace(frame, id=f"{number:032x}", name=f"twin_{number}.jpg", clip="twin", sha256=f"{number:064x}")
        for number, frame in enumerate(gold.frames)
    ]
    project.store.add_frames(twins)
    assert {frame.source for frame in twins} == {source}
    assert not times & {frame.captured_at for frame in working_frames(project)}


def test_a_version_from_before_the_gold_set_is_refused(labelled_template: Path, tmp_path: Path) -> None:
    root = tmp_path / "early"
    root.mkdir()
    (root / "site.yaml").write_text((labelled_template / "site.yaml").read_text())
    early, late = Project.open(root), Project.open(labelled_template)
    early.store.add_frames(late.store.frames())
    early.store.add_annotations(late.store.annotations(source="cheap"), actor="cheap")
    mark_covered(early, "cheap", [frame.id for frame in early.store.frames()])
    version = snapshot(early)
    create_gold(early)
    with pytest.raises(DataError, match="gold frames"):
        train_version(early, version.id)
    early.store.close()
    late.store.close()


def test_a_run_on_other_classes_is_refused(project: Project) -> None:
    run = project.store.run(retrain(project).runs[0])
    text = (project.root / "site.yaml").read_text().replace("[person, car]", "[car, person]")
    (project.root / "site.yaml").write_text(text)
    gold = frozen_gold(project)
    assert gold is not None
    with pytest.raises(CompareError, match="trained on the classes"):
        evaluate_run(Project.open(project.root), run, gold)


def test_one_trainer_to_a_folder(project: Project, tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "run"),
        pytest.raises(ConflictError, match="another process"),
        exclusive(tmp_path / "run"),
    ):
        pass
    with exclusive(tmp_path / "run"):
        pass


def test_status_follows_the_loop(project: Project) -> None:
    assert "curate retrain" in project_status(project).next_step
    retrain(project)
    assert "curate scan" in project_status(project).next_step
    scan(project)
    assert "curate app" in project_status(project).next_step
    delete_one(project)
    assert "curate retrain" in project_status(project).next_step


class StopAfter(Quiet):
    """Says stop after so many reports."""

    def __init__(self, reports: int) -> None:
        self.left = reports

    def update(self, fraction: float, message: str) -> None:
        self.left -= 1

    def should_stop(self) -> bool:
        return self.left <= 0


def test_cancel_keeps_what_was_done(project: Project) -> None:
    with pytest.raises(Cancelled):
        scan(project, reporter=StopAfter(30))
    assert not scan(project).unchanged
    with pytest.raises(Cancelled):
        retrain(project, reporter=StopAfter(2))
    assert retrain(project).runs


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.parametrize("command", ["scan", "retrain"])
def test_kill_nine_then_the_same_command_goes_on(project: Project, command: str) -> None:
    """The real program, killed at several moments; afterwards it ends as if nothing had happened."""
    arguments = [sys.executable, "-m", "curate.cli.main", command, "--json", "--project", str(project.root)]
    for seconds in (2.5, 4.0, 5.5):
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["issues"] or result["unchanged"] if command == "scan" else result["runs"]
    assert not list(Path(project.state_dir).rglob("*.tmp")) or command
    assert len(project.store.annotations(source="cheap")) > 0
