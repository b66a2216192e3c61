"""How fast we train: images a second against torchvision's reference loop, and how time grows with frames."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from curate.bench.kept import Kept, release_memory
from curate.bench.time_to_ap import new_network, time_to_ap
from curate.bench.train_data import TrainData
from curate.bench.train_reference import cpu_seconds, reference_pace
from curate.detectors import TrainConfig, TrainingSample
from curate.detectors.config import fingerprint
from curate.detectors.frames import FrameCache
from curate.detectors.inference import choose_device
from curate.detectors.learner import SiteLearner, multiplies_bfloat16
from curate.detectors.trainer import Trainer
from curate.workflows.measure import StepMeter
from curate.workflows.progress import SubReporter
from curate.workflows.train import train_config

__all__ = ["bench_train", "train_markdown"]

_WARM_UP = 3
_FROZEN = 2


def bench_train(
    data: TrainData,
    kept: Kept,
    *,
    steps: int,
    rounds: int,
    frames: Sequence[int],
    minutes: float,
    reporter: SubReporter,
) -> dict[str, Any]:
    """Both loops on the same network, labels and machine, by turns; ours on more and more frames; time to AP.

    Masks are off on both sides: the reference's data path has no crops of them. What our loop does more, averaging
    of weights, shift, zoom and light, is in its time. The reference trains all layers; ours is measured so, too, and
    with the backbone's first parts frozen: as many as the site freezes, or two where it freezes none.

    Args:
        data: Labels and gold.
        kept: What was measured already in an earlier call, by content, and where the rest goes.
        steps: Timed steps of a round.
        rounds: Rounds a side; the better pace of each counts, as the machine may be shared.
        frames: Sizes of the data set, made by repeating the frames.
        minutes: Of training by each loop for the time to AP; 0 leaves it out.
        reporter: Told how far it is.

    Returns:
        "ratio_to_reference" of the site's settings (and the same in float32, None where that is what they come to),
        images a second of both, "frozen_parts" of the site, "by_frozen_parts" with rows of "frozen_parts",
        "images_per_second", "cpu_seconds_per_image" and "ratio_to_reference", peak memory, "growth" with rows of
        "frames", "images_per_second", "seconds_to_first_step", "recipe_seconds" (what the recipe's steps take with so
        many frames) and "peak_mb", and "time_to_ap" (see there; None when left out).
    """
    config = replace(train_config(data.project), mask_head=False, checkpoint_every=10**6)
    digest = fingerprint(data.samples, data.project.config.classes, config, "", None)
    parts = [SubReporter(reporter, low, high) for low, high in ((0.0, 0.4), (0.4, 0.6), (0.6, 1.0))]
    figures = kept.value(
        lambda: _rounds(data, config, steps, rounds, parts[0]), "rounds", digest, steps, rounds
    )
    growth = []
    for at, count in enumerate(frames):
        parts[1].update(at / len(frames), f"{count} frames")
        row = kept.value(partial(_growth, data, config, count, steps), "growth", digest, count, steps)
        growth.append(row)
    reached = time_to_ap(data, kept, config, minutes=minutes, reporter=parts[2]) if minutes else None
    return {**figures, "growth": growth, "time_to_ap": reached}


def _rounds(
    data: TrainData, config: TrainConfig, steps: int, rounds: int, reporter: SubReporter
) -> dict[str, Any]:
    meter = StepMeter()
    paces: dict[str, list[tuple[float, float]]] = {"reference": [], "ours": [], "other": [], "float32": []}
    other = 0 if config.freeze else _FROZEN
    for turn in range(rounds):
        reporter.update(turn / rounds, f"round {turn + 1} of {rounds}: the reference loop")
        release_memory()
        with meter.step("reference"):
            # As it stands there: all layers, no automatic mixed precision unless one asks for it.
            plain = replace(config, precision="float32", freeze=0)
            learner = SiteLearner(new_network(data, plain, torch.contiguous_format), plain)
            paces["reference"].append(reference_pace(learner, data.samples, config, steps, _WARM_UP))
        reporter.update((turn + 0.5) / rounds, f"round {turn + 1} of {rounds}: our loop")
        release_memory()
        with meter.step("ours"):
            paces["ours"].append(_both(_pace(data, data.samples, config, steps)))
        with meter.step("other"):
            paces["other"].append(_both(_pace(data, data.samples, replace(config, freeze=other), steps)))
        if config.precision != "float32" and multiplies_bfloat16(choose_device(config.device)):
            with meter.step("float32"):
                exact = _pace(data, data.samples, replace(config, precision="float32"), steps)
            paces["float32"].append(_both(exact))
    best = {name: max((pace for pace, _ in values), default=None) for name, values in paces.items()}
    least = {name: min((cpu for _, cpu in values), default=None) for name, values in paces.items()}
    against = best["reference"] or 1.0
    by_frozen = [
        {
            "frozen_parts": frozen,
            "images_per_second": round(best[name] or 0.0, 2),
            "cpu_seconds_per_image": least[name],
            "ratio_to_reference": round((best[name] or 0.0) / against, 3),
        }
        for name, frozen in (("ours", config.freeze), ("other", other))
    ]
    return {
        "frozen_parts": config.freeze,
        "by_frozen_parts": sorted(by_frozen, key=lambda row: row["frozen_parts"] or 0),
        "ratio_to_reference": round((best["ours"] or 0.0) / against, 3),
        "images_per_second": round(best["ours"] or 0.0, 2),
        "reference_images_per_second": round(against, 2),
        "cpu_seconds_per_image": least["ours"],
        "reference_cpu_seconds_per_image": round(least["reference"] or 0.0, 4),
        "ratio_to_reference_float32": None
        if best["float32"] is None
        else round(best["float32"] / against, 3),
        "cpu_seconds_per_image_float32": least["float32"],
        "precision": config.precision,
        "peak_mb": meter.steps["ours"]["peak_mb"],
        "reference_peak_mb": meter.steps["reference"]["peak_mb"],
        "batch_size": config.batch_size,
        "input_size": config.input_size,
        "device": str(choose_device(config.device)),
        "threads": torch.get_num_threads(),
        "rounds": [
            {"ours": round(own, 2), "reference": round(other, 2)}
            for (own, _), (other, _) in zip(paces["ours"], paces["reference"], strict=True)
        ],
    }


def _both(row: Mapping[str, float]) -> tuple[float, float]:
    return row["images_per_second"], row["cpu_seconds_per_image"]


def _growth(data: TrainData, config: TrainConfig, count: int, steps: int) -> dict[str, Any]:
    meter = StepMeter()
    release_memory()
    with meter.step("growth"):
        row = _pace(data, _repeated(data.samples, count), config, steps)
    whole = row["seconds_to_first_step"] + (config.steps - 1) * config.batch_size / row["images_per_second"]
    return {
        "frames": count,
        **row,
        "recipe_seconds": round(whole, 1),
        "peak_mb": meter.steps["growth"]["peak_mb"],
    }


def _pace(
    data: TrainData, samples: Sequence[TrainingSample], config: TrainConfig, steps: int
) -> dict[str, float]:
    """Images a second of our loop once it runs, frames decoded in the timed steps as they come."""
    started = time.perf_counter()
    learner = SiteLearner(new_network(data, config, torch.channels_last), config)
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


def _layers(frozen: int) -> str:
    return f"all but the first {frozen} parts of the backbone" if frozen else "all"


def train_markdown(figures: dict[str, Any]) -> str:
    """The figures as tables for docs/benchmarks.md."""
    lines = [
        "| loop | layers trained | images a second | CPU seconds an image | times the reference |",
        "|---|---|---|---|---|",
        f"| torchvision's reference | all | {figures['reference_images_per_second']} "
        f"| {figures['reference_cpu_seconds_per_image']} | |",
    ]
    for row in figures["by_frozen_parts"]:
        own = ", the site's settings" if row["frozen_parts"] == figures["frozen_parts"] else ""
        lines.append(
            f"| ours{own} | {_layers(row['frozen_parts'])} | {row['images_per_second']} "
            f"| {row['cpu_seconds_per_image']} | {row['ratio_to_reference']} |"
        )
    if figures["ratio_to_reference_float32"] is not None:
        layers = _layers(figures["frozen_parts"])
        cells = [figures["cpu_seconds_per_image_float32"], figures["ratio_to_reference_float32"]]
        lines.append(f"| ours in float32 | {layers} | | {cells[0]} | {cells[1]} |")
    lines += ["", f"Peak MB: {figures['peak_mb']:.0f}, of the reference {figures['reference_peak_mb']:.0f}."]
    if figures["growth"]:
        lines += [
            "",
            "| frames | images a second | seconds to the first step | seconds of the recipe | peak MB |",
            "|---|---|---|---|---|",
        ]
    for row in figures["growth"]:
        cells = [
            row["frames"],
            row["images_per_second"],
            row["seconds_to_first_step"],
            row["recipe_seconds"],
            f"{row['peak_mb']:.0f}",
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    if figures["time_to_ap"] is not None:
        lines += _ap_lines(figures["time_to_ap"])
    return "\n".join(lines)


def _ap_lines(reached: Mapping[str, Any]) -> list[str]:
    lines = ["", f"Time to AP, {reached['minutes']:g} minutes a loop:", ""]
    lines += ["| figure | reached by both | ours | reference | times as fast |", "|---|---|---|---|---|"]
    for metric, row in reached["to"].items():
        if row["target"] is None:
            lines.append(f"| {metric} | - | - | - | - |")
            continue
        cells = [f"{row['target']:.3f}", f"{row['ours']:.1f} s", f"{row['reference']:.1f} s", row["ratio"]]
        lines.append("| " + " | ".join(str(cell) for cell in (metric, *cells)) + " |")
    lines += ["", "| seconds | loop | AP | AP50 |", "|---|---|---|---|"]
    for loop in ("ours", "reference"):
        lines += [
            f"| {row['seconds']:.1f} | {loop} | {row['box_ap']:.3f} | {row['box_ap50']:.3f} |"
            for row in reached[loop]["curve"]
        ]
    return lines
