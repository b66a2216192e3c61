"""The table that `curate bench label-errors` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from curate.bench.label_errors.judge import TYPES

__all__ = ["label_errors_markdown"]


def label_errors_markdown(figures: Mapping[str, Any]) -> str:
    """Mean over the seeds, lowest and highest in brackets."""
    rows: Sequence[Mapping[str, Any]] = figures["rows"]
    tools = list(dict.fromkeys(row["tool"] for row in rows))
    lines = [
        "| type | tool | errors | AP | AUROC | precision at 50 | at 100 |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in (entry.value for entry in TYPES):
        for tool in tools:
            own = [row for row in rows if row["type"] == kind and row["tool"] == tool]
            if own:
                name = f"{tool} (overall score)" if own[0]["general"] else tool
                cells = [spread(row[key] for row in own) for key in ("ap", "auroc", "p50", "p100")]
                errors = f"{np.mean([row['errors'] for row in own]):.0f}"
                lines.append(f"| {kind} | {name} | {errors} | {' | '.join(cells)} |")
    lines += [
        "",
        "| one queue | found at 10 % | at 20 % | by looks (a group is one) at 10 % | at 20 % | seconds | MB |",
        "|---|---|---|---|---|---|---|",
    ]
    for tool in tools:
        own = [row for row in rows if row["type"] == "all" and row["tool"] == tool]
        keys = ("found10", "found20", "looks10", "looks20")
        cells = [spread(row[key] for row in own) for key in keys]
        cells += [f"{np.mean([row[key] for row in own]):.2f}" for key in ("seconds", "peak_mb")]
        lines.append(f"| {tool} | {' | '.join(cells)} |")
    return "\n".join(lines)


def spread(values: Iterable[float]) -> str:
    """Mean (lowest to highest), NaN left out."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return "-"
    mean = f"{np.mean(known):.3f}"
    return mean if len(known) == 1 else f"{mean} ({min(known):.3f} to {max(known):.3f})"
