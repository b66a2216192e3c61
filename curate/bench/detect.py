"""Detectors side by side: accuracy on gold, milliseconds a frame, memory, after so many minutes of training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from curate.bench.detect_jobs import SWITCHES, Tell, Trained, generic, train_ours, train_peer
from curate.bench.detect_peer import ANCHORS, PEER
from curate.bench.kept import Kept
from curate.bench.train_data import TrainData
from curate.errors import ConfigError
from curate.evaluation import EvalInput, compare, delta, headline, settings_from_site
from curate.tables import Detections
from curate.workflows.compare import gold_blocks
from curate.workflows.progress import SubReporter
from curate.workflows.speed import time_side_by_side
from curate.workflows.train import train_config

__all__ = ["ABLATIONS", "OURS", "DetectBench", "bench_detect", "detect_markdown"]

OURS = "ours"
ABLATIONS = (*SWITCHES, "anchors")
"""What can be switched: see `SWITCHES`; "anchors" is a detector with anchors, its own ones and the site's."""
_NAMES = {
    "background": "with background channels",
    "paste": "with pasted objects",
    "scratch": "without pretrained weights",
    "mirror": "mirrored and zoomed",
}
_TRAINING = 0.95
_GAINS = ("box_ap", "box_ap50", "precision", "fppi@0.92")


@dataclass(frozen=True)
class DetectBench:
    """What `curate bench detect` found out.

    Attributes:
        rows: One for each detector.
        label: Class of the figures.
        against_generic: With several seeds, for each budget of ours its gains with their intervals.
    """

    rows: list[dict[str, Any]]
    label: str
    against_generic: list[dict[str, Any]]


@dataclass(frozen=True)
class _Job:
    """A row to come: its name, its budget (None for none), the training behind it, its seed where several count."""

    model: str
    minutes: float | None
    work: Callable[[Tell], Trained]
    seed: int | None = None


def bench_detect(
    data: TrainData,
    kept: Kept,
    *,
    minutes: Sequence[float],
    ablations: Sequence[str],
    reporter: SubReporter,
    seeds: int = 1,
) -> DetectBench:
    """Rows: the generic detector, torchvision's fine-tuned, ours, at each budget; ablations at the smallest.

    A budget is minutes of training on this machine with nothing else to do: the pace is that of the quicker ones of
    a few steps, then the number of steps that fits is trained from the start. All detectors are timed side by side in
    the end, frame by frame. With several seeds, ours at each budget is compared with the generic detector, by a
    bootstrap over time blocks and seeds.

    Args:
        data: Labels and gold.
        kept: Trainings that are there already, and where new ones go.
        minutes: Budgets.
        ablations: Of `ABLATIONS`.
        reporter: Told how far it is.
        seeds: Training seeds of ours at each budget.

    Raises:
        ConfigError: An unknown ablation, or no budget.
    """
    unknown = set(ablations) - set(ABLATIONS)
    if unknown or not minutes:
        raise ConfigError(
            f"ablations are of {ABLATIONS}, budgets at least one; got {sorted(unknown)}, {minutes}"
        )
    jobs = _jobs(data, kept, minutes, ablations, seeds)
    total = sum(job.minutes or 0.0 for job in jobs)
    found, spent = [], 0.0
    for at, job in enumerate(jobs):
        told = "" if job.minutes is None else f", {job.minutes:g} min"
        share = (job.minutes or 0.0) / total
        part = SubReporter(
            reporter,
            _TRAINING * spent,
            _TRAINING * (spent + share),
            f"{job.model}{told} ({at + 1} of {len(jobs)}): ",
        )
        part.update(0.0, "begins")
        found.append(job.work(part.update))
        spent += share
    times = _milliseconds(data, found, SubReporter(reporter, _TRAINING, 1.0))
    detections = [_detections(data, trained) for trained in found]
    rows = [_row(data, *parts) for parts in zip(jobs, found, detections, times, strict=True)]
    return DetectBench(rows, data.label, _against_generic(data, jobs, detections) if seeds > 1 else [])


def _jobs(
    data: TrainData, kept: Kept, minutes: Sequence[float], ablations: Sequence[str], seeds: int = 1
) -> list[_Job]:
    config = train_config(data.project)
    jobs = [_Job("generic", None, lambda _: generic(data, config))]
    for spent in minutes:
        for seed in range(seeds):
            work = partial(train_ours, data, kept, config, spent, None, seed=seed)
            jobs.append(_Job(OURS, spent, work, config.seed + seed))
        jobs.append(_Job(PEER, spent, partial(train_peer, data, kept, config, spent, PEER)))
    least = min(minutes)
    for name in ablations:
        if name == "anchors":
            jobs += [
                _Job(peer, least, partial(train_peer, data, kept, config, least, peer)) for peer in ANCHORS
            ]
        else:
            work = partial(train_ours, data, kept, config, least, name)
            jobs.append(_Job(f"{OURS}, {_NAMES[name]}", least, work))
    return jobs


def _milliseconds(data: TrainData, found: Sequence[Trained], reporter: SubReporter) -> list[float]:
    """Median of each over the gold frames, boxes only, one after the other on every frame."""
    detectors = {str(at): trained.detector for at, trained in enumerate(found)}
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for number, frame in enumerate(data.gold.frames):
        taken = time_side_by_side(detectors, data.project.frame_image(frame), number)
        for name, value in taken.items():
            seconds[name].append(value)
        reporter.update((number + 1) / len(data.gold.frames), f"timing frame {number + 1}")
    return [float(np.median(values)) * 1000 for values in seconds.values()]


def _detections(data: TrainData, trained: Trained) -> list[Detections]:
    images = (data.project.frame_image(frame) for frame in data.gold.frames)
    return [trained.detector.predict([image], masks=trained.has_masks)[0] for image in images]


def _row(data: TrainData, job: _Job, trained: Trained, found: list[Detections], ms: float) -> dict[str, Any]:
    row = {"model": job.model, "minutes": job.minutes, "seed": job.seed}
    row |= headline(data.judge(found, ms), data.label)
    spent = {"seconds": trained.seconds, "steps": trained.steps, "peak_mb": trained.peak_mb}
    return {
        name: value for name, value in row.items() if name not in ("minutes", "seed") or value is not None
    } | spent


def _against_generic(
    data: TrainData, jobs: Sequence[_Job], detections: Sequence[list[Detections]]
) -> list[dict[str, Any]]:
    """For each budget of ours: how much its seeds together gain over the generic detector, with intervals."""
    frames, classes = data.gold.frames, data.project.config.classes
    sides: dict[float | None, list[EvalInput]] = {}
    for job, found in zip(jobs, detections, strict=True):
        if job.minutes is None or job.seed is not None:
            side = EvalInput(frames, data.annotations, found, classes, seed=job.seed, label=job.model)
            sides.setdefault(job.minutes, []).append(side)
    blocks, settings = gold_blocks(data.project, frames), settings_from_site(data.project.config)
    before, rows = sides.pop(None), []
    for minutes, after in sides.items():
        found_out = compare(before, after, blocks, settings, label=data.label)
        gains = {metric: delta(found_out, metric, data.label) for metric in _GAINS}
        rows.append({"minutes": minutes, "seeds": len(after), "gains": gains})
    return rows


def detect_markdown(bench: DetectBench) -> str:
    """The rows as a table for docs/benchmarks.md, and what several seeds together gain."""
    rows = bench.rows
    recalls = list(rows[0]["fppi"])
    head = ["model", "minutes", "steps", "AP", "AP50", "mask AP", "precision at .3"]
    head += [f"false positives a frame at recall {' / '.join(recalls)}", "ms a frame", "peak MB"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        alarms = " / ".join(_number(row["fppi"][recall], 2) for recall in recalls)
        cells = [row["model"], f"{row['minutes']:g}" if "minutes" in row else "-", str(row["steps"])]
        cells += [_number(row[name], 3) for name in ("box_ap", "box_ap50", "mask_ap", "precision_at_30")]
        lines.append(
            "| "
            + " | ".join([*cells, alarms, _number(row["ms_per_frame"], 1), _number(row["peak_mb"], 0)])
            + " |"
        )
    for entry in bench.against_generic:
        gains = ", ".join(_gain(metric, gain) for metric, gain in entry["gains"].items())
        lines += ["", f"{entry['minutes']:g} minutes, {entry['seeds']} seeds, minus generic: {gains}"]
    return "\n".join(lines)


def _gain(metric: str, gain: dict[str, Any]) -> str:
    if gain["value"] is None or gain["low"] is None:
        return f"{metric} - ({gain['reason'] or 'no figure on one side'})"
    return f"{metric} {gain['value']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f})"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
