"""Detectors side by side: accuracy on gold, milliseconds a frame, memory, after so many minutes of training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from torchvision.models.detection import FCOS

from curate.assist import COCO_DETECTOR, EMBEDDER, weights_path
from curate.bench.detect_peer import PEER, FcosDetector, FcosLearner, new_fcos
from curate.bench.train_data import TrainData
from curate.detectors import GenericDetector, SiteDetector, TrainConfig, train_detector
from curate.detectors.classes import map_classes
from curate.detectors.frames import FrameCache
from curate.detectors.inference import choose_device
from curate.detectors.model import SiteNetwork
from curate.detectors.nanodet import NanoDet
from curate.detectors.trainer import Trainer
from curate.errors import ConfigError
from curate.evaluation import headline
from curate.tables import Detections
from curate.types import ImageArray
from curate.workflows.measure import StepMeter
from curate.workflows.progress import SubReporter
from curate.workflows.scene import background_plate
from curate.workflows.train import train_config

__all__ = ["ABLATIONS", "OURS", "bench_detect", "detect_markdown"]

OURS = "ours"
ABLATIONS = ("background", "paste", "scratch", "mirror")
"""What can be switched: difference channels, pasted objects, random instead of COCO weights, no averaging."""
_PACE_STEPS = 6
_WARM_UP = 3
_FEWEST_STEPS = 20

Predict = Callable[[Sequence[ImageArray]], list[Detections]]


@dataclass(frozen=True)
class _Trained:
    """A detector and what its training took."""

    predict: Predict
    seconds: float
    steps: int
    peak_mb: float
    with_masks: Predict | None = None


def bench_detect(
    data: TrainData, *, minutes: Sequence[float], ablations: Sequence[str], reporter: SubReporter
) -> list[dict[str, Any]]:
    """Rows: the generic detector, torchvision's fine-tuned, ours, at each budget; ablations at the smallest.

    A budget is minutes of training on this machine as it is: the pace is measured over a few steps, then the number
    of steps that fits is trained from the start.

    Args:
        data: Labels and gold.
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
    config = train_config(data.project)
    jobs: list[tuple[str, float | None, Callable[[], _Trained]]] = [
        ("generic", None, lambda: _generic(data, config))
    ]
    for spent in minutes:
        jobs.append((OURS, spent, _bound(_ours, data, config, spent, None)))
        jobs.append((PEER, spent, _bound(_peer, data, config, spent)))
    for name in ablations:
        least = min(minutes)
        jobs.append((f"{OURS}, {_NAMES[name]}", least, _bound(_ours, data, config, least, name)))
    rows = []
    for at, (model, budget, job) in enumerate(jobs):
        told = "" if budget is None else f", {budget:g} min"
        reporter.update(at / len(jobs), f"{model}{told} ({at + 1} of {len(jobs)})")
        rows.append(_row(data, model, budget, job()))
    return rows


_NAMES = {
    "background": "with background channels",
    "paste": "with pasted objects",
    "scratch": "without pretrained weights",
    "mirror": "mirrored and zoomed",
}


def _bound(job: Callable[..., _Trained], *arguments: Any) -> Callable[[], _Trained]:
    return lambda: job(*arguments)


def _row(data: TrainData, model: str, budget: float | None, trained: _Trained) -> dict[str, Any]:
    images = [data.project.frame_image(frame) for frame in data.gold.frames]
    for image in images[:_WARM_UP]:
        trained.predict([image])
    found, times = [], []
    for image in images:
        started = time.perf_counter()
        found.append(trained.predict([image])[0])
        times.append(time.perf_counter() - started)
    if trained.with_masks is not None:
        # A pass of its own, so that the mask head does not slow the timed frames down.
        found = [trained.with_masks([image])[0] for image in images]
    result = data.judge(found, float(np.median(times)) * 1000)
    row = {"model": model, "minutes": budget, **headline(result, data.label)}
    if budget is None:
        del row["minutes"]
    spent = {"seconds": round(trained.seconds, 1), "steps": trained.steps}
    return row | spent | {"peak_mb": trained.peak_mb}


def _generic(data: TrainData, config: TrainConfig) -> _Trained:
    meter = StepMeter()
    with meter.step("generic"):
        detector = GenericDetector(
            weights_path(COCO_DETECTOR),
            data.project.config.classes,
            input_size=config.input_size,
            device=config.device,
        )
        detector.predict([data.project.frame_image(data.gold.frames[0])])
    return _Trained(detector.predict, 0.0, 0, meter.steps["generic"]["peak_mb"])


def _ours(data: TrainData, config: TrainConfig, minutes: float, ablation: str | None) -> _Trained:
    if ablation == "background":
        config = replace(config, background_channels=True)
    elif ablation == "paste":
        config = replace(config, paste=2.0)
    elif ablation == "mirror":
        config = replace(config, mirror=True)
    plate = background_plate(data.project).image if config.background_channels else None
    classes = data.project.config.classes
    with TemporaryDirectory(prefix="crossguard-bench-") as folder:
        start = Path(folder) / "start" if ablation == "scratch" else None
        if start is not None:
            rows = map_classes(classes)
            network = SiteNetwork(NanoDet(len(rows.sources)), rows, mask_head=config.mask_head)
            SiteDetector(network, classes, config, device="cpu").save(start)

        def train(name: str, steps: int) -> SiteDetector:
            return train_detector(
                data.samples,
                classes,
                replace(config, steps=steps, checkpoint_every=10**6),
                weights_path(COCO_DETECTOR),
                Path(folder) / name,
                plate=plate,
                start=start,
            )

        started = time.perf_counter()
        train("pace", _PACE_STEPS)
        steps = _fitting(minutes, (time.perf_counter() - started) / _PACE_STEPS)
        meter = StepMeter()
        with meter.step("train"):
            detector = train("run", steps)
    spent = meter.steps["train"]
    with_masks = partial(detector.predict, masks=True) if detector.has_masks else None
    return _Trained(detector.predict, spent["seconds"], steps, spent["peak_mb"], with_masks)


def _peer(data: TrainData, config: TrainConfig, minutes: float) -> _Trained:
    classes = data.project.config.classes
    device = choose_device(config.device)
    frames = FrameCache(data.samples, replace(config, paste=0.0, background_channels=False), None)

    def trainer(model: FCOS, steps: int) -> Trainer:
        settings = replace(config, steps=steps, ema=0.0)
        return Trainer(FcosLearner(model.to(device), settings), frames, settings)

    def model() -> FCOS:
        return new_fcos(weights_path(EMBEDDER), len(classes), config.seed)

    trial = trainer(model(), _PACE_STEPS)
    started = time.perf_counter()
    for _ in range(_PACE_STEPS):
        trial.advance()
    steps = _fitting(minutes, (time.perf_counter() - started) / _PACE_STEPS)
    trained = model()
    run = trainer(trained, steps)
    meter = StepMeter()
    with meter.step("train"):
        for _ in range(steps):
            run.advance()
    detector = FcosDetector(trained, classes, config.input_size, device=config.device)
    spent = meter.steps["train"]
    return _Trained(detector.predict, spent["seconds"], steps, spent["peak_mb"])


def _fitting(minutes: float, seconds_a_step: float) -> int:
    return max(_FEWEST_STEPS, int(minutes * 60 / seconds_a_step))


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
