"""How fast we train: images a second against torchvision's reference loop, and how time grows with frames."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from curate.assist import COCO_DETECTOR, weights_path
from curate.bench.train_data import TrainData
from curate.bench.train_reference import cpu_seconds, reference_pace
from curate.detectors import TrainConfig, TrainingSample
from curate.detectors.frames import FrameCache
from curate.detectors.inference import choose_device
from curate.detectors.learner import SiteLearner, multiplies_bfloat16
from curate.detectors.model import new_site_network
from curate.detectors.trainer import Trainer
from curate.workflows.measure import StepMeter
from curate.workflows.progress import SubReporter
from curate.workflows.train import train_config

__all__ = ["bench_train", "train_markdown"]

_WARM_UP = 3


def bench_train(
    data: TrainData, *, steps: int, rounds: int, frames: Sequence[int], reporter: SubReporter
) -> dict[str, Any]:
    """Both loops on the same network, labels and machine, by turns; then ours on more and more frames.

    Masks are off on both sides: the reference's data path has no crops of them. What our loop does more, averaging
    of weights, shift, zoom and light, is in its time.

    Args:
        data: Labels.
        steps: Timed steps of a round.
        rounds: Rounds a side; the better pace of each counts, as the machine may be shared.
        frames: Sizes of the data set, made by repeating the frames.
        reporter: Told how far it is.

    Returns:
        "ratio_to_reference" (and the same with bfloat16, None where the device does not multiply it), images a
        second of both, peak memory, and rows of "frames", "images_per_second",
        "seconds_to_first_step" and "peak_mb".
    """
    config = replace(train_config(data.project), mask_head=False, steps=10**6)
    meter = StepMeter()
    ours: list[tuple[float, float]] = []
    reference: list[tuple[float, float]] = []
    bfloat16: list[tuple[float, float]] = []
    for turn in range(rounds):
        reporter.update(turn / (rounds + 1), f"round {turn + 1} of {rounds}: the reference loop")
        with meter.step("reference"):
            # As it stands there: no automatic mixed precision unless one asks for it.
            plain = replace(config, precision="float32")
            learner = SiteLearner(_network(data, plain, torch.contiguous_format), plain)
            reference.append(reference_pace(learner, data.samples, config, steps, _WARM_UP))
        reporter.update((turn + 0.5) / (rounds + 1), f"round {turn + 1} of {rounds}: our loop")
        with meter.step("ours"):
            row = _pace(data, data.samples, config, steps)
            ours.append((row["images_per_second"], row["cpu_seconds_per_image"]))
        if multiplies_bfloat16(choose_device(config.device)):
            with meter.step("bfloat16"):
                fast = _pace(data, data.samples, replace(config, precision="bfloat16"), steps)
            bfloat16.append((fast["images_per_second"], fast["cpu_seconds_per_image"]))
    growth = []
    for at, count in enumerate(frames):
        reporter.update((rounds + at / len(frames)) / (rounds + 1), f"{count} frames")
        with meter.step("growth"):
            row = _pace(data, _repeated(data.samples, count), config, steps)
        growth.append({"frames": count, **row, "peak_mb": meter.steps["growth"]["peak_mb"]})
    return {
        "ratio_to_reference": round(max(ours)[0] / max(reference)[0], 3),
        "images_per_second": round(max(ours)[0], 2),
        "reference_images_per_second": round(max(reference)[0], 2),
        "cpu_seconds_per_image": round(min(cpu for _, cpu in ours), 4),
        "reference_cpu_seconds_per_image": round(min(cpu for _, cpu in reference), 4),
        "ratio_to_reference_bfloat16": (round(max(bfloat16)[0] / max(reference)[0], 3) if bfloat16 else None),
        "cpu_seconds_per_image_bfloat16": (round(min(cpu for _, cpu in bfloat16), 4) if bfloat16 else None),
        "precision": config.precision,
        "peak_mb": meter.steps["ours"]["peak_mb"],
        "reference_peak_mb": meter.steps["reference"]["peak_mb"],
        "batch_size": config.batch_size,
        "input_size": config.input_size,
        "device": str(choose_device(config.device)),
        "threads": torch.get_num_threads(),
        "rounds": [
            {"ours": round(own, 2), "reference": round(other, 2)}
            for (own, _), (other, _) in zip(ours, reference, strict=True)
        ],
        "growth": growth,
    }


def _network(data: TrainData, config: TrainConfig, layout: torch.memory_format) -> Any:
    model = new_site_network(
        weights_path(COCO_DETECTOR),
        data.project.config.classes,
        channels=3,
        mask_head=False,
        seed=config.seed,
    )
    return model.to(choose_device(config.device)).to(memory_format=layout)


def _pace(
    data: TrainData, samples: Sequence[TrainingSample], config: TrainConfig, steps: int
) -> dict[str, float]:
    """Images a second of our loop once it runs, frames decoded in the timed steps as they come."""
    started = time.perf_counter()
    learner = SiteLearner(_network(data, config, torch.channels_last), config)
    trainer = Trainer(learner, FrameCache(samples, config, None), config)
    trainer.advance()
    first = time.perf_counter() - started
    for _ in range(_WARM_UP - 1):
        trainer.advance()
    started, spent = time.perf_counter(), cpu_seconds()
    for _ in range(steps):
        trainer.advance()
    seconds, spent = time.perf_counter() - started, cpu_seconds() - spent
    return {
        "cpu_seconds_per_image": round(spent / (steps * config.batch_size), 4),
        "images_per_second": round(steps * config.batch_size / seconds, 2),
        "seconds_to_first_step": round(first, 2),
    }


def _repeated(samples: Sequence[TrainingSample], count: int) -> list[TrainingSample]:
    return [replace(samples[at % len(samples)], key=f"{at}") for at in range(count)]


def train_markdown(figures: dict[str, Any]) -> str:
    """The figures as tables for docs/benchmarks.md."""
    lines = [
        "| loop | images a second | CPU seconds an image | peak MB |",
        "|---|---|---|---|",
        f"| torchvision's reference | {figures['reference_images_per_second']} "
        f"| {figures['reference_cpu_seconds_per_image']} | {figures['reference_peak_mb']:.0f} |",
        f"| ours | {figures['images_per_second']} | {figures['cpu_seconds_per_image']} | {figures['peak_mb']:.0f} |",
        f"| ratio | {figures['ratio_to_reference']} | | |",
    ]
    if figures["ratio_to_reference_bfloat16"] is not None:
        cells = [figures["ratio_to_reference_bfloat16"], figures["cpu_seconds_per_image_bfloat16"]]
        lines.append(f"| ratio with bfloat16 | {cells[0]} | {cells[1]} | |")
    if figures["growth"]:
        lines += [
            "",
            "| frames | images a second | seconds to the first step | peak MB |",
            "|---|---|---|---|",
        ]
    for row in figures["growth"]:
        cells = [
            row["frames"],
            row["images_per_second"],
            row["seconds_to_first_step"],
            f"{row['peak_mb']:.0f}",
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)
