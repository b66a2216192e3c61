"""Does the interval tell the truth? Comparisons of detectors that differ by their training seed only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from curate.bench.kept import Kept
from curate.bench.train_data import TrainData
from curate.detectors import train_detector
from curate.detectors.config import fingerprint
from curate.errors import ConfigError
from curate.evaluation import EvalInput, compare, settings_from_site
from curate.workflows.compare import gold_blocks
from curate.workflows.predictions import read_detections, write_detections
from curate.workflows.progress import SubReporter
from curate.workflows.starting_point import starting_point
from curate.workflows.train import train_config

__all__ = ["bench_null", "null_markdown"]

_HEADLINE = "box_ap50"


@dataclass(frozen=True)
class _Count:
    """How many comparisons of one figure called one side better."""

    metric: str
    claims: int
    comparisons: int


def bench_null(
    data: TrainData, kept: Kept, *, comparisons: int, seeds: int, pool: int, steps: int, reporter: SubReporter
) -> dict[str, Any]:
    """Train one recipe with many seeds, split them at random into two sides again and again, and compare.

    Nothing differs but seeds, so every "better" or "worse" is a false claim; of 95 % intervals one in twenty may be
    wrong. The splits share a pool of seeds and are therefore not quite independent.

    Args:
        data: Labels and gold.
        kept: Seeds that are trained already, and where new ones go.
        comparisons: Random splits.
        seeds: Training seeds a side.
        pool: Seeds trained in all.
        steps: Of each training; small, as only the spread of the seeds matters.
        reporter: Told how far it is.

    Raises:
        ConfigError: The pool is too small for two sides.
    """
    if pool < 2 * seeds:
        raise ConfigError(f"two sides of {seeds} seeds need a pool of {2 * seeds}, got {pool}", item="--pool")
    runs = [
        _run(data, kept, steps, seed, SubReporter(reporter, seed / pool * 0.8, (seed + 1) / pool * 0.8))
        for seed in range(pool)
    ]
    random = np.random.default_rng(0)
    claims: dict[str, list[bool]] = {}
    blocks = gold_blocks(data.project, data.gold.frames)
    for number in range(comparisons):
        reporter.update(0.8 + 0.2 * number / comparisons, f"comparison {number + 1} of {comparisons}")
        order = random.permutation(pool)[: 2 * seeds].tolist()
        first, second = ([runs[at] for at in part] for part in (order[:seeds], order[seeds:]))
        found = compare(
            first, second, blocks, settings_from_site(data.project.config), label=data.label, seed=number
        )
        for entry in found.differences:
            if (entry.kind, entry.name) == ("class", data.label) and entry.direction != "unknown":
                claims.setdefault(entry.metric, []).append(entry.direction in ("better", "worse"))
    headline = claims.get(_HEADLINE, [])
    rows = [_Count(metric, sum(values), len(values)) for metric, values in claims.items()]
    return {
        "comparisons": comparisons,
        "seeds_a_side": seeds,
        "pool": pool,
        "steps": steps,
        "blocks": int(blocks.max()) + 1,
        "headline": {"metric": _HEADLINE, "claims": sum(headline), "comparisons": len(headline)},
        "claims": {row.metric: {"claims": row.claims, "comparisons": row.comparisons} for row in rows},
    }


def _run(data: TrainData, kept: Kept, steps: int, seed: int, reporter: SubReporter) -> EvalInput:
    reporter.update(0.0, f"training seed {seed}")
    start = starting_point(data.project, train_config(data.project), reporter)
    config = replace(start.config, steps=steps, seed=seed, mask_head=False, checkpoint_every=10**6)
    classes = data.project.config.classes
    frames = data.gold.frames
    ids = [frame.id for frame in frames]
    digest = fingerprint(data.samples, classes, config, "", None)
    file = kept.folder("null", digest, ids) / "found.parquet"
    if not file.is_file():
        with TemporaryDirectory(prefix="crossguard-bench-") as folder:
            detector = train_detector(data.samples, classes, config, start.weights, Path(folder))
        write_detections(
            file, {frame.id: detector.predict([data.project.frame_image(frame)])[0] for frame in frames}
        )
    found = read_detections(file, ids)
    return EvalInput(frames, data.annotations, found, classes, seed=seed, label=f"seed {seed}")


def null_markdown(figures: dict[str, Any]) -> str:
    """The figures as a table for docs/benchmarks.md."""
    lines = [
        f"{figures['comparisons']} comparisons, {figures['seeds_a_side']} seeds a side of {figures['pool']}, "
        f"{figures['steps']} steps, {figures['blocks']} time blocks.",
        "",
        '| figure | false "better" or "worse" | of |',
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {row['claims']} | {row['comparisons']} |" for name, row in figures["claims"].items()
    ]
    return "\n".join(lines)
