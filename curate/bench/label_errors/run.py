"""The benchmark from data to table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from curate.bench.label_errors.case import make_case
from curate.bench.label_errors.corrupt import corrupt, reviewed_frames
from curate.bench.label_errors.data import Base, prepare_data
from curate.bench.label_errors.extras import FAMILIES, proposal_rows, reliability_rows, without
from curate.bench.label_errors.gathering import gather_case
from curate.bench.label_errors.judge import judge_tool
from curate.bench.label_errors.natural import natural_rows
from curate.bench.label_errors.peers import peer_reason, peer_scores, run_peer
from curate.bench.label_errors.recover import recover
from curate.bench.label_errors.report import label_errors_markdown, recovered_by_order
from curate.bench.label_errors.settings import LabelErrorsSettings
from curate.bench.label_errors.tools import ToolScores, score_ours
from curate.workflows.progress import Reporter, SubReporter
from curate.workflows.scan_gather import scan_calibrators, scan_settings

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
    peers = _usable(settings, say)
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    for number, seed in enumerate(settings.seeds):
        share = 1 / len(settings.seeds)
        part = SubReporter(reporter, number * share, (number + 1) * share, f"seed {seed}: ")
        base = prepare_data(settings, seed, SubReporter(part, 0.0, 0.03))
        for note in base.notes:
            if note not in notes:
                notes.append(note)
                say(note)
        rows += _one_seed(settings, base, seed, peers, part)
    if settings.natural:
        rows += natural_rows(settings, base, SubReporter(reporter, 0.98, 1.0, "natural errors: "))
    figures: dict[str, Any] = {
        "data": settings.data,
        "seeds": list(settings.seeds),
        "rates": settings.rates or "default",
        "steps": settings.steps,
        "notes": notes,
        "rows": rows,
        "recovered": recovered_by_order(rows),
    }
    reporter.update(1.0, "done")
    return LabelErrorsBench(label_errors_markdown(figures), figures)


def _one_seed(
    settings: LabelErrorsSettings, base: Base, seed: int, peers: Sequence[str], reporter: SubReporter
) -> list[dict[str, Any]]:
    corrupted = corrupt(
        base,
        reviewed_frames(base),
        seed=seed,
        rates=settings.rates,
        steps=settings.steps,
        cache=settings.cache,
    )
    project = corrupted.project
    until = 0.4 if settings.recover else 0.9
    gathered = gather_case(project, SubReporter(reporter, 0.03, until))
    case = make_case(gathered.inputs, project, corrupted.errors)
    finders = scan_settings(project)
    ours, scored = score_ours(case, finders, scan_calibrators(project, gathered))
    scores = [ours] if "ours" in settings.tools else []
    for tool in peers:
        reporter.update(until, f"scoring with {tool}")
        scores += peer_scores(case, tool, run_peer(case, tool, settings.peers, settings.cache))
    rows = [row for entry in scores for row in judge_tool(case, entry, seed)]
    if "ours" in settings.tools:
        rows += proposal_rows(case, scored, seed) + reliability_rows(case, scored, seed)
    if settings.ablate:
        for family in FAMILIES:
            less = replace(gathered, inputs=without(gathered.inputs, family))
            # Learned without it too: what is asked is what the others can do alone.
            calibrators = scan_calibrators(project, less, less=partial(without, family=family))
            entry, _ = score_ours(case, finders, calibrators, inputs=less.inputs, memory=False)
            rows += judge_tool(case, replace(entry, tool=f"without {family}"), seed)
    if settings.recover:
        # A tool's best setting stands for it; one training more for every setting would be too dear.
        reviewers = [
            replace(entry, tool=entry.tool.removesuffix("-best")) for entry in scores if _reviews(entry)
        ]
        part = SubReporter(reporter, until + 0.02, 1.0, "recovered on gold, ")
        rows += recover(corrupted, case, reviewers, seed=seed, cache=settings.cache, reporter=part)
    project.store.close()
    return rows


def _reviews(scores: ToolScores) -> bool:
    return scores.tool in ("ours", "cleanlab-best")


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
