"""How long our loop and torchvision's reference loop take to an AP on gold: same network, labels and machine."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from curate.assist import COCO_DETECTOR, weights_path
from curate.bench.kept import Kept
from curate.bench.train_data import TrainData
from curate.bench.train_reference import REFERENCE_RATE, ReferenceLoop
from curate.detectors import SiteDetector, TrainConfig
from curate.detectors.config import fingerprint
from curate.detectors.frames import FrameCache
from curate.detectors.inference import choose_device
from curate.detectors.learner import SiteLearner
from curate.detectors.model import SiteNetwork, new_site_network
from curate.detectors.trainer import Trainer
from curate.errors import TrainingError
from curate.workflows.progress import SubReporter

__all__ = ["new_network", "time_to_ap", "times_to"]

_LOOKS = 8
_PACE_STEPS = 4
_METRICS = ("box_ap", "box_ap50")
_SLOWER = 0.1

Begun = tuple[Callable[[], object], Callable[[], SiteNetwork]]


def new_network(data: TrainData, config: TrainConfig, layout: torch.memory_format) -> SiteNetwork:
    """The site's network with the bundled weights, without masks, on its device."""
    model = new_site_network(
        weights_path(COCO_DETECTOR),
        data.project.config.classes,
        channels=3,
        mask_head=False,
        seed=config.seed,
    )
    return model.to(choose_device(config.device)).to(memory_format=layout)


def time_to_ap(
    data: TrainData, kept: Kept, config: TrainConfig, *, minutes: float, reporter: SubReporter
) -> dict[str, Any]:
    """Both loops for the same minutes, their schedules cut to them, gold looked at eight times on the way.

    Gold chooses nothing here. The clock stands while it is looked at; what comes before the first step (decoding,
    workers that start) is in it. The target is the largest AP that both reach. The reference starts at its own
    learning rate, scaled to the batch; if that diverges, at a tenth of it.

    Args:
        data: Labels and gold.
        kept: Curves that are there already, and where new ones go.
        config: Settings, without masks.
        minutes: Budget of each loop.
        reporter: Told how far it is.

    Returns:
        "ours" and "reference": steps, rate, why it ended early ("error"), and "curve" of step, seconds, box_ap and
        box_ap50; "to" as `times_to` gives it.
    """
    own_rate = REFERENCE_RATE * config.batch_size
    digest = fingerprint(data.samples, data.project.config.classes, config, "", None)

    def curve(loop: str, rate: float, part: SubReporter) -> dict[str, Any]:
        content = ("time to AP", digest, data.label, [frame.id for frame in data.gold.frames], minutes)
        return kept.value(lambda: _curve(data, config, minutes, loop, rate, part), *content, loop, rate)

    ours = curve("ours", config.learning_rate, SubReporter(reporter, 0.0, 0.5))
    last = SubReporter(reporter, 0.5, 1.0)
    reference = curve("reference", own_rate, last)
    if reference["error"]:
        reference = curve("reference", own_rate * _SLOWER, last)
    return {
        "minutes": minutes,
        "ours": ours,
        "reference": reference,
        "to": times_to(ours["curve"], reference["curve"]),
    }


def _curve(
    data: TrainData, config: TrainConfig, minutes: float, loop: str, rate: float, reporter: SubReporter
) -> dict[str, Any]:
    advance, _ = _begin(data, replace(config, steps=_PACE_STEPS), loop, 1e-6)
    advance()
    started = time.perf_counter()
    for _ in range(_PACE_STEPS - 1):
        advance()
    pace = (time.perf_counter() - started) / (_PACE_STEPS - 1)
    steps = max(_LOOKS, int(minutes * 60 / pace))
    looks = {round(steps * (at + 1) / _LOOKS) for at in range(_LOOKS)}
    result: dict[str, Any] = {"steps": steps, "rate": rate, "error": "", "curve": []}
    spent, started = 0.0, time.perf_counter()
    advance, network = _begin(data, replace(config, steps=steps), loop, rate)
    for step in range(1, steps + 1):
        try:
            advance()
        except TrainingError as error:
            return result | {"error": str(error)}
        if step in looks:
            spent += time.perf_counter() - started
            row = {"step": step, "seconds": round(spent, 2), **_look(data, config, network())}
            result["curve"].append(row)
            started = time.perf_counter()
        reporter.update(step / steps, f"time to AP, {loop}: step {step} of {steps}")
    return result


def _begin(data: TrainData, config: TrainConfig, loop: str, rate: float) -> Begun:
    """What makes a step, and what gives the network as it then is."""
    if loop == "ours":
        config = replace(config, learning_rate=rate)
        learner = SiteLearner(new_network(data, config, torch.channels_last), config)
        trainer = Trainer(learner, FrameCache(data.samples, config, None), config)
        # The snapshot has the averaged weights, where the recipe averages.
        return trainer.advance, lambda: _site_network(trainer.snapshot())
    config = replace(config, precision="float32", freeze=0)
    learner = SiteLearner(new_network(data, config, torch.contiguous_format), config)
    reference = ReferenceLoop(learner, data.samples, config, rate)
    return reference.advance, lambda: _site_network(copy.deepcopy(learner.model))


def _site_network(model: torch.nn.Module) -> SiteNetwork:
    assert isinstance(model, SiteNetwork)
    return model


def _look(data: TrainData, config: TrainConfig, network: SiteNetwork) -> dict[str, float]:
    detector = SiteDetector(network, data.project.config.classes, config, device=config.device)
    found = [detector.predict([data.project.frame_image(frame)])[0] for frame in data.gold.frames]
    box = data.judge(found, 0.0).per_class[data.label].box
    return {"box_ap": box.ap or 0.0, "box_ap50": box.ap50 or 0.0}


def times_to(
    ours: Sequence[Mapping[str, float]], reference: Sequence[Mapping[str, float]]
) -> dict[str, dict[str, float | None]]:
    """Per figure the largest value that both curves reach, when each first reaches it, and how often faster ours is.

    Args:
        ours: Rows of "seconds" and the figures, in time.
        reference: The same.

    Returns:
        Figure -> "target", "ours" and "reference" (seconds), "ratio" (reference / ours); all None when a curve is
        empty.
    """
    result: dict[str, dict[str, float | None]] = {}
    for metric in _METRICS:
        if not ours or not reference:
            result[metric] = dict.fromkeys(("target", "ours", "reference", "ratio"))
            continue
        target = min(max(row[metric] for row in curve) for curve in (ours, reference))
        first, second = (
            next(row["seconds"] for row in curve if row[metric] >= target) for curve in (ours, reference)
        )
        result[metric] = {
            "target": target,
            "ours": first,
            "reference": second,
            "ratio": round(second / first, 3),
        }
    return result
