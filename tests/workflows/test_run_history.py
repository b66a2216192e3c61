"""Curves and results as runs left them, whatever state their files are in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from curate.annotations import Annotation, Frame
from curate.errors import NotFoundError
from curate.evaluation import evaluate, settings_from_site
from curate.store import RunRecord
from curate.tables import Detections
from curate.versions import create_version
from curate.workflows.files import write_json
from curate.workflows.gold import create_gold, freeze_gold, frozen_gold
from curate.workflows.predictions import write_detections
from curate.workflows.project import Project
from curate.workflows.run_history import judged_runs, place_results, run_curves, version_quality

BOXES = ((5.0, 5.0, 25.0, 45.0), (70.0, 40.0, 90.0, 79.0))


def frame(number: int) -> Frame:
    return Frame(
        f"{number:032x}", f"f{number}.jpg", "c", "clip", number, float(number), False, 100, 80, "", "", "s"
    )


@pytest.fixture
def project(tmp_path: Path):
    """Four frames with two people each; the last two are gold."""
    text = "classes: [person]\nsplit: {gap_seconds: 0}\npolicy: {min_area: 0, min_height: 0}\n"
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    opened = Project.open(tmp_path)
    frames = [frame(number) for number in range(4)]
    opened.store.add_frames(frames)
    opened.store.add_annotations(
        [
            Annotation(f"{source}{n}-{k}", frames[n].id, "person", box, source=source)
            for source, chosen in (("cheap", (0, 1)), ("gold", (2, 3)))
            for n in chosen
            for k, box in enumerate(BOXES)
        ],
        "import",
    )
    create_gold(opened, frame_ids=[entry.id for entry in frames[2:]])
    freeze_gold(opened)
    yield opened
    opened.store.close()


def add_run(project: Project, run_id: str, version: str | None = None, *, found: int = 2) -> RunRecord:
    """A finished run that finds the first so many people on every gold frame."""
    gold = frozen_gold(project)
    assert gold is not None
    folder = project.runs_dir / run_id
    folder.mkdir()
    path = str(folder.relative_to(project.root))
    run = project.store.put_run(RunRecord(run_id, version, "train", "done", 0, path))
    one = Detections(np.array(BOXES[:found]), np.full(found, 0.9), np.zeros(found, np.int64))
    detections = [one for _ in gold.frames]
    write_detections(
        folder / f"{gold.gold.id}.parquet", dict(zip([f.id for f in gold.frames], detections, strict=True))
    )
    settings = settings_from_site(project.config)
    result = evaluate(gold.frames, gold.annotations, detections, ["person"], settings, gold_id=gold.gold.id)
    write_json(folder / f"{gold.gold.id}.json", result.to_dict())
    return run


def version(project: Project, note: str, parent: str | None = None) -> str:
    splits = dict.fromkeys([f.id for f in project.store.frames()][:2], "train")
    made = create_version(
        project.store, source="cheap", splits=splits, classes=["person"], parent=parent, note=note
    )
    return made.id


def test_curves_survive_damage(project: Project) -> None:
    run = add_run(project, "run-1")
    assert run_curves(project, run).values == {}
    lines = [
        json.dumps(
            {"step": step, "losses": {"total": 3 / step, "mask": 1.0}, "lr": 0.1, "seconds": 2.0 * step}
        )
        for step in (1, 2, 3)
    ]
    lines += [json.dumps({"step": 3, "validation": 0.4}), "[]", json.dumps({"losses": {}}), "{cut o"]
    (project.runs_dir / "run-1" / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    curves = run_curves(project, run)
    assert sorted(curves.values) == ["learning_rate", "loss/mask", "loss/total", "validation"]
    assert curves.steps["loss/total"].tolist() == [1, 2, 3]
    assert curves.seconds["loss/total"].tolist() == [2.0, 4.0, 6.0]
    # A validation is written without a time: it is that of the step before it.
    assert curves.seconds["validation"].tolist() == [6.0]
    assert curves.values["validation"].tolist() == [0.4]


def test_results_say_whether_they_are_of_today(project: Project) -> None:
    add_run(project, "run-1")
    judged = judged_runs(project)
    assert [(entry.run.id, entry.fresh) for entry in judged] == [("run-1", True)]
    site = project.root / "site.yaml"
    site.write_text(
        site.read_text(encoding="utf-8").replace("min_height: 0", "min_height: 9"), encoding="utf-8"
    )
    stale = judged_runs(Project.open(project.root))[0]
    assert stale.result is not None
    assert not stale.fresh
    assert "policy" in stale.note
    gold = frozen_gold(project)
    assert gold is not None
    (project.runs_dir / "run-1" / f"{gold.gold.id}.json").write_text('{"gold_id": 3}', encoding="utf-8")
    assert "cannot be read" in judged_runs(project)[0].note
    (project.runs_dir / "run-1" / f"{gold.gold.id}.json").unlink()
    assert "not judged" in judged_runs(project)[0].note


def test_places_are_scored_apart(project: Project) -> None:
    run = add_run(project, "run-1", found=1)
    places = {name: entry for name, entry in place_results(project, run).items() if entry.objects}
    assert {name: (entry.objects, entry.at_score.missed) for name, entry in places.items()} == {
        "far left": (2, 0),
        "near right": (2, 2),
    }
    with pytest.raises(NotFoundError, match="not judged"):
        place_results(project, project.store.put_run(RunRecord("other", None, "train", "done", 0, "nowhere")))


def test_the_line_over_versions_holds_what_changed(project: Project) -> None:
    first = version(project, "cheap")
    add_run(project, "run-1", first, found=1)
    project.store.add_annotations(
        [Annotation("new", project.store.frames()[0].id, "person", (40, 10, 60, 50), source="cheap")], "ann"
    )
    second = version(project, "one more", first)
    add_run(project, "run-2", second)
    add_run(project, "run-3", second)
    version(project, "never trained", second)
    line = version_quality(project, judged_runs(project))
    assert [(entry.version.note, len(entry.runs)) for entry in line] == [("cheap", 1), ("one more", 2)]
    assert line[0].diff is None
    assert line[1].diff is not None
    assert [change.annotation_id for change in line[1].diff.added] == ["new"]
