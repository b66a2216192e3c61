"""The whole loop on the sample: cheap labels, scan, a careful person's fifth, retrain, compare, report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import curate
from curate.errors import DataError, ProjectError
from curate.evaluation import delta, headline
from curate.store import RunRecord
from curate.workflows.compare import ComparisonRecord, compare_runs, run_detections
from curate.workflows.demo_report import demo_markdown
from curate.workflows.evaluate import baseline_run, evaluate_run, gold_annotations, needed_gold
from curate.workflows.files import write_atomically, write_json
from curate.workflows.gold import GOLD_SOURCE, create_gold, freeze_gold
from curate.workflows.ingest import ingest
from curate.workflows.labels import import_coco
from curate.workflows.measure import StepMeter
from curate.workflows.pictures_of_change import side_by_side
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import SITE_FILE, STATE_FOLDER, Project
from curate.workflows.replay import ReplayReport, replay
from curate.workflows.scan import scan
from curate.workflows.snapshot import snapshot
from curate.workflows.speed import milliseconds_side_by_side
from curate.workflows.train import train_version

__all__ = ["LABEL", "REVIEWED", "REVIEW_SHARE", "prepare_sample", "run_demo", "sample_folder"]

REVIEW_SHARE = 0.2
"""The demo's person looks at no more than this share of the number of labels."""
LABEL = "person"
"""The class that the headline speaks of: nothing else moves in the sample."""
REVIEWED = "reviewed"
"""The source of the sample's fully reviewed working labels."""
_MARKER = "demo"
_PICTURES = 3


def sample_folder(sample: Path | None = None) -> Path:
    """The folder of the sample data.

    Raises:
        DataError: It is not there (an installed wheel does not carry it).
    """
    folder = sample or Path(curate.__file__).parents[1] / "sample_data"
    if not (folder / "junction.avi").exists():
        raise DataError(
            "the sample data is not here",
            file=folder,
            hint="run it from the source tree, or give its folder by --sample",
        )
    return folder


def prepare_sample(folder: Path, sample: Path) -> Project:
    """Make a project of the sample: frames, cheap labels, reviewed labels, frozen gold.

    Raises:
        ProjectError: The folder holds something that is not an earlier demo.
    """
    if folder.exists() and any(folder.iterdir()):
        # Only what a demo made may be replaced: anything else could be somebody's labels.
        if not (folder / STATE_FOLDER / _MARKER).is_file():
            raise ProjectError("this folder is not an earlier demo", file=folder, hint="choose an empty one")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(sample / SITE_FILE, folder / SITE_FILE)
    project = Project.open(folder)
    (project.state_dir / _MARKER).write_text(
        "made by `curate demo`, which may replace this folder\n", "utf-8"
    )
    ingest(project, [sample / "junction.avi"])
    import_coco(project, sample / "working.coco.json")
    import_coco(project, sample / "working.reviewed.coco.json", source=REVIEWED)
    import_coco(project, sample / "gold.coco.json", source=GOLD_SOURCE)
    gold = {annotation.frame_id for annotation in project.store.annotations(source=GOLD_SOURCE)}
    create_gold(project, frame_ids=sorted(gold))
    freeze_gold(project)
    return project


def run_demo(folder: Path, *, sample: Path | None = None, reporter: Reporter | None = None) -> Path:
    """Run the loop and write report.md, report.json and pictures into the folder.

    Args:
        folder: Of the demo project; an earlier demo there is replaced.
        sample: Folder of the sample data; the source tree's when None.
        reporter: Told how far it is.

    Returns:
        Path of report.md.

    Raises:
        DataError: No sample data.
        ProjectError: The folder cannot be used.
    """
    data = sample_folder(sample)
    whole = reporter or Quiet()
    meter = StepMeter()
    with meter.step("prepare"):
        project = prepare_sample(folder.absolute(), data)
    with meter.step("train before"):
        version = snapshot(project, note="cheap labels")
        before = train_version(project, version.id, reporter=SubReporter(whole, 0.02, 0.20, "before: "))
    with meter.step("scan"):
        report = scan(project, reporter=SubReporter(whole, 0.20, 0.58, "scan: "))
    with meter.step("review"):
        played = replay(project, project.store.annotations(source=REVIEWED), share=REVIEW_SHARE)
    with meter.step("train after"):
        version = snapshot(project, note=f"after {played.looks} looks")
        after = train_version(project, version.id, reporter=SubReporter(whole, 0.58, 0.75, "after: "))
    with meter.step("train on fully reviewed labels"):
        version = snapshot(project, note="fully reviewed labels", source=REVIEWED)
        ceiling = train_version(project, version.id, reporter=SubReporter(whole, 0.75, 0.92, "ceiling: "))
    with meter.step("evaluate and compare"):
        runs = {"generic": baseline_run(project), "before": before, "after": after, "ceiling": ceiling}
        judged = {name: _judge(project, run) for name, run in runs.items()}
        taken = milliseconds_side_by_side(project, list(runs.values()), needed_gold(project).frames)
        for name, run in runs.items():
            judged[name]["ms_per_frame"] = taken[run.id]
        against_generic = compare_runs(
            project, [runs["generic"]], [after], title="generic detector against reviewed fifth", label=LABEL
        )
        comparison = compare_runs(
            project, [before], [after], title="cheap labels against reviewed fifth", label=LABEL
        )
        pictures = _pictures(project, comparison)
    figures: dict[str, Any] = {
        **judged,
        "delta_box_ap50": delta(comparison.comparison, "box_ap50", LABEL),
        "delta_box_ap50_generic": delta(against_generic.comparison, "box_ap50", LABEL),
        "labels_looked_at_share": played.looks / played.labels,
        "review": _review_figures(played),
        "issues": _issue_figures(played),
        "queue": dict(report.open_by_type),
        "steps": meter.steps,
        "pictures": pictures,
    }
    write_json(project.root / "report.json", figures)
    target = project.root / "report.md"
    write_atomically(target, demo_markdown(figures).encode())
    whole.update(1.0, "done")
    return target


def _judge(project: Project, run: RunRecord) -> dict[str, Any]:
    return headline(evaluate_run(project, run, needed_gold(project)).result, LABEL)


def _review_figures(played: ReplayReport) -> dict[str, Any]:
    return {
        "labels": played.labels,
        "looks": played.looks,
        "labels_changed": played.labels_changed,
        "proposals_accepted": played.accepted,
        "drawn": played.drawn,
        "right_labels_deleted": played.wrongly_deleted,
    }


def _issue_figures(played: ReplayReport) -> dict[str, Any]:
    kinds = sorted({*played.decided, *played.unclear})
    return {
        kind: {
            "found": played.decided[kind],
            "precision": played.right[kind] / played.decided[kind] if played.decided[kind] else None,
            "unclear": played.unclear[kind],
        }
        for kind in kinds
    }


def _pictures(project: Project, record: ComparisonRecord) -> list[str]:
    """The frames with the largest gains and losses, drawn."""
    gold = needed_gold(project)
    frames = {frame.id: frame for frame in gold.frames}
    annotations = gold_annotations(project, gold)
    names = []
    changes = [*record.comparison.wins[:_PICTURES], *record.comparison.losses[:1]]
    for change in changes:
        frame = frames[change.frame_id]
        found = [
            run_detections(project, side[0], gold.gold.id, [frame.id])[0]
            for side in (record.before, record.after)
        ]
        data = side_by_side(
            project.frame_image(frame),
            [annotation for annotation in annotations if annotation.frame_id == frame.id],
            found[0],
            found[1],
            project.config.classes,
            score=project.config.evaluation.score,
            titles=(f"before: {change.before:.0f} errors", f"after: {change.after:.0f} errors"),
        )
        name = f"report/{Path(frame.name).stem}.jpg"
        write_atomically(project.root / name, data)
        names.append(name)
    return names
