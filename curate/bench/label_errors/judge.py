"""Rows of the table: one tool on one case."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from curate.annotations import IssueType
from curate.bench.label_errors.case import LABEL_TYPES, Case
from curate.bench.label_errors.metrics import auroc, average_precision, found_share, precision_at
from curate.bench.label_errors.tools import ToolScores
from curate.types import BoolArray, FloatArray

__all__ = ["PooledRow", "TypeRow", "judge_tool", "queue_of"]

TYPES = (IssueType.MISSING, *LABEL_TYPES)


@dataclass(frozen=True)
class TypeRow:
    """How well one tool finds errors of one type."""

    type: str
    tool: str
    seed: int
    ap: float
    auroc: float
    p50: float
    p100: float
    errors: int
    unreachable: int
    items: int
    general: bool


@dataclass(frozen=True)
class PooledRow:
    """How well one tool's queue over all types finds errors.

    Attributes:
        found10: Share of all errors found after items equal to 10 % of the number of labels.
        found20: The same at 20 %.
        looks10: The same where one look settles a group.
        looks20: The same at 20 %.
    """

    type: str
    tool: str
    seed: int
    found10: float
    found20: float
    looks10: float
    looks20: float
    errors: int
    items: int
    seconds: float
    peak_mb: float


def judge_tool(case: Case, scores: ToolScores, seed: int) -> list[dict[str, Any]]:
    """One row per type that was injected and that the tool scores, and one for the whole queue."""
    rows: list[dict[str, Any]] = []
    for kind in TYPES:
        if kind not in scores.types or not case.count(kind):
            continue
        values, truth = case.ranked(kind, scores.types[kind])
        row = TypeRow(
            kind.value, scores.tool, seed,
            average_precision(values, truth, unreachable=case.unreachable(kind)),
            auroc(values, truth), precision_at(values, truth, 50), precision_at(values, truth, 100),
            case.count(kind), case.unreachable(kind), len(values), kind in scores.general,
        )  # fmt: skip
        rows.append(asdict(row))
    values, truth = queue_of(case, scores)
    ten, twenty = (round(share * len(case.inputs.labels)) for share in (0.1, 0.2))
    errors = len(case.errors)
    rows.append(
        asdict(
            PooledRow(
                "all", scores.tool, seed,
                found_share(values, truth, ten, errors), found_share(values, truth, twenty, errors),
                _found_by_looks(case, scores, ten), _found_by_looks(case, scores, twenty),
                errors, len(values), scores.seconds, scores.peak_mb,
            )
        )
    )  # fmt: skip
    return rows


def queue_of(case: Case, scores: ToolScores) -> tuple[FloatArray, BoolArray]:
    """The tool's one queue over labels, candidates and whatever else it lists: scores and truth."""
    other = np.asarray(scores.other_queue, float)
    values = np.concatenate([scores.label_queue[case.judged], scores.pool_queue, other])
    truth = np.concatenate(
        [case.label_errors[case.judged] >= 0, case.pool.errors >= 0, np.zeros(len(other), bool)]
    )
    return values, truth


def _found_by_looks(case: Case, scores: ToolScores, looks: int) -> float:
    """Share of the errors found when one look settles all items of a group."""
    values, truth = queue_of(case, scores)
    if scores.looks is None:
        return found_share(values, truth, looks, len(case.errors))
    labels = len(case.inputs.labels)
    groups = np.concatenate(
        [scores.looks[:labels][case.judged], scores.looks[labels:], np.full(len(scores.other_queue), -1.0)]
    )
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    seen: set[float] = set()
    spent, found = 0, 0
    for item in order.tolist():
        group = float(groups[item])
        if group < 0 or group not in seen:
            if spent >= looks:
                continue
            spent += 1
            seen.add(group)
        found += bool(truth[item])
    return found / len(case.errors) if case.errors else float("nan")
