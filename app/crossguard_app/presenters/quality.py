"""Quality over dataset versions, with what changed in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd

from curate.evaluation import EvalResult
from curate.versions import VersionDiff
from curate.workflows.run_history import VersionQuality

__all__ = ["FIGURES", "VersionStep", "changed_words", "quality_rows", "version_steps"]

FIGURES = {
    "box_ap50": "Box AP50",
    "box_ap": "Box AP",
    "mask_ap": "Mask AP",
    "precision": "Precision",
    "recall": "Recall",
    "alarms": "False alarms a frame at the highest recall",
}


@dataclass(frozen=True)
class VersionStep:
    """One version of the line: its place, what changed in words, and its figure over the seeds."""

    number: int
    version: str
    title: str
    changed: str
    mean: float | None
    low: float | None
    high: float | None
    seeds: int


def _figure(result: EvalResult, name: str) -> float | None:
    last = result.fppi[-1] if result.fppi else None
    return {
        "box_ap50": result.box.ap50,
        "box_ap": result.box.ap,
        "mask_ap": result.mask.ap,
        "precision": result.at_score.precision,
        "recall": result.at_score.recall,
        "alarms": None if last is None else last.per_frame,
    }[name]


def version_steps(versions: Sequence[VersionQuality], figure: str) -> list[VersionStep]:
    """Each version with the mean, lowest and highest figure of its seeds; shares in per cent."""
    factor = 1.0 if figure == "alarms" else 100.0
    steps = []
    for number, entry in enumerate(versions, start=1):
        values = [
            factor * value
            for run in entry.runs
            if run.result is not None and (value := _figure(run.result, figure)) is not None
        ]
        when = datetime.fromtimestamp(entry.version.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        note = f"{entry.version.note} · " if entry.version.note else ""
        steps.append(
            VersionStep(
                number,
                entry.version.id[:8],
                f"{note}{entry.version.labels:,} labels on {entry.version.frames:,} frames · {when}",
                changed_words(entry.diff),
                sum(values) / len(values) if values else None,
                min(values, default=None),
                max(values, default=None),
                len(values),
            )
        )
    return steps


def changed_words(diff: VersionDiff | None) -> str:
    """What changed against the parent, in one line."""
    if diff is None:
        return "the first version"
    if diff.is_empty:
        return "nothing changed"
    parts = []
    for label, counts in diff.labels_by_class().items():
        told = [f"{count:,} {what}" for what, count in counts.items() if count]
        if told:
            parts.append(f"{label}: {', '.join(told)}")
    for count, what in ((len(diff.frames_added), "added"), (len(diff.frames_removed), "taken out")):
        if count:
            parts.append(f"{count:,} frame{'' if count == 1 else 's'} {what}")
    if diff.policy_changed:
        parts.append("the labelling policy changed")
    if diff.classes_changed:
        parts.append("the class list changed")
    return "; ".join(parts) or "only the split changed"


def quality_rows(steps: Sequence[VersionStep]) -> pd.DataFrame:
    """The steps that have a figure, as a table to draw."""
    return pd.DataFrame(
        [
            {
                "number": step.number,
                "name": f"{step.number}. {step.version}",
                "mean": step.mean,
                "low": step.low,
                "high": step.high,
                "changed": step.changed,
                "title": step.title,
                "seeds": step.seeds,
            }
            for step in steps
            if step.mean is not None
        ],
        columns=["number", "name", "mean", "low", "high", "changed", "title", "seeds"],
    )
