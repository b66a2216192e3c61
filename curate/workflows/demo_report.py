"""The demo's report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["demo_markdown"]

_COLUMNS = (
    ("AP", "box_ap", 3),
    ("AP50", "box_ap50", 3),
    ("AP75", "box_ap75", 3),
    ("mask AP", "mask_ap", 3),
    ("precision at .3", "precision_at_30", 2),
    ("ms a frame", "ms_per_frame", 0),
)
_ROWS = (
    ("generic", "generic COCO detector, as it is"),
    ("before", "trained on the cheap labels"),
    ("after", "trained after the review"),
    ("ceiling", "trained on fully reviewed labels"),
)
BUDGET_SECONDS = 480.0


def demo_markdown(figures: Mapping[str, Any]) -> str:
    """The figures of report.json as a report for people."""
    recalls = list(figures["generic"]["fppi"])
    head = [
        "detector",
        *(name for name, _, _ in _COLUMNS),
        f"false positives a frame at recall {' / '.join(recalls)}",
    ]
    rows = []
    for key, name in _ROWS:
        entry = figures[key]
        alarms = " / ".join(_number(entry["fppi"][recall], 2) for recall in recalls)
        rows.append([name, *(_number(entry[column], digits) for _, column, digits in _COLUMNS), alarms])
    review, change = figures["review"], figures["delta_box_ap50"]
    generic = figures["delta_box_ap50_generic"]
    lines = [
        "# One round on the sample junction",
        "",
        "People, on the frozen gold frames that no training and no scan has seen:",
        "",
        *_table(head, rows),
        "",
        f"AP50 after minus before: {_difference(change)}",
        f"AP50 after minus generic: {_difference(generic)}",
        "",
        "## The review",
        "",
        f"{review['looks']} looks at {review['labels']} labels "
        f"({figures['labels_looked_at_share']:.0%}; a group of the same standing object is one look), "
        f"{review['labels_changed']} labels changed: {review['proposals_accepted']} proposals accepted, "
        f"{review['drawn']} corrections drawn, {review['right_labels_deleted']} right labels deleted with a group.",
        "",
        *_table(
            ["issue type", "looked at", "share that was an error", "no clear verdict"],
            [
                [kind, str(entry["found"]), _number(entry["precision"], 2), str(entry["unclear"])]
                for kind, entry in figures["issues"].items()
            ],
        ),
        "",
        "## Where the time went",
        "",
        *_table(
            ["step", "seconds", "share of the 8 minutes", "peak memory (MB)"],
            [
                [
                    name,
                    f"{step['seconds']:.0f}",
                    f"{step['seconds'] / BUDGET_SECONDS:.0%}",
                    f"{step['peak_mb']:.0f}",
                ]
                for name, step in _with_sum(figures["steps"]).items()
            ],
        ),
        "",
        "## Frames that changed most",
        "",
        "Green: gold. Yellow: detections above the operating score.",
        "",
        *(f"![before and after]({name})" for name in figures["pictures"]),
        "",
    ]
    return "\n".join(lines)


def _with_sum(steps: Mapping[str, Mapping[str, float]]) -> dict[str, Mapping[str, float]]:
    total = {
        "seconds": sum(step["seconds"] for step in steps.values()),
        "peak_mb": max(step["peak_mb"] for step in steps.values()),
    }
    return {**steps, "all": total}


def _difference(change: Mapping[str, Any]) -> str:
    if change["value"] is None:
        return "cannot be told"
    interval = "no interval"
    if change["low"] is not None and change["high"] is not None:
        interval = f"95 % interval {change['low']:+.3f} to {change['high']:+.3f}"
    behind = f"{change['blocks']} time blocks, {change['tracks']} tracks"
    return f"{change['value']:+.3f} ({interval}; {behind}; verdict: {change['verdict']})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
