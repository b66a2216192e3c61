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
from curate.evaluation import headline
from curate.workflows.progress import SubReporter
from curate.workflows.speed import time_side_by_side
from curate.workflows.train import train_config

__all__ = ["ABLATIONS", "OURS", "bench_detect", "detect_markdown"]

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


@dataclass(frozen=True)
class _Job:
    """A row to come: its name, its budget (None for none), the training behind it."""

    model: str
    minutes: float | None
    work: Callable[[Tell], Trained]


def bench_detect(
    data: TrainData, kept: Kept, *, minutes: Sequence[float], ablations: Sequence[str], reporter: SubReporter
) -> list[dict[str, Any]]:
    """Rows: the generic detector, torchvision's fine-tuned, ours, at each budget; ablations at the smallest.

    A budget is minutes of training on this machine as it is: the pace is measured over a few steps, then the number
    of steps that fits is trained from the start. All detectors are timed side by side in the end, frame by frame.

    Args:
        data: Labels and gold.
        kept: Trainings that are there already, and where new ones go.
        minutes: Budgets.
        ablations: Of `ABLATIONS`.
        reporter: Told how far it is.

    Raises:
        ConfigError: An unknown ablation, or no budget.
    """
    unknown = set(ablations) - set(ABLATIONS)
    if unknown or not minutes:
        raise ConfigError(
            f"ablations are of {ABLATIONS}, budgets at least one; got {sorted(unknown)}, {minutes}"
        )
    jobs = _jobs(data, kept, minutes, ablations)
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
    return [_row(data, job, trained, ms) for job, trained, ms in zip(jobs, found, times, strict=True)]


def _jobs(data: TrainData, kept: Kept, minutes: Sequence[float], ablations: Sequence[str]) -> list[_Job]:
    config = train_config(data.project)
    jobs = [_Job("generic", None, lambda _: generic(data, config))]
    for spent in minutes:
        jobs.append(_Job(OURS, spent, partial(train_ours, data, kept, config, spent, None)))
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


def _row(data: TrainData, job: _Job, trained: Trained, ms: float) -> dict[str, Any]:
    images = (data.project.frame_image(frame) for frame in data.gold.frames)
    found = [trained.detector.predict([image], masks=trained.has_masks)[0] for image in images]
    row = {"model": job.model, "minutes": job.minutes, **headline(data.judge(found, ms), data.label)}
    if job.minutes is None:
        del row["minutes"]
    spent = {"seconds": trained.seconds, "steps": trained.steps}
    return row | spent | {"peak_mb": trained.peak_mb}


def detect_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table for docs/benchmarks.md."""
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
    return "\n".join(lines)


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
