"""Evaluations and comparisons as Markdown, and as the few numbers that a summary file holds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from curate.errors import DataError
from curate.evaluation.comparison import Comparison, Difference
from curate.evaluation.results import Ap, ClassResult, EvalResult, FalseAtRecall, OperatingPoint, SubsetResult

__all__ = [
    "comparison_markdown",
    "delta",
    "escape_markdown",
    "evaluation_markdown",
    "headline",
    "verdict_sentence",
]

_METRICS = {
    "box_ap": "box AP",
    "box_ap50": "box AP50",
    "box_ap75": "box AP75",
    "mask_ap": "mask AP",
    "mask_ap50": "mask AP50",
    "mask_ap75": "mask AP75",
    "precision": "precision at score {score:g}",
    "recall": "recall at score {score:g}",
    "count_error": "count error a frame",
    "calibration_error": "calibration error of the scores",
}
_P_NOTE = (
    "The interval holds for other footage and other training seeds; p (sign flips over time blocks) only asks "
    "whether these very runs differ, and is small even between two seeds of one recipe. "
    "Verdicts follow the interval."
)
_KINDS = {
    "classification": "wrong class",
    "localisation": "wrong place",
    "both": "both",
    "duplicate": "duplicate",
    "background": "background",
    "missed": "missed",
}
_ALL_OF_A_SIDE = {"false_positive": "all false positives", "false_negative": "all not found"}
_WORDS = {
    "better": "better",
    "worse": "worse",
    "no clear difference": "not clearly different",
    "unknown": "not comparable",
}


def headline(result: EvalResult, label: str) -> dict[str, Any]:
    """The numbers of one class that a summary shows.

    Args:
        result: An evaluation.
        label: Class name.

    Returns:
        box_ap, box_ap50, box_ap75, mask_ap, precision_at_30 (precision at the result's operating score,
        which has to be .3), fppi {"0.85": ...} (false positives per frame at a recall) and ms_per_frame;
        None where a figure cannot be had.

    Raises:
        DataError: The class is not there, or the operating score is not .3.
    """
    if label not in result.per_class:
        raise DataError(f"the class {label!r} is not among {list(result.classes)}")
    if abs(result.settings.score - 0.3) > 1e-9:
        raise DataError(
            f"precision_at_30 needs the operating score 0.3, got {result.settings.score}",
            hint="set evaluation.score to 0.3",
        )
    entry = result.per_class[label]
    return {
        "box_ap": entry.box.ap,
        "box_ap50": entry.box.ap50,
        "box_ap75": entry.box.ap75,
        "precision_at_30": entry.at_score.precision,
        "fppi": {f"{row.recall:.2f}": row.per_frame for row in entry.fppi},
        "mask_ap": entry.mask.ap,
        "ms_per_frame": result.ms_per_frame,
    }


def delta(comparison: Comparison, metric: str = "box_ap50", label: str | None = None) -> dict[str, Any]:
    """One difference for a summary: value, low, high, p_value, verdict, and what stands behind it.

    Args:
        comparison: A comparison.
        metric: Name of the figure, as in `Difference.metric`.
        label: Class; None for all classes together.

    Raises:
        DataError: There is no such figure.
    """
    entry = comparison.find(metric, "all" if label is None else "class", label or "")
    return {
        "value": entry.value,
        "low": entry.low,
        "high": entry.high,
        "p_value": entry.p_value,
        "verdict": entry.verdict,
        "direction": entry.direction,
        "blocks": entry.blocks,
        "tracks": entry.tracks,
        "frames": entry.frames,
        "objects": entry.objects,
        "seeds": min(comparison.before.seeds, comparison.after.seeds),
        "reason": entry.reason,
    }


def escape_markdown(text: str) -> str:
    """A name as one harmless Markdown table cell: no new cell, line, tag, link or emphasis."""
    flat = re.sub(r"\s+", " ", text).strip()
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\|`*_\[\]!#~])", r"\\\1", flat)


def _number(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _p(value: float | None) -> str:
    return "< 0.001" if value is not None and value < 0.001 else _number(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]


def _figures(box: Ap, mask: Ap, point: OperatingPoint) -> list[str]:
    values = [box.ap, box.ap50, box.ap75, mask.ap, mask.ap50, point.precision, point.recall]
    return [_number(value) for value in values]


def _alarms(rows: Sequence[FalseAtRecall]) -> str:
    return " / ".join(_number(row.per_frame, 2) for row in rows)


def evaluation_markdown(result: EvalResult, title: str = "Evaluation") -> str:
    """An evaluation as Markdown: all classes, each class, sizes, slices, error kinds, confusion, notes."""
    score, recalls = result.settings.score, " / ".join(f"{recall:g}" for recall in result.settings.recalls)
    time = "" if result.ms_per_frame is None else f", {result.ms_per_frame:.1f} ms a frame"
    time += "" if result.memory_mb is None else f", {result.memory_mb:.0f} MB for one"
    lines = [
        f"## {escape_markdown(title)}",
        "",
        f"{result.objects} objects ({result.tracks} tracks) on {result.frames} frames, "
        f"{result.ignored} ignored; {result.detections} detections{time}.",
        "",
    ]
    head = ["", "objects", "AP", "AP50", "AP75", "mask AP", "mask AP50"]
    head += [
        f"precision at {score:g}",
        f"recall at {score:g}",
        f"false positives a frame at recall {recalls}",
    ]
    figures = _figures(result.box, result.mask, result.at_score)
    rows = [["all classes", str(result.objects), *figures, _alarms(result.fppi)]]
    for name, entry in result.per_class.items():
        figures = _figures(entry.box, entry.mask, entry.at_score)
        rows.append([escape_markdown(name), str(entry.objects), *figures, _alarms(entry.fppi)])
    lines += _table(head, rows)
    parts = [*(result.motion.values()), *result.slices.values()]
    lines += ["", "By size and subset (an unmatched detection counts against each of them):", ""]
    lines += _table(
        ["", "objects", "tracks", "AP", "AP50", "AP75", "mask AP", "recall"], _parts(result, parts)
    )
    lines += _error_tables(result)
    lines += _traffic(result)
    names = [escape_markdown(name) for name in result.classes]
    lines += ["", "Gold class (rows) against detected class (columns):", ""]
    lines += _table(
        ["", *names, "missed"],
        [
            [name, *(str(value) for value in row)]
            for name, row in zip([*names, "nothing there"], result.confusion, strict=True)
        ],
    )
    return "\n".join([*lines, *_notes(result.notes)]) + "\n"


def _traffic(result: EvalResult) -> list[str]:
    """Recall at false alarms an hour, counts, calibration."""
    lines: list[str] = []
    limits = [f"{limit:g}" for limit in result.settings.alarms_per_hour]
    if result.alarms:
        lines += [
            "",
            f"Largest recall with at most {' / '.join(limits)} false alarms an hour of footage:",
            "",
        ]
        rows = [
            [escape_markdown(name), " / ".join(_number(row.recall) for row in entries)]
            for name, entries in result.alarms.items()
        ]
        lines += _table(["", "recall"], rows)
    if result.counts:
        lines += ["", f"Counts a frame at score {result.settings.score:g}:", ""]
        counted = [
            [
                escape_markdown(name),
                *(_number(value, 2) for value in (row.objects, row.detections, row.bias, row.absolute)),
            ]
            for name, row in result.counts.items()
        ]
        lines += _table(["", "objects", "detections", "mean error", "mean absolute error"], counted)
    if result.calibration is not None and result.calibration.error is not None:
        told = _number(result.calibration.error)
        lines += [
            "",
            f"Scores are off by {told} on average (expected calibration error, ten bins from .05 up).",
        ]
    return lines


def _error_tables(result: EvalResult) -> list[str]:
    """Error kinds: how many at the operating point, and what AP50 would gain without them."""
    named: list[tuple[str, EvalResult | ClassResult]] = [("all classes", result), *result.per_class.items()]
    lines = ["", f"Errors at score {result.settings.score:g}:", ""]
    lines += _table(
        ["", *_KINDS.values()],
        [
            [escape_markdown(name), *(str(getattr(row.errors, kind)) for kind in _KINDS)]
            for name, row in named
        ],
    )
    rows = [
        [escape_markdown(name), *(_number(getattr(row.gains, kind)) for kind in (*_KINDS, *_ALL_OF_A_SIDE))]
        for name, row in named
        if row.gains is not None
    ]
    if rows:
        lines += ["", "AP50 that repairing one kind of error alone would gain, at any score (TIDE):", ""]
        lines += _table(["", *_KINDS.values(), *_ALL_OF_A_SIDE.values()], rows)
    return lines


def _parts(result: EvalResult, subsets: Sequence[SubsetResult]) -> list[list[str]]:
    rows = []
    for name, box in result.box_sizes.items():
        values = [box.ap, box.ap50, box.ap75, result.mask_sizes[name].ap]
        rows.append([f"size {name}", str(box.objects), "", *(_number(value) for value in values), ""])
    for entry in subsets:
        values = [entry.box.ap, entry.box.ap50, entry.box.ap75, entry.mask.ap, entry.at_score.recall]
        counts = [escape_markdown(entry.name), str(entry.objects), str(entry.tracks)]
        rows.append([*counts, *(_number(value) for value in values)])
    return rows


def _notes(notes: Sequence[str]) -> list[str]:
    return ["", *(f"* {escape_markdown(note)}" for note in notes)] if notes else []


def _metric(entry: Difference, score: float) -> str:
    if entry.metric.startswith("fppi@"):
        return f"false positives a frame at recall {entry.metric.removeprefix('fppi@')}"
    if entry.metric.startswith("recall@"):
        return f"recall at {entry.metric.removeprefix('recall@').removesuffix('/h')} false alarms an hour"
    if entry.metric.startswith("errors@"):
        return f"{_KINDS[entry.metric.removeprefix('errors@')]} errors a frame at score {score:g}"
    return _METRICS.get(entry.metric, entry.metric).format(score=score)


def _scope(entry: Difference) -> str:
    name = escape_markdown(entry.name)
    return {"all": "all classes", "class": name, "motion": name}.get(entry.kind, f"{entry.kind} {name}")


def _behind(entry: Difference) -> str:
    return f"{entry.objects} / {entry.tracks} / {entry.frames} / {entry.blocks}"


def verdict_sentence(comparison: Comparison) -> str:
    """The verdict in one sentence with its numbers, as Markdown."""
    entry = comparison.headline
    what = f"{_metric(entry, comparison.settings.score)} of {_scope(entry)}"
    if entry.value is None:
        return f"No verdict: {what} cannot be compared ({escape_markdown(entry.reason)})."
    behind = f"{entry.blocks} time blocks, {entry.tracks} tracks and {entry.frames} frames"
    seeds = f"{comparison.before.seeds} and {comparison.after.seeds} training seeds"
    values = f"{_number(entry.before)} before, {_number(entry.after)} after"
    if entry.low is None or entry.high is None:
        return f"No verdict: {what} is {values}, without an interval ({escape_markdown(entry.reason)})."
    interval = f"difference {entry.value:+.3f}, 95 % interval {entry.low:+.3f} to {entry.high:+.3f}"
    word = _WORDS[entry.direction]
    lead = f"Indicative only: after is {word}" if entry.verdict == "indicative" else f"After is {word}"
    return f"{lead} in {what}: {values}; {interval}; from {behind}, {seeds}.{_needed(entry)}"


def _needed(entry: Difference) -> str:
    frames = entry.frames_to_decide
    if frames is None:
        return ""
    return (
        f" About {_round(frames)} gold frames like these would be needed to tell a difference of this size."
    )


def _round(frames: int) -> int:
    """Two digits are all that such an estimate bears."""
    unit = int(10 ** max(0, len(str(frames)) - 2))
    return -(-frames // unit) * unit


def comparison_markdown(comparison: Comparison, title: str = "Comparison", frames: int = 10) -> str:
    """A comparison as Markdown: the verdict in words, all differences with intervals, frames that changed.

    Args:
        comparison: A comparison.
        title: Heading.
        frames: Most frames listed as won and as lost.
    """
    before, after = comparison.before, comparison.after
    names = [escape_markdown(side.label) or word for side, word in ((before, "before"), (after, "after"))]
    lines = [f"## {escape_markdown(title)}", "", verdict_sentence(comparison), ""]
    times = [_number(side.ms_per_frame, 1) for side in (before, after)]
    if comparison.before.ms_per_frame is not None or comparison.after.ms_per_frame is not None:
        lines += [f"Milliseconds a frame: {times[0]} before, {times[1]} after.", ""]
    memory = [_number(side.memory_mb, 0) for side in (before, after)]
    if memory != ["-", "-"]:
        lines += [f"MB of memory for a frame, weights included: {memory[0]} before, {memory[1]} after.", ""]
    head = ["scope", "figure", *names, "difference", "95 % interval", "p (blocks alone)", "verdict"]
    rows = [_row(entry, comparison.settings.score) for entry in comparison.differences if entry.objects]
    lines += _table([*head, "objects / tracks / frames / blocks"], rows)
    lines += ["", _P_NOTE]
    for word, changes in (("fewer", comparison.wins), ("more", comparison.losses)):
        lines += ["", f"{len(changes)} of {comparison.frames} frames have {word} errors after."]
        if changes and frames > 0:
            shown = [
                [escape_markdown(entry.name), f"{entry.before:g}", f"{entry.after:g}"]
                for entry in changes[:frames]
            ]
            lines += ["", *_table(["frame", "errors before", "errors after"], shown)]
    return "\n".join([*lines, *_notes(comparison.notes)]) + "\n"


def _row(entry: Difference, score: float) -> list[str]:
    value = "-" if entry.value is None else f"{entry.value:+.3f}"
    interval = escape_markdown(entry.reason) or "-"
    if entry.low is not None and entry.high is not None:
        interval = f"{entry.low:+.3f} to {entry.high:+.3f}"
    verdict = entry.verdict
    if verdict == "indicative":
        verdict = f"indicative: {_WORDS[entry.direction]}"
    values = [_number(entry.before), _number(entry.after), value, interval, _p(entry.p_value)]
    return [_scope(entry), _metric(entry, score), *values, verdict, _behind(entry)]
