"""The table that `curate bench label-errors` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from curate.bench.label_errors.judge import TYPES

__all__ = ["label_errors_markdown", "recovered_by_order"]


def label_errors_markdown(figures: Mapping[str, Any]) -> str:
    """Mean over the seeds, lowest and highest in brackets."""
    rows: Sequence[Mapping[str, Any]] = figures["rows"]
    every = list(dict.fromkeys(row["tool"] for row in rows if "tool" in row))
    tools = [tool for tool in every if not tool.startswith("without ")]
    lines = [
        "| type | tool | errors | AP | AUROC | precision at 50 | at 100 |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in (entry.value for entry in TYPES):
        for tool in tools:
            own = [row for row in rows if row["type"] == kind and row.get("tool") == tool]
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
    less = [tool for tool in every if tool not in tools]
    return "\n".join(
        [
            *lines,
            *_ablation(rows, less),
            *_recovered(rows),
            *_proposals(rows),
            *_reliability(rows),
            *_natural(rows),
        ]
    )


def recovered_by_order(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Order of the review -> share of the lost gold AP that it brought back, mean over the seeds."""
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["type"] == "recovered" and row["order"] not in ("clean", "noisy"):
            found.setdefault(row["order"], []).extend([] if row["recovered"] is None else [row["recovered"]])
    return {order: float(np.mean(values)) if values else None for order, values in found.items()}


def _of(rows: Sequence[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["type"] == kind]


def _ablation(rows: Sequence[Mapping[str, Any]], tools: Sequence[str]) -> list[str]:
    if not tools:
        return []
    kinds = [kind.value for kind in TYPES if _of(rows, kind.value)]
    lines = ["", f"| evidence | {' | '.join(kinds)} | found at 20 % |", "|---" * (len(kinds) + 2) + "|"]
    for tool in ("ours", *tools):
        own = [row for row in rows if row.get("tool") == tool]
        cells = [f"{np.mean([row['ap'] for row in _of(own, kind)]):.3f}" for kind in kinds if _of(own, kind)]
        cells.append(f"{np.mean([row['found20'] for row in _of(own, 'all')]):.3f}")
        lines.append(f"| {'all of it' if tool == 'ours' else tool} | {' | '.join(cells)} |")
    return lines


def _recovered(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    own = _of(rows, "recovered")
    if not own:
        return []
    lines = [
        "",
        "| labels that the detector was trained on | errors set right | gold AP | AP50 | lost AP recovered |",
        "|---|---|---|---|---|",
    ]
    names = {"clean": "clean", "noisy": "noisy, nothing reviewed"}
    for order in dict.fromkeys(row["order"] for row in own):
        mine = [row for row in own if row["order"] == order]
        cells = [spread(row[key] for row in mine) for key in ("fixed", "ap", "ap50", "recovered")]
        lines.append(
            f"| {names.get(order, f'20 % reviewed in the order of: {order}')} | {' | '.join(cells)} |"
        )
    return lines


def _proposals(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    own = [row for row in rows if row["type"].startswith("proposal ")]
    if not own:
        return []
    lines = [
        "",
        "| error | injected | in the queue | under its own name | proposal right as it is |",
        "|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(row["type"] for row in own):
        total = {
            key: sum(row[key] for row in _of(own, kind)) for key in ("errors", "listed", "named", "right")
        }
        shares = [f"{total[key] / max(1, total['listed']):.0%}" for key in ("named", "right")]
        name = kind.removeprefix("proposal ")
        lines.append(f"| {name} | {total['errors']} | {total['listed']} | {' | '.join(shares)} |")
    return lines


def _reliability(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    own = [row for row in rows if row["type"].startswith("reliability ")]
    if not own:
        return []
    lines = [
        "",
        "| probability of | Brier | of the bare rate | calibration error | promised -> seen, by tenths |",
        "|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(row["type"] for row in own):
        mine = _of(own, kind)
        cells = [
            f"{np.mean([row[key] for row in mine]):.4f}"
            for key in ("brier", "brier_of_the_rate", "calibration_error")
        ]
        lines.append(f"| {kind.removeprefix('reliability ')} | {' | '.join(cells)} | {_curve(mine)} |")
    lines += ["", "| queue | promised (90 % interval) | held |", "|---|---|---|"]
    for row in _of(rows, "forecast"):
        for name in ("10", "20"):
            told = f"{row[f'promised{name}']:.0f} ({row[f'low{name}']:.0f} to {row[f'high{name}']:.0f})"
            lines.append(f"| seed {row['seed']}, first {name} % | {told} | {row[f'held{name}']} |")
    return lines


def _curve(rows: Sequence[Mapping[str, Any]]) -> str:
    """Bins of all seeds put together."""
    told, seen, counts = np.zeros(10), np.zeros(10), np.zeros(10)
    for row in rows:
        for promised, observed, count in zip(row["predicted"], row["observed"], row["counts"], strict=True):
            place = min(int(promised * 10), 9)
            told[place] += promised * count
            seen[place] += observed * count
            counts[place] += count
    filled = np.flatnonzero(counts)
    return ", ".join(
        f"{told[at] / counts[at]:.2f} -> {seen[at] / counts[at]:.2f} ({counts[at]:.0f})" for at in filled
    )


def _natural(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    for row in _of(rows, "natural"):
        lines += [
            "",
            f"Cheap labels as they are: {row['labels']} labels, {row['issues']} issues, {row['looks']} looks.",
        ]
        for name in ("entries", "looks"):
            share = row[f"{name}_precision"]
            lines.append(
                f"First 100 {name}: {row[f'{name}_real']} real errors, {row[f'{name}_unclear']} unclear, "
                f"precision {'-' if share is None else f'{share:.2f}'}."
            )
        if row["repeated"]:
            lines.append(
                f"Repeated errors: {row['repeated']} labels at {row['repeated_places']} places; found in the first "
                f"30 % of items {row['repeated_found_items']:.2f}, of looks {row['repeated_found_looks']:.2f}, in "
                f"{row['repeated_groups']} looks, the last of them number {row['repeated_last_look']}."
            )
        lines.append(
            f"Brier {row['brier']:.3f}, calibration error {row['calibration_error']:.3f} over {row['judged']}."
        )
    return lines


def spread(values: Iterable[float | None]) -> str:
    """Mean (lowest to highest), NaN left out."""
    known = [value for value in values if value is not None and np.isfinite(value)]
    if not known:
        return "-"
    mean = f"{np.mean(known):.3f}"
    return mean if len(known) == 1 else f"{mean} ({min(known):.3f} to {max(known):.3f})"
