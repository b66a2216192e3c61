"""Runs on gold as values: figures side by side, curves, confusion, error kinds, slices and places, frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from crossguard_app.components.gallery import Card, Picture, Shape
from crossguard_app.presenters.comparison import ERROR_WORDS, GOLD_COLOR, found_shapes
from crossguard_app.presenters.shapes import class_colors
from crossguard_app.resources import image_url
from curate.annotations import Annotation, Frame
from curate.evaluation import EvalResult, SubsetResult
from curate.store import RunRecord, VersionRecord
from curate.tables import Detections
from curate.workflows.project import Project
from curate.workflows.run_history import JudgedRun

__all__ = [
    "ERROR_WORDS",
    "FrameErrors",
    "confusion_table",
    "curve_rows",
    "error_rows",
    "figure_rows",
    "frame_errors",
    "run_cards",
    "run_title",
    "subset_rows",
]

TIDE = {
    "missed": "Miss",
    "background": "Bkg",
    "localisation": "Loc",
    "classification": "Cls",
    "duplicate": "Dupe",
    "both": "Both",
}
_NOTHING = "nothing"
_NONE = "–"


@dataclass(frozen=True)
class FrameErrors:
    """Errors (false plus missed) on one frame, one number per run in the order asked for."""

    frame_id: str
    errors: tuple[int, ...]

    @property
    def change(self) -> int:
        """Last run minus first."""
        return self.errors[-1] - self.errors[0]


def run_title(run: RunRecord, versions: Mapping[str, VersionRecord]) -> str:
    """One line for a choice: what it was trained on, and its seed."""
    if run.kind != "train":
        return f"{run.id} (as it comes, not trained here)"
    record = versions.get(run.version_id or "")
    note = f" · {record.note}" if record is not None and record.note else ""
    return f"{run.id}{note} · seed {run.seed}"


def figure_rows(judged: Sequence[JudgedRun]) -> pd.DataFrame:
    """One row per figure, one column per run; "–" where there is none."""
    figures = [{} if entry.result is None else _figures(entry.result) for entry in judged]
    names = list(dict.fromkeys(name for known in figures for name in known))
    columns = {
        entry.run.id: [known.get(name, _NONE) for name in names]
        for entry, known in zip(judged, figures, strict=True)
    }
    return pd.DataFrame({"Figure": names, **columns})


def _figures(result: EvalResult) -> dict[str, str]:
    def share(value: float | None) -> str:
        return _NONE if value is None else f"{100 * value:.1f}"

    point = result.at_score
    figures = {
        "Box AP": share(result.box.ap),
        "Box AP50": share(result.box.ap50),
        "Box AP75": share(result.box.ap75),
        "Mask AP": share(result.mask.ap),
        f"Precision at score {point.score:g}": share(point.precision),
        f"Recall at score {point.score:g}": share(point.recall),
    }
    for entry in result.fppi:
        text = "not reached" if entry.per_frame is None else f"{entry.per_frame:.2f}"
        figures[f"False alarms a frame at {entry.recall:.0%} recall"] = text
    figures["Milliseconds a frame"] = _NONE if result.ms_per_frame is None else f"{result.ms_per_frame:.0f}"
    return figures


def curve_rows(judged: Sequence[JudgedRun], label: str) -> pd.DataFrame:
    """Precision-recall curves of one class: run, recall, precision, score, alarms (a frame)."""
    parts = []
    for entry in judged:
        found = None if entry.result is None else entry.result.per_class.get(label)
        if found is None or not found.curve.recall:
            continue
        curve = found.curve
        parts.append(
            pd.DataFrame(
                {
                    "run": entry.run.id,
                    "recall": curve.recall,
                    "precision": curve.precision,
                    "score": curve.score,
                    "alarms": curve.false_per_frame,
                }
            )
        )
    if not parts:
        return pd.DataFrame({name: [] for name in ("run", "recall", "precision", "score", "alarms")})
    return pd.concat(parts, ignore_index=True)


def confusion_table(result: EvalResult) -> pd.DataFrame:
    """One row per pair: gold class, detected class ("nothing" on either side), count, share of the gold class.

    Detections on nothing have no gold class: their share is of all gold objects, at most 1.
    """
    names = [*result.classes, _NOTHING]
    rows = []
    for gold, counts in zip(names, result.confusion, strict=True):
        total = max(sum(counts), result.objects if gold == _NOTHING else 0)
        for detected, count in zip(names, counts, strict=True):
            if gold == detected == _NOTHING:
                continue
            rows.append(
                {"gold": gold, "detected": detected, "count": count, "share": count / total if total else 0.0}
            )
    return pd.DataFrame(rows)


def error_rows(judged: Sequence[JudgedRun], label: str | None = None) -> pd.DataFrame:
    """Error kinds per run: run, kind (in words), tide (its short name), count at the operating point, gain in AP50.

    The gain is that of repairing the kind (`ErrorGains`), NaN where it is unknown.
    """
    rows = []
    for entry in judged:
        if entry.result is None:
            continue
        part = entry.result if label is None else entry.result.per_class[label]
        rows += [
            {
                "run": entry.run.id,
                "kind": words,
                "tide": TIDE[name],
                "count": getattr(part.errors, name),
                "gain": getattr(part.gains, name, None),
            }
            for name, words in ERROR_WORDS.items()
        ]
    return pd.DataFrame(rows, columns=["run", "kind", "tide", "count", "gain"]).astype({"gain": float})


def subset_rows(named: Mapping[str, Mapping[str, SubsetResult]]) -> pd.DataFrame:
    """Subsets (slices, moving and parked, places) of several runs: run, subset, objects, ap50, recall; NaN for none.

    Args:
        named: Run id -> subset -> figures.
    """
    rows = [
        {
            "run": run_id,
            "subset": name,
            "objects": entry.objects,
            "ap50": entry.box.ap50,
            "recall": entry.at_score.recall,
            "missed": entry.at_score.missed,
        }
        for run_id, subsets in named.items()
        for name, entry in subsets.items()
    ]
    table = pd.DataFrame(rows, columns=["run", "subset", "objects", "ap50", "recall", "missed"])
    return table.astype({"ap50": float, "recall": float})


def frame_errors(judged: Sequence[JudgedRun], order: str) -> list[FrameErrors]:
    """Frames that all runs were judged on.

    Args:
        judged: At least one, with results.
        order: "wins" (fewer errors in the last run than in the first come first), "losses" (more come first) or
            "errors" (most errors in the last run come first).
    """
    tables = [
        {entry.frame_id: entry.false + entry.missed for entry in run.result.per_frame}
        for run in judged
        if run.result is not None
    ]
    if not tables:
        return []
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    frames = [FrameErrors(key, tuple(table[key] for table in tables)) for key in shared]
    keys = {
        "wins": lambda entry: entry.change,
        "losses": lambda entry: -entry.change,
        "errors": lambda entry: -entry.errors[-1],
    }
    return sorted(frames, key=keys[order])


def run_cards(
    project: Project,
    errors: Sequence[FrameErrors],
    gold: Sequence[Annotation],
    detections: Sequence[tuple[str, Mapping[str, Detections]]],
    frames: Mapping[str, Frame],
    score: float,
) -> list[Card]:
    """Each frame once per run, side by side: gold dashed in white, detections in the colours of the classes.

    Args:
        project: The project.
        errors: Frames in the order to be shown.
        gold: Labels on them.
        detections: Run id, and frame id -> what it detects, in the order of `FrameErrors.errors`.
        frames: Frame id -> frame.
        score: Detections below it are not drawn.
    """
    classes, colors = project.config.classes, class_colors(project.config.classes)
    truth: dict[str, list[Shape]] = {}
    for label in gold:
        shape = Shape(label.bbox_xyxy, GOLD_COLOR, dashed=True, text=f"gold: {label.label}")
        truth.setdefault(label.frame_id, []).append(shape)
    cards = []
    for entry in errors:
        frame = frames.get(entry.frame_id)
        if frame is None:
            continue
        url = image_url(project, frame, width=640)
        pictures = tuple(
            Picture(
                url,
                frame.width,
                frame.height,
                (*truth.get(frame.id, ()), *found_shapes(found.get(frame.id), classes, colors, score)),
                f"{run_id}: {count} error{'' if count == 1 else 's'}",
            )
            for (run_id, found), count in zip(detections, entry.errors, strict=True)
        )
        several = len(entry.errors) > 1
        tone = "" if not several or not entry.change else "good" if entry.change < 0 else "bad"
        badge = f"{entry.change:+d} errors" if several and entry.change else ""
        cards.append(Card(frame.id, frame.name, pictures, badge=badge, tone=tone))
    return cards
