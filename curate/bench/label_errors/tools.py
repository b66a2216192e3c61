"""What a tool says about a case, and ours."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from curate.annotations import IssueType
from curate.bench.label_errors.case import LABEL_TYPES, Case
from curate.issues import Calibrators, FinderInputs, FinderSettings, Scored, score
from curate.issues.ranking import KINDS, Ranking, rank
from curate.types import FloatArray

__all__ = ["ToolScores", "measured", "score_ours"]

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ToolScores:
    """Scores of one tool; high = look first, NaN = it says nothing.

    Attributes:
        tool: Name.
        types: Score of each label, or candidate for `missing`, per type that the tool has a score for.
        label_queue: (L,) place of each label in the tool's one queue over everything.
        pool_queue: (N,) place of each candidate in it.
        other_queue: Places of further items (whole frames), which cost a look each.
        seconds: Wall time of scoring, without loading anything.
        peak_mb: Most memory that scoring allocated, in 2^20 bytes (measured by tracemalloc).
        looks: Group of each label and candidate that one look settles, (L + N,), -1 alone; None = no groups.
        general: Types for which the tool has no score of its own and its overall score of the label stands.
    """

    tool: str
    types: Mapping[IssueType, FloatArray]
    label_queue: FloatArray
    pool_queue: FloatArray
    other_queue: FloatArray
    seconds: float
    peak_mb: float
    looks: FloatArray | None = None
    general: tuple[IssueType, ...] = ()


def measured(work: Callable[[], _Result]) -> tuple[_Result, float, float]:
    """Result, seconds of a first run, and peak allocation in MB of a second one (tracing slows things down)."""
    started = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    tracemalloc.start()
    try:
        work()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return result, seconds, peak / 2**20


def score_ours(
    case: Case,
    settings: FinderSettings,
    calibrators: Calibrators,
    *,
    inputs: FinderInputs | None = None,
    memory: bool = True,
) -> tuple[ToolScores, Scored]:
    """Our finders' scores.

    Args:
        case: What is judged.
        settings: Of the scan.
        calibrators: What the scan learned.
        inputs: Other evidence about the same labels (an ablation); None = the case's.
        memory: Whether memory is measured, which takes a second run.
    """

    def work() -> tuple[Scored, Ranking]:
        scored = score(inputs or case.inputs, case.classes, settings, calibrators)
        return scored, rank(scored)

    if memory:
        (scored, ranking), seconds, peak = measured(work)
    else:
        started = time.perf_counter()
        scored, ranking = work()
        seconds, peak = time.perf_counter() - started, float("nan")
    at = _candidate_of(case, scored)
    known = at >= 0

    def of_pool(values: FloatArray) -> FloatArray:
        result = np.full(len(case.pool), np.nan)
        result[known] = np.asarray(values, float)[at[known]]
        return result

    types: dict[IssueType, FloatArray] = {kind: scored.probabilities[kind] for kind in LABEL_TYPES}
    types[IssueType.MISSING] = of_pool(scored.probabilities[IssueType.MISSING])
    place = -np.arange(len(ranking), dtype=float)
    missing = ranking.kinds == KINDS.index(IssueType.MISSING)
    frames = ranking.kinds == KINDS.index(IssueType.BAD_FRAME)
    labels = ~missing & ~frames
    label_queue = np.full(len(case.inputs.labels), np.nan)
    label_queue[ranking.rows[labels]] = place[labels]
    candidate_queue = np.full(len(scored.evidence.candidates), np.nan)
    candidate_queue[ranking.rows[missing]] = place[missing]
    looks = np.full(len(label_queue) + len(case.pool), -1.0)
    groups = np.where(ranking.groups >= 0, ranking.groups * len(KINDS) + ranking.kinds, -1)
    looks[: len(label_queue)][ranking.rows[labels]] = groups[labels]
    of_candidates = np.full(len(candidate_queue), -1.0)
    of_candidates[ranking.rows[missing]] = groups[missing]
    looks[len(label_queue) :] = np.nan_to_num(of_pool(of_candidates), nan=-1.0)
    tool = ToolScores(
        "ours", types, label_queue, of_pool(candidate_queue), place[frames], seconds, peak, looks
    )
    return tool, scored


def _candidate_of(case: Case, scored: Scored) -> np.ndarray:
    """(N,) our candidate for each item of the pool; found again by frame and box if the evidence is another."""
    candidates = scored.evidence.candidates
    if len(candidates) and np.array_equal(candidates.boxes, case.pool.boxes[case.pool.candidates >= 0]):
        return case.pool.candidates
    rows = {
        (int(frame), *np.round(box, 3).tolist()): row
        for row, (frame, box) in enumerate(zip(candidates.frames, np.asarray(candidates.boxes), strict=True))
    }
    keys = zip(case.pool.frames.tolist(), np.round(case.pool.boxes, 3).tolist(), strict=True)
    return np.array([rows.get((frame, *box), -1) for frame, box in keys], np.int64)
