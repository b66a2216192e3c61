"""Trainings of `curate bench detect`: each for a budget of minutes, kept, and gone on with where it was cut off."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import nn

from curate.assist import COCO_DETECTOR, EMBEDDER, weights_path
from curate.bench.detect_peer import PeerDetector, PeerLearner, new_peer
from curate.bench.kept import Kept, release_memory
from curate.bench.train_data import TrainData
from curate.detectors import GenericDetector, Progress, SiteDetector, TrainConfig, train_detector
from curate.detectors.checkpoint import load_checkpoint
from curate.detectors.classes import map_classes
from curate.detectors.config import fingerprint
from curate.detectors.frames import FrameCache
from curate.detectors.inference import choose_device
from curate.detectors.model import SiteNetwork
from curate.detectors.nanodet import NanoDet
from curate.detectors.trainer import Trainer
from curate.errors import ConfigError
from curate.files import read_json, write_atomically, write_json
from curate.tables import Detections
from curate.types import ImageArray
from curate.workflows.measure import StepMeter
from curate.workflows.progress import Quiet
from curate.workflows.scene import background_plate
from curate.workflows.starting_point import starting_point

__all__ = ["SWITCHES", "Trained", "generic", "train_ours", "train_peer"]

SWITCHES = ("background", "paste", "scratch", "mirror")
"""Ablations of ours: difference channels, pasted objects, random instead of COCO weights, mirrored and zoomed."""
_PACE_STEPS = 12
_FEWEST_STEPS = 20
_CHECKPOINTS = 10
_RESULT = "result.json"
_WEIGHTS = "model.safetensors"

Tell = Callable[[float, str], None]


class Predicts(Protocol):
    """A detector."""

    def predict(self, images: Sequence[ImageArray], *, masks: bool = False) -> list[Detections]:
        """Detections of each frame."""
        ...


@dataclass(frozen=True)
class Trained:
    """A detector and what its training took.

    Attributes:
        detector: It.
        has_masks: Whether it predicts masks.
        seconds: Of training, interruptions left out.
        steps: Of training.
        peak_mb: Largest resident memory meanwhile.
    """

    detector: Predicts
    has_masks: bool
    seconds: float
    steps: int
    peak_mb: float


@dataclass(frozen=True)
class Pace:
    """How quickly a machine trains when nothing else runs on it.

    Attributes:
        start: Seconds before the first step.
        step: Seconds of a step: the lower quartile, as whatever else runs meanwhile only ever makes one slower.
    """

    start: float
    step: float

    @classmethod
    def of(cls, moments: Sequence[float]) -> Pace:
        """From the moment before a trial and the moments when its steps ended, seconds."""
        step = float(np.quantile([after - before for before, after in pairwise(moments)], 0.25))
        return cls(max(0.0, moments[1] - moments[0] - step), step)

    def steps(self, seconds: float) -> int:
        """Steps that fit into a budget, the start included."""
        return int(max(0.0, seconds - self.start) / self.step)


def generic(data: TrainData, config: TrainConfig) -> Trained:
    """The bundled detector as it is; its memory is that of one prediction."""
    meter = StepMeter()
    release_memory()
    with meter.step("generic"):
        detector = GenericDetector(
            weights_path(COCO_DETECTOR),
            data.project.config.classes,
            input_size=config.input_size,
            device=config.device,
        )
        detector.predict([data.project.frame_image(data.gold.frames[0])])
    return Trained(detector, False, 0.0, 0, meter.steps["generic"]["peak_mb"])


def train_ours(
    data: TrainData,
    kept: Kept,
    config: TrainConfig,
    minutes: float,
    switch: str | None,
    tell: Tell,
    *,
    seed: int = 0,
) -> Trained:
    """Ours, with one of `SWITCHES` or without.

    Args:
        data: Labels.
        kept: Where it is kept.
        config: The site's settings.
        minutes: Budget.
        switch: What is changed.
        tell: Told the share done, and what is being done.
        seed: How far from the site's own training seed.

    Raises:
        ConfigError: An ablation that the recipe's network does not have.
    """
    point = starting_point(data.project, config, Quiet())
    config = replace(point.config, seed=point.config.seed + seed)
    if switch == "background":
        config = replace(config, background_channels=True, freeze=0)
    elif switch == "scratch":
        config = replace(config, freeze=0)
    elif switch == "paste":
        config = replace(config, paste=2.0)
    elif switch == "mirror":
        config = replace(config, mirror=True, zoom=0.15)
    plate = background_plate(data.project).image if config.background_channels else None
    classes = data.project.config.classes
    digest = fingerprint(data.samples, classes, config, str(switch), plate)
    folder = kept.folder("ours", digest, minutes)
    start = folder / "start" if switch == "scratch" else None
    if start is not None and config.architecture != "nanodet-g":
        raise ConfigError("only recipes cpu and gpu can be begun without weights", item=switch)
    if start is not None and not (start / "detector.json").is_file():
        rows = map_classes(classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            network = SiteNetwork(NanoDet(len(rows.sources)), rows, mask_head=config.mask_head)
        SiteDetector(network, classes, config, device="cpu").save(start)

    def train(steps: int, out: Path, heard: Callable[[Progress], None] | None = None) -> SiteDetector:
        settings = replace(config, steps=steps, checkpoint_every=_every(steps))
        return train_detector(
            data.samples,
            classes,
            settings,
            point.weights,
            out,
            plate=plate,
            start=start,
            progress=heard,
        )

    def pace() -> Pace:
        with TemporaryDirectory(prefix="crossguard-bench-") as temporary:
            moments = [time.perf_counter()]
            train(_PACE_STEPS, Path(temporary), lambda _: moments.append(time.perf_counter()))
            return Pace.of(moments)

    def whole(steps: int) -> float:
        last: list[Progress] = []

        def heard(report: Progress) -> None:
            last[:] = [report]
            tell(report.step / steps, f"step {report.step} of {steps}")

        if (folder / "run" / "detector.json").is_file():
            # It ended, but was cut off before that was written down: what it took is not known any more.
            shutil.rmtree(folder / "run")
        train(steps, folder / "run", heard)
        return last[0].seconds

    result = _kept(folder, minutes, pace, whole)
    detector = SiteDetector.load(folder / "run", device=config.device)
    return Trained(detector, detector.has_masks, **result)


def train_peer(
    data: TrainData, kept: Kept, config: TrainConfig, minutes: float, name: str, tell: Tell
) -> Trained:
    """One of torchvision's detectors by the same trainer.

    Args:
        data: Labels.
        kept: Where it is kept.
        config: The site's settings; what it cannot take is left out.
        minutes: Budget.
        name: `PEER`, or one of `ANCHORS`.
        tell: Told the share done, and what is being done.
    """
    classes = data.project.config.classes
    config = replace(config, paste=0.0, background_channels=False, ema=0.0, mask_head=False)
    digest = fingerprint(data.samples, classes, config, name, None)
    folder = kept.folder("peer", name, digest, minutes)
    frames = FrameCache(data.samples, config, None)

    def new() -> nn.Module:
        return new_peer(name, weights_path(EMBEDDER), len(classes), data.samples, config)

    def trainer(steps: int) -> Trainer:
        settings = replace(config, steps=steps)
        return Trainer(PeerLearner(new().to(choose_device(config.device)), settings), frames, settings)

    def pace() -> Pace:
        moments = [time.perf_counter()]
        trial = trainer(_PACE_STEPS)
        for _ in range(_PACE_STEPS):
            trial.advance()
            moments.append(time.perf_counter())
        return Pace.of(moments)

    def whole(steps: int) -> float:
        run = trainer(steps)
        file = folder / "checkpoint.safetensors"
        run.resume(load_checkpoint(file, digest))
        seconds = 0.0
        while run.step < steps:
            report = run.advance()
            seconds = report.seconds
            if run.step % _every(steps) == 0:
                run.checkpoint(digest).save(file)
            tell(run.step / steps, f"step {run.step} of {steps}")
        tensors = {key: value.cpu().contiguous() for key, value in run.snapshot().state_dict().items()}
        write_atomically(folder / _WEIGHTS, to_bytes(tensors))
        return seconds

    result = _kept(folder, minutes, pace, whole)
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    model = new()
    model.load_state_dict(load_file(folder / _WEIGHTS))
    return Trained(PeerDetector(model, classes, config.input_size, device=config.device), False, **result)


def _kept(
    folder: Path, minutes: float, pace: Callable[[], Pace], whole: Callable[[int], float]
) -> dict[str, Any]:
    """Seconds, steps and memory of a training; what was done of it before is not done again."""
    if (folder / _RESULT).is_file():
        found: dict[str, Any] = read_json(folder / _RESULT)
        return found
    plan = folder / "plan.json"
    if not plan.is_file():
        write_json(plan, {"steps": max(_FEWEST_STEPS, pace().steps(minutes * 60))})
    steps = int(read_json(plan)["steps"])
    meter = StepMeter()
    release_memory()
    with meter.step("train"):
        seconds = whole(steps)
    result = {"seconds": round(seconds, 1), "steps": steps, "peak_mb": meter.steps["train"]["peak_mb"]}
    write_json(folder / _RESULT, result)
    return result


def _every(steps: int) -> int:
    return max(_FEWEST_STEPS, steps // _CHECKPOINTS)
