"""Before and after on the frozen gold set, kept as a file that the app and the report read."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from curate.annotations import Frame
from curate.errors import DataError, NotFoundError
from curate.evaluation import Comparison, EvalInput, compare, moving_objects, settings_from_site, site_slices
from curate.splits import time_blocks
from curate.store import Role, RunRecord
from curate.tables import Detections
from curate.types import IntArray
from curate.workflows.evaluate import RunOnGold, evaluate_run, gold_annotations, needed_gold
from curate.workflows.files import read_json, write_json
from curate.workflows.gold import GoldContent
from curate.workflows.gold_parts import approaches, lights_of_frames, places_of_objects
from curate.workflows.new_objects import new_objects_slice
from curate.workflows.predictions import read_detections
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.speed import milliseconds_side_by_side

__all__ = [
    "ComparisonRecord",
    "compare_runs",
    "comparisons",
    "gold_blocks",
    "load_comparison",
    "run_detections",
]


@dataclass(frozen=True)
class ComparisonRecord:
    """A stored comparison.

    Attributes:
        id: Name of its file.
        title: What is compared, for a person.
        before: Run ids of the first side.
        after: Run ids of the second side.
        created_at: Unix time.
        comparison: The figures.
    """

    id: str
    title: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    created_at: float
    comparison: Comparison


def gold_blocks(project: Project, frames: Sequence[Frame]) -> IntArray:
    """(F,) time block of each gold frame, the unit of resampling."""
    times = np.array([frame.captured_at for frame in frames])
    return time_blocks(times, [frame.clip for frame in frames], project.config.split.block_seconds)


def compare_runs(
    project: Project,
    before: Sequence[RunRecord],
    after: Sequence[RunRecord],
    *,
    title: str,
    label: str | None = None,
    notes: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> ComparisonRecord:
    """Evaluate both sides on gold where that is not done yet, compare, and keep the comparison.

    Both sides are timed anew, frame by frame in turn: the times of two evaluations are those of two moments.

    Args:
        project: The project.
        before: Runs of the first side, one per training seed.
        after: Runs of the second side.
        title: What is compared.
        label: Class that the verdict speaks of; "person" where there is one.
        notes: Sentences that a reader of the comparison must know.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        NotFoundError: No frozen gold set.
        CompareError: The sides cannot be compared.
    """
    project.expect_role(Role.REVIEWER)
    gold = needed_gold(project)
    runs = [*before, *after]
    parts = [
        SubReporter(reporter or Quiet(), at / (len(runs) + 2), (at + 1) / (len(runs) + 2))
        for at in range(len(runs) + 1)
    ]
    judged = [
        evaluate_run(project, run, gold, reporter=part) for run, part in zip(runs, parts[:-1], strict=True)
    ]
    taken = milliseconds_side_by_side(project, runs, gold.frames, reporter=parts[-1])
    annotations = gold_annotations(project, gold)
    moving = moving_objects(gold.frames, annotations)
    inputs = [_input(project, gold, entry, taken[entry.run.id]) for entry in judged]
    comparison = compare(
        inputs[: len(before)],
        inputs[len(before) :],
        gold_blocks(project, gold.frames),
        settings_from_site(project.config),
        slices={
            **site_slices(project.config.slices, annotations, moving),
            **new_objects_slice(project, runs, gold, annotations, moving),
        },
        places={
            name: keep for name, keep in places_of_objects(gold.frames, annotations).items() if keep.any()
        },
        lights=lights_of_frames(project, gold.frames),
        approaches=approaches(project.config),
        moving=moving,
        label=label,
        resamples=project.config.evaluation.resamples,
    )
    comparison = replace(comparison, notes=(*comparison.notes, *notes))
    ids = ([run.id for run in before], [run.id for run in after])
    digest = hashlib.sha256(repr((ids, gold.gold.id, label)).encode()).hexdigest()[:12]
    record = ComparisonRecord(digest, title, tuple(ids[0]), tuple(ids[1]), time.time(), comparison)
    write_json(
        _folder(project) / f"{digest}.json",
        {
            "title": title,
            "before": ids[0],
            "after": ids[1],
            "created_at": record.created_at,
            "comparison": comparison.to_dict(),
        },
    )
    return record


def comparisons(project: Project) -> list[ComparisonRecord]:
    """All stored comparisons, the newest first."""
    found = [load_comparison(project, path.stem) for path in _folder(project).glob("*.json")]
    return sorted(found, key=lambda record: (-record.created_at, record.id))


def load_comparison(project: Project, comparison_id: str) -> ComparisonRecord:
    """One stored comparison.

    Raises:
        NotFoundError: No such comparison.
        DataError: Its file is broken.
    """
    path = _folder(project) / f"{comparison_id}.json"
    if not comparison_id.isalnum() or not path.exists():
        raise NotFoundError(
            "no such comparison", item=comparison_id, hint="`curate compare --list` shows them"
        )
    data = read_json(path)
    try:
        return ComparisonRecord(
            comparison_id,
            str(data["title"]),
            tuple(data["before"]),
            tuple(data["after"]),
            float(data["created_at"]),
            Comparison.from_dict(data["comparison"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError("this comparison is broken", file=path, hint="compare the runs again") from error


def run_detections(project: Project, run_id: str, gold_id: str, frame_ids: Sequence[str]) -> list[Detections]:
    """A run's detections on gold frames, for pictures."""
    run = project.store.run(run_id)
    return read_detections(project.root / run.path / f"{gold_id}.parquet", frame_ids)


def _folder(project: Project) -> Path:
    folder = project.runs_dir / "comparisons"
    folder.mkdir(exist_ok=True)
    return folder


def _input(project: Project, gold: GoldContent, judged: RunOnGold, milliseconds: float) -> EvalInput:
    return EvalInput(
        frames=gold.frames,
        gold=gold_annotations(project, gold),
        detections=judged.detections,
        classes=project.config.classes,
        gold_id=gold.gold.id,
        gold_hash=judged.result.gold_hash,
        seed=judged.run.seed if judged.run.kind == "train" else None,
        label=judged.run.id,
        ms_per_frame=milliseconds,
        memory_mb=judged.result.memory_mb,
    )
