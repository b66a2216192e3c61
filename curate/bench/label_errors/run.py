"""The benchmark from data to table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from curate.bench.label_errors.case import make_case
from curate.bench.label_errors.corrupt import WORKING, Corrupted, corrupt, reviewed_frames
from curate.bench.label_errors.data import prepare_data
from curate.bench.label_errors.judge import judge_tool
from curate.bench.label_errors.peers import peer_reason, peer_scores, run_peer
from curate.bench.label_errors.report import label_errors_markdown
from curate.bench.label_errors.settings import LabelErrorsSettings
from curate.bench.label_errors.tools import score_ours
from curate.workflows.dataset import labelled_frames, working_frames
from curate.workflows.progress import Reporter, SubReporter
from curate.workflows.scan_gather import Gathered, gather_scan, scan_calibrators, scan_settings

__all__ = ["LabelErrorsBench", "bench_label_errors"]


@dataclass(frozen=True)
class LabelErrorsBench:
    """The table for docs/benchmarks.md, and the figures behind it."""

    markdown: str
    figures: dict[str, Any]


def bench_label_errors(
    settings: LabelErrorsSettings, *, reporter: Reporter, say: Callable[[str], None] = lambda text: None
) -> LabelErrorsBench:
    """Inject, train, score, judge.

    Args:
        settings: What to measure.
        reporter: Told how far it is.
        say: Told what a person should know about the data and the tools, once each.

    Raises:
        DataError: The data are not there or too few.
        FormatError: A label file is broken.
        Cancelled: The reporter asked to stop; what was finished is in the cache.
    """
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    peers = _usable(settings, say)
    for number, seed in enumerate(settings.seeds):
        share = 1 / len(settings.seeds)
        part = SubReporter(reporter, number * share, (number + 1) * share, f"seed {seed}: ")
        base = prepare_data(settings, seed, SubReporter(part, 0.0, 0.05))
        for note in base.notes:
            if note not in notes:
                notes.append(note)
                say(note)
        corrupted = corrupt(
            base,
            reviewed_frames(base),
            seed=seed,
            rates=settings.rates,
            steps=settings.steps,
            cache=settings.cache,
        )
        gathered = gather_case(corrupted, SubReporter(part, 0.05, 0.95))
        case = make_case(gathered.inputs, corrupted.project, corrupted.errors)
        calibrators = scan_calibrators(corrupted.project, gathered)
        ours, _ = score_ours(case, scan_settings(corrupted.project), calibrators)
        scores = [ours] if "ours" in settings.tools else []
        for tool in peers:
            part.update(0.96, f"scoring with {tool}")
            scores += peer_scores(case, tool, run_peer(case, tool, settings.peers, settings.cache))
        for entry in scores:
            rows += judge_tool(case, entry, seed)
        corrupted.project.store.close()
    figures = {"data": settings.data, "seeds": list(settings.seeds), "notes": notes, "rows": rows}
    reporter.update(1.0, "done")
    return LabelErrorsBench(label_errors_markdown(figures), figures)


def _usable(settings: LabelErrorsSettings, say: Callable[[str], None]) -> list[str]:
    """The other tools that are here; of the rest it is said why not."""
    usable = []
    for tool in settings.tools:
        reason = None if tool == "ours" else peer_reason(tool, settings.peers)
        if reason:
            say(reason)
        elif tool != "ours":
            usable.append(tool)
    return usable


def gather_case(corrupted: Corrupted, reporter: SubReporter) -> Gathered:
    """What a scan of the corrupted labels gathers; judges, predictions and evidence come from the cache."""
    project = corrupted.project
    frames = working_frames(project, source=WORKING)
    labelled = labelled_frames(project, frames, project.store.annotations(source=WORKING))
    return gather_scan(project, labelled, force=False, reporter=reporter)
