"""A comparison as a table with intervals, a verdict in words, and the frames that show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossguard_app.components.gallery import Card, Picture, Shape
from crossguard_app.presenters.shapes import class_colors
from crossguard_app.resources import image_url
from curate.annotations import Frame
from curate.evaluation import Comparison, Difference, FrameChange
from curate.tables import Detections
from curate.workflows.project import Project

__all__ = [
    "ERROR_WORDS",
    "GOLD_COLOR",
    "MainFigure",
    "MetricRow",
    "change_cards",
    "found_shapes",
    "headline",
    "main_figures",
    "metric_rows",
    "metric_title",
]

_TITLES = {
    "box_ap": "Box AP",
    "box_ap50": "Box AP50",
    "box_ap75": "Box AP75",
    "mask_ap": "Mask AP",
    "mask_ap50": "Mask AP50",
    "mask_ap75": "Mask AP75",
    "precision": "Precision",
    "recall": "Recall",
    "count_error": "Count error per frame",
    "calibration_error": "Calibration error of the scores",
}
ERROR_WORDS = {
    "missed": "Missed",
    "background": "On nothing",
    "localisation": "Box off",
    "classification": "Wrong class",
    "duplicate": "Found twice",
    "both": "Box and class off",
}
"""TIDE's kinds (Miss, Bkg, Loc, Cls, Dupe, Both) in words, the commonest first."""
GOLD_COLOR = "#ffffff"


@dataclass(frozen=True)
class MetricRow:
    """One figure, ready to be shown; numbers as text because per cent and counts stand in one table."""

    scope: str
    figure: str
    before: str
    after: str
    change: str
    interval: str
    verdict: str
    behind: str


def metric_title(metric: str, score: float) -> str:
    """Name of a figure for a person."""
    if metric.startswith("fppi@"):
        return f"False alarms per frame at {float(metric.removeprefix('fppi@')):.0%} recall"
    if metric.startswith("recall@"):
        return f"Recall at {metric.removeprefix('recall@').removesuffix('/h')} false alarms an hour"
    if metric.startswith("errors@"):
        return f"{ERROR_WORDS[metric.removeprefix('errors@')]}: errors per frame"
    if metric in ("precision", "recall"):
        return f"{_TITLES[metric]} at score {score:g}"
    return _TITLES.get(metric, metric)


def metric_rows(comparison: Comparison, kinds: Sequence[str]) -> list[MetricRow]:
    """The differences of some kinds of scope ("all", "class", "size", ...) that have a figure."""
    rows = []
    for entry in comparison.differences:
        if entry.kind not in kinds or (entry.before is None and entry.after is None):
            continue
        counts = entry.metric.startswith(("fppi@", "count_error", "errors@"))
        rows.append(
            MetricRow(
                scope=entry.name or "All classes",
                figure=metric_title(entry.metric, comparison.settings.score),
                before=_number(entry.before, counts),
                after=_number(entry.after, counts),
                change=_signed(entry.value, counts),
                interval=_interval(entry, counts),
                verdict=entry.verdict if entry.value is not None else "not comparable",
                behind=f"{entry.objects} objects, {entry.tracks} tracks, {entry.blocks} blocks"
                + (f"; {entry.reason}" if entry.reason else ""),
            )
        )
    return rows


@dataclass(frozen=True)
class MainFigure:
    """A figure that is shown large, with its change; `believed` says that the interval excludes chance."""

    title: str
    before: str
    after: str
    change: str
    interval: str
    higher_is_better: bool
    believed: bool


def main_figures(comparison: Comparison) -> list[MainFigure]:
    """The four figures that say most, over all classes: AP50, precision, recall, false alarms at the highest recall."""
    alarms = [entry.metric for entry in comparison.differences if entry.metric.startswith("fppi@")]
    wanted = ["box_ap50", "precision", "recall", *sorted(set(alarms), key=lambda name: float(name[5:]))[-1:]]
    known = {entry.metric: entry for entry in comparison.differences if entry.kind == "all"}
    figures = []
    for metric in wanted:
        entry = known.get(metric)
        if entry is None:
            continue
        counts = metric.startswith("fppi@")
        title = f"False alarms at {float(metric[5:]):.0%} recall" if counts else _TITLES[metric]
        figures.append(
            MainFigure(
                title,
                _number(entry.before, counts),
                _number(entry.after, counts),
                _signed(entry.value, counts),
                _interval(entry, counts),
                entry.higher_is_better,
                entry.verdict in ("better", "worse"),
            )
        )
    return figures


def headline(comparison: Comparison) -> str:
    """The verdict as one sentence with its numbers."""
    entry = comparison.headline
    scope = entry.name or "all classes"
    figure = metric_title(entry.metric, comparison.settings.score)
    if entry.value is None:
        return f"{figure} for {scope} cannot be compared: {entry.reason}"
    counts = entry.metric.startswith("fppi@")
    return (
        f"{figure} for {scope}: {_number(entry.before, counts)} before, {_number(entry.after, counts)} after "
        f"({_signed(entry.value, counts)}, 95 % interval {_interval(entry, counts)})"
    )


def _number(value: float | None, counts: bool) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if counts else f"{100 * value:.1f}"


def _signed(value: float | None, counts: bool) -> str:
    if value is None:
        return "–"
    return f"{value:+.2f}" if counts else f"{100 * value:+.1f}"


def _interval(entry: Difference, counts: bool) -> str:
    if entry.low is None or entry.high is None:
        return "–"
    return f"{_signed(entry.low, counts)} to {_signed(entry.high, counts)}"


def change_cards(
    project: Project,
    changes: Sequence[FrameChange],
    frames: dict[str, Frame],
    sides: tuple[dict[str, Detections], dict[str, Detections]],
    score: float,
) -> list[Card]:
    """Frames side by side: gold in white, what each detector says in the colours of the classes.

    Args:
        project: The project.
        changes: Frames with their errors on both sides.
        frames: Frame id -> frame.
        sides: Frame id -> detections, before and after.
        score: Detections below it are not drawn.
    """
    classes = project.config.classes
    colors = class_colors(classes)
    gold: dict[str, list[Shape]] = {}
    for annotation in project.store.annotations(source="gold", frame_ids=[c.frame_id for c in changes]):
        gold.setdefault(annotation.frame_id, []).append(
            Shape(annotation.bbox_xyxy, GOLD_COLOR, dashed=True, text=f"gold: {annotation.label}")
        )
    cards = []
    for change in changes:
        frame = frames.get(change.frame_id)
        if frame is None:
            continue
        url = image_url(project, frame, width=640)
        pictures = tuple(
            Picture(
                url,
                frame.width,
                frame.height,
                (
                    *gold.get(frame.id, ()),
                    *found_shapes(side.get(frame.id), classes, colors, score),
                ),
                f"{name}: {errors:g} errors",
            )
            for name, side, errors in (("Before", sides[0], change.before), ("After", sides[1], change.after))
        )
        better = change.after < change.before
        cards.append(
            Card(
                change.frame_id,
                frame.name,
                pictures,
                badge=f"{change.after - change.before:+g} errors",
                tone="good" if better else "bad",
            )
        )
    return cards


def found_shapes(
    detections: Detections | None, classes: Sequence[str], colors: dict[str, str], score: float
) -> list[Shape]:
    """Detections with at least this score as boxes in the colours of their classes."""
    if detections is None:
        return []
    shapes = []
    for box, value, index in zip(detections.boxes, detections.scores, detections.classes, strict=True):
        if value >= score and int(index) < len(classes):
            name = classes[int(index)]
            x1, y1, x2, y2 = (float(side) for side in box)
            shapes.append(Shape((x1, y1, x2, y2), colors[name], text=f"{name} {value:.2f}"))
    return shapes
