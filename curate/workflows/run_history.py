"""What runs left behind, for looking at: learning curves, results on gold, quality over dataset versions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import DataError, NotFoundError
from curate.evaluation import (
    EvalResult,
    SubsetResult,
    evaluate,
    moving_objects,
    settings_from_site,
)
from curate.store import RunRecord, VersionRecord
from curate.types import FloatArray, IntArray
from curate.versions import VersionDiff, diff_versions, get_version
from curate.workflows.files import read_json
from curate.workflows.gold import frozen_gold
from curate.workflows.gold_parts import places_of_objects
from curate.workflows.policy import apply_policy
from curate.workflows.predictions import read_detections
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = [
    "JudgedRun",
    "RunCurves",
    "VersionQuality",
    "judged_runs",
    "place_results",
    "run_curves",
    "version_quality",
]


@dataclass(frozen=True)
class RunCurves:
    """The learning curves of one run.

    Attributes:
        run: The run.
        steps: Metric name -> (P,) steps at which it was written, rising.
        seconds: Metric name -> (P,) seconds of training by then; NaN where the log does not say.
        values: Metric name -> (P,) values; NaN and infinite ones are kept.
    """

    run: RunRecord
    steps: Mapping[str, IntArray]
    seconds: Mapping[str, FloatArray]
    values: Mapping[str, FloatArray]


@dataclass(frozen=True)
class JudgedRun:
    """A run with its result on the newest frozen gold set.

    Attributes:
        run: The run.
        result: None when it was never judged on that set, or the file cannot be read any more.
        fresh: The result was made with today's classes, policy and operating point.
        note: Why there is no result, or why it is not fresh.
    """

    run: RunRecord
    result: EvalResult | None
    fresh: bool
    note: str


@dataclass(frozen=True)
class VersionQuality:
    """One dataset version with what it brought.

    Attributes:
        version: The version.
        runs: Its judged training runs, one per seed.
        diff: What changed against its parent; None for the first.
    """

    version: VersionRecord
    runs: tuple[JudgedRun, ...]
    diff: VersionDiff | None


def run_curves(project: Project, run: RunRecord) -> RunCurves:
    """Read a run's metrics.jsonl; a half-written last line and lines of unknown make are passed over.

    Metrics: "loss/<name>", "learning_rate", "validation".
    """
    path = project.root / run.path / "metrics.jsonl"
    rows: dict[str, list[tuple[int, float, float]]] = {}
    seconds = float("nan")
    for line in _lines(path):
        try:
            step = int(line["step"])
            seconds = float(line.get("seconds", seconds))
            found = {f"loss/{name}": float(value) for name, value in dict(line.get("losses", {})).items()}
            for name, key in (("learning_rate", "lr"), ("validation", "validation")):
                if key in line:
                    found[name] = float(line[key])
        except (KeyError, TypeError, ValueError):
            continue
        for name, value in found.items():
            rows.setdefault(name, []).append((step, seconds, value))
    tables = {name: np.array(entries, float) for name, entries in rows.items()}
    return RunCurves(
        run,
        {name: table[:, 0].astype(np.int64) for name, table in tables.items()},
        {name: table[:, 1] for name, table in tables.items()},
        {name: table[:, 2] for name, table in tables.items()},
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found


def judged_runs(project: Project) -> list[JudgedRun]:
    """Every finished run with its result on the newest frozen gold set, oldest first; none is judged here."""
    gold = frozen_gold(project)
    runs = [run for run in project.store.runs() if run.state == "done"]
    return [_judged(project, run, None if gold is None else gold.gold.id) for run in runs]


def _judged(project: Project, run: RunRecord, gold_id: str | None) -> JudgedRun:
    if gold_id is None:
        return JudgedRun(run, None, False, "there is no frozen gold set to judge on")
    path = project.root / run.path / f"{gold_id}.json"
    if not path.exists():
        return JudgedRun(run, None, False, "not judged on this gold set yet")
    try:
        result = EvalResult.from_dict(read_json(path))
    except DataError as error:
        return JudgedRun(run, None, False, f"its result cannot be read: {error.message}")
    if result.classes != tuple(project.config.classes):
        return JudgedRun(run, result, False, "judged on other classes")
    if result.settings != settings_from_site(project.config):
        return JudgedRun(run, result, False, "judged under another labelling policy or operating point")
    return JudgedRun(run, result, True, "")


def place_results(project: Project, run: RunRecord) -> dict[str, SubsetResult]:
    """A run's figures on gold by place of the picture (see `places_of_objects`), from its stored detections.

    Raises:
        NotFoundError: There is no frozen gold set, or the run was not judged on it.
        DataError: The stored detections are broken.
    """
    gold = frozen_gold(project)
    if gold is None:
        raise NotFoundError("there is no frozen gold set to judge on", hint="`curate gold freeze`")
    path = project.root / run.path / f"{gold.gold.id}.parquet"
    if not path.exists():
        raise NotFoundError(
            "the run was not judged on this gold set", item=f"run {run.id}", hint="judge it on the Runs page"
        )
    annotations = apply_policy(gold.annotations, project.config)
    found = read_detections(path, [frame.id for frame in gold.frames])
    moving = moving_objects(gold.frames, annotations)
    result = evaluate(
        gold.frames,
        annotations,
        found,
        project.config.classes,
        settings_from_site(project.config),
        slices=places_of_objects(gold.frames, annotations),
        moving=moving,
        gold_id=gold.gold.id,
    )
    return dict(result.slices)


def version_quality(
    project: Project, judged: Sequence[JudgedRun], *, reporter: Reporter | None = None
) -> list[VersionQuality]:
    """The dataset versions that were trained on, oldest first, with what changed in each against its parent.

    Args:
        project: The project.
        judged: From `judged_runs`.
        reporter: Told how far it is.
    """
    report = reporter or Quiet()
    by_version: dict[str, list[JudgedRun]] = {}
    for entry in judged:
        if entry.run.version_id is not None and entry.result is not None:
            by_version.setdefault(entry.run.version_id, []).append(entry)
    store = project.store
    result = []
    records = store.versions()
    for number, record in enumerate(records):
        report.update(number / len(records), f"version {number + 1} of {len(records)}")
        runs = by_version.get(record.id)
        if not runs:
            continue
        diff = None
        if record.parent is not None:
            diff = diff_versions(store, get_version(store, record.parent), get_version(store, record.id))
        result.append(VersionQuality(record, tuple(runs), diff))
    return result
