"""How fast scoring is by itself, on synthetic labels and predictions: each size in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.bench.label_errors.peers import peer_environment, peer_python, peer_reason, peer_script
from curate.bench.scoring_work import DETECTIONS, LABELS, peer_table
from curate.errors import DataError
from curate.workflows.progress import Reporter, SubReporter

__all__ = ["SIZES", "ScoringBench", "bench_scoring", "slope"]

SIZES = (1_000, 10_000, 100_000)
"""Frames."""
_PEER_MOST = 10_000
_TIMEOUT = 1800.0


@dataclass(frozen=True)
class ScoringBench:
    """The table for docs/benchmarks.md, and the figures behind it."""

    markdown: str
    figures: dict[str, Any]


def bench_scoring(
    *,
    sizes: Sequence[int] = SIZES,
    masks: int = 1_000,
    decided: int = 100_000,
    peers: Path,
    reporter: Reporter,
    say: Callable[[str], None] = lambda text: None,
) -> ScoringBench:
    """Seconds and peak memory of scoring.

    Args:
        sizes: Numbers of frames, each with 10 labels and 12 predictions.
        masks: So many masks are scored apart; 0 = none.
        decided: Re-rank so many labels after a batch of decisions, as arrays and as a whole project; 0 = none.
        peers: Folder with the environments of the other tools; cleanlab is run on the sizes up to 10,000.
        reporter: Told how far it is.
        say: Told why cleanlab is skipped.

    Raises:
        DataError: A measurement failed.
    """
    whole = SubReporter(reporter, 0.0, 1.0)
    rows: list[dict[str, Any]] = []
    jobs: list[tuple[str, int]] = [("boxes", size) for size in sizes]
    jobs += [("masks", masks)] if masks else []
    jobs += [("rerank", decided), ("queue", decided)] if decided else []
    for number, (what, size) in enumerate(jobs):
        whole.update(0.8 * number / len(jobs), f"{what} {size:,}")
        rows.append({"what": what, "size": size, **_measure(what, size)})
    whole.update(0.8, "cleanlab")
    reason = peer_reason("cleanlab", peers)
    if reason:
        say(reason)
    else:
        for size in sizes:
            if size <= _PEER_MOST:
                rows += _cleanlab(size, peers)
    whole.update(1.0, "done")
    figures = {"rows": rows, "slope": slope(rows), "ratios": _ratios(rows)}
    return ScoringBench(_markdown(figures), figures)


def _measure(what: str, size: int) -> Mapping[str, Any]:
    """Run `curate.bench.scoring_work` in a process of its own: its peak memory is that of this one thing."""
    command = [sys.executable, "-m", "curate.bench.scoring_work", what, str(size)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, env=environment)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"scoring {size:,} did not end within {_TIMEOUT:.0f} s", item=what) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DataError(f"scoring {size:,} failed: {last}", item=what)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _cleanlab(size: int, peers: Path) -> list[dict[str, Any]]:
    """Its scores alone, and its issues and scores, which is what its documentation has a user call."""
    with tempfile.TemporaryDirectory(prefix="crossguard-bench-") as folder:
        given, answer = Path(folder) / "in.npz", Path(folder) / "out.json"
        arrays: dict[str, Any] = dict(peer_table(size))
        np.savez(given, **arrays)
        script = str(peer_script("cleanlab"))
        command = [str(peer_python("cleanlab", peers)), script, str(given), str(answer), "--speed"]
        environment = peer_environment("cleanlab", peers)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, env=environment)
        if done.returncode:
            raise DataError(f"cleanlab failed: {done.stderr.strip().splitlines()[-1]}", item="cleanlab")
        figures = json.loads(answer.read_text("utf-8"))
    scores = {"what": "cleanlab", "size": size}
    scores |= {name: figures[name] for name in ("seconds", "cpu_seconds", "peak_mb", "version")}
    both = {name: figures[name] + figures[f"find_{name}"] for name in ("seconds", "cpu_seconds")}
    return [scores, {**scores, **both, "what": "cleanlab_issues", "peak_mb": None}]


def slope(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Exponent of CPU seconds over frames, least squares in logarithms: 1 = linear; None below two sizes."""
    own = [row for row in rows if row["what"] == "boxes" and row["cpu_seconds"] > 0]
    points = [(row["size"], row["cpu_seconds"]) for row in own]
    if len(points) < 2:
        return None
    size, seconds = np.log(np.array(points, float)).T
    return float(np.polyfit(size, seconds, 1)[0])


def _ratios(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How many times faster than cleanlab, per size and what it was asked for, by the clock and in CPU seconds."""
    ours = {row["size"]: row for row in rows if row["what"] == "boxes"}
    return [
        {"what": row["what"], "size": row["size"]}
        | {name: row[name] / ours[row["size"]][name] for name in ("seconds", "cpu_seconds")}
        for row in rows
        if row["what"].startswith("cleanlab") and row["size"] in ours
    ]


_NAMES = {
    "boxes": f"boxes: frames with {LABELS} labels and {DETECTIONS} predictions each",
    "masks": "masks: so many labels, each with a predicted mask",
    "rerank": "ranked again after 200 decisions: so many labels",
    "queue": "`curate rerank` of a project with so many labels, an issue on every third, 200 decisions",
    "cleanlab": "cleanlab, scores (`get_label_quality_scores`), the same frames",
    "cleanlab_issues": "cleanlab, issues and scores (`find_label_issues` and the above)",
}


def _markdown(figures: Mapping[str, Any]) -> str:
    lines = ["| what | number | seconds | CPU seconds | peak memory, MB |", "|---|---|---|---|---|"]
    for row in figures["rows"]:
        peak = "-" if row.get("peak_mb") is None else f"{row['peak_mb']:.0f}"
        lines.append(
            f"| {_NAMES[row['what']]} | {row['size']:,} | {row['seconds']:.2f} | {row['cpu_seconds']:.2f} | {peak} |"
        )
    if figures["slope"] is not None:
        lines += ["", f"CPU seconds grow with frames to the power of {figures['slope']:.2f}."]
    for ratio in figures["ratios"]:
        asked = "scores" if ratio["what"] == "cleanlab" else "issues and scores"
        lines += [
            "",
            f"{ratio['cpu_seconds']:.0f} times the speed of cleanlab's {asked} at {ratio['size']:,} frames in CPU "
            f"seconds, {ratio['seconds']:.0f} times by the clock.",
        ]
    return "\n".join(lines)
