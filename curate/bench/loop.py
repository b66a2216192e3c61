"""Before against after the demo's review, with several training seeds a side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import DataError
from curate.evaluation import comparison_markdown, delta, headline
from curate.store import RunRecord
from curate.workflows.compare import compare_runs
from curate.workflows.demo import LABEL
from curate.workflows.evaluate import baseline_run, evaluate_run, needed_gold
from curate.workflows.progress import Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.speed import milliseconds_side_by_side
from curate.workflows.train import train_version

__all__ = ["LoopBench", "bench_loop"]

_METRICS = ("box_ap50", "box_ap", "box_ap75", "mask_ap", "precision", "fppi@0.85", "fppi@0.9", "fppi@0.92")


@dataclass(frozen=True)
class LoopBench:
    """The table for docs/benchmarks.md, and the figures behind it."""

    markdown: str
    figures: dict[str, Any]


def bench_loop(folder: Path, *, seeds: int, reporter: Reporter) -> LoopBench:
    """Train both versions of a finished demo with each seed and compare on gold, people only.

    Args:
        folder: Of a demo that has run to its end.
        seeds: Training seeds a side; runs that are there already are used.
        reporter: Told how far it is.

    Raises:
        DataError: It is not a finished demo.
    """
    project = Project.open(folder)
    versions = [run.version_id for run in project.store.runs(kind="train") if run.state == "done"]
    distinct = list(dict.fromkeys(version for version in versions if version is not None))
    if len(distinct) < 2:
        raise DataError("this is not a finished demo", file=folder, hint="run `curate demo` first")
    before_version, after_version = distinct[:2]
    first = project.config.train.seed
    jobs = [(version, first + seed) for version in (before_version, after_version) for seed in range(seeds)]
    runs: list[RunRecord] = []
    for at, (version, seed) in enumerate(jobs):
        part = SubReporter(reporter, 0.9 * at / len(jobs), 0.9 * (at + 1) / len(jobs), f"{version[:8]}: ")
        runs.append(train_version(project, version, seed=seed, reporter=part))
    before, after = runs[:seeds], runs[seeds:]
    title = f"{seeds} seeds a side"
    record = compare_runs(
        project, before, after, title=title, label=LABEL, reporter=SubReporter(reporter, 0.9, 1.0)
    )
    against_generic = compare_runs(
        project, [baseline_run(project)], after, title=f"generic, {title}", label=LABEL
    )
    gold = needed_gold(project)
    all_runs = [baseline_run(project), *before, *after]
    taken = milliseconds_side_by_side(project, all_runs, gold.frames)
    figures: dict[str, Any] = {
        "seeds": seeds,
        "delta": {metric: _delta(record.comparison, metric) for metric in _METRICS},
        "delta_generic": {metric: _delta(against_generic.comparison, metric) for metric in _METRICS},
        "runs": {
            run.id: {
                **headline(evaluate_run(project, run, gold).result, LABEL),
                "ms_per_frame": taken[run.id],
            }
            for run in all_runs
        },
    }
    return LoopBench(comparison_markdown(record.comparison, title), figures)


def _delta(comparison: Any, metric: str) -> dict[str, Any] | None:
    try:
        return delta(comparison, metric, LABEL)
    except DataError:
        return None
