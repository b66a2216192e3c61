"""What a training run is told: its settings, its samples, and what it reports while it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from curate.errors import ConfigError, TrainingError
from curate.geometry.shapes import Rle
from curate.types import FloatArray, ImageArray, IntArray

__all__ = [
    "COMPILE",
    "PRECISIONS",
    "Progress",
    "TrainConfig",
    "TrainingSample",
    "TrainingStopped",
    "fingerprint",
]


PRECISIONS = ("auto", "float32", "bfloat16")
COMPILE = ("auto", "on", "off")


class TrainingStopped(TrainingError):
    """Somebody asked the training to stop; its checkpoint is kept, so it can go on."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one training run.

    Attributes:
        architecture: Name of the network (see `ARCHITECTURES`).
        weights: What its weights start from, in words: they come as a file, whose digest is part of the run.
        pyramid: Channels of the feature pyramid of "maskrcnn-nanodet-g"; other networks' follow from their weights.
        steps: Optimiser steps; fixed, so that two runs can be compared.
        batch_size: Frames per step.
        freeze: So many of the backbone's first parts keep their weights (see `SiteModel.backbone_parts`); none with
            background channels, which the first part has to learn to read.
        learning_rate: Of the COCO detector's own weights, after warm-up; cosine to 0.
        roi_learning_rate: Of the new box heads.
        weight_decay: AdamW's.
        warmup_steps: Linear from 0.
        seed: Everything random follows from it and the number of the step.
        input_size: Long side of the input in pixels, a multiple of 32.
        background_channels: Whether the difference to the plate joins the image as input.
        mask_head: Whether masks are learnt, where the samples have any.
        balance: Frames with a class that is on a smaller share of the frames than this are shown more often (see
            `repeat_factors`); 0: all equally often.
        augment: Changes of light, and what the next four say.
        weather: Share of the frames that get haze, rain or a dark evening.
        mirror: Show half of the frames mirrored.
        zoom: Largest change of scale, as a share.
        shift: Largest shift, as a share of the frame.
        paste: Mean number of objects that are copied into each training frame, in places where such
            objects were seen; only where labels have masks.
        ema: Decay of the exponential average of the weights that becomes the detector; 0 for the last weights.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        precision: "auto" (bfloat16 where the hardware multiplies it), "float32" or "bfloat16".
        compile: "on" or "off", or "auto": torch.compile where it pays (see `pays`).
        deterministic: Use algorithms that give the same bits twice, also on a GPU; slower there.
        patience: Validations without improvement after which the run ends; 0 for never.
        checkpoint_every: Steps between two checkpoints.
    """

    architecture: str = "nanodet-g"
    weights: str = "bundled"
    pyramid: int = 256
    steps: int = 120
    batch_size: int = 4
    freeze: int = 0
    learning_rate: float = 3e-4
    roi_learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    warmup_steps: int = 15
    seed: int = 0
    input_size: int = 512
    background_channels: bool = False
    mask_head: bool = False
    balance: float = 0.0
    augment: bool = True
    weather: float = 0.0
    mirror: bool = True
    zoom: float = 0.15
    shift: float = 0.06
    paste: float = 0.0
    ema: float = 0.0
    device: str = "auto"
    precision: str = "auto"
    compile: str = "off"
    deterministic: bool = False
    patience: int = 0
    checkpoint_every: int = 20

    def __post_init__(self) -> None:
        """Refuse impossible settings.

        Raises:
            ConfigError: A number out of range.
        """
        for name in (
            "pyramid",
            "steps",
            "batch_size",
            "checkpoint_every",
            "learning_rate",
            "roi_learning_rate",
        ):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}", item=name)
        least = (
            "freeze",
            "warmup_steps",
            "weight_decay",
            "seed",
            "balance",
            "weather",
            "paste",
            "ema",
            "patience",
        )
        for name in (*least, "zoom", "shift"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name)}", item=name)
        for name, known in (("precision", PRECISIONS), ("compile", COMPILE)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {known}, got {getattr(self, name)!r}", item=name)
        for name, most in (("zoom", 0.5), ("shift", 0.5), ("balance", 1), ("weather", 1)):
            if getattr(self, name) > most:
                raise ConfigError(f"{name} must be at most {most}, got {getattr(self, name)}", item=name)
        if self.freeze and self.background_channels:
            raise ConfigError(
                f"freeze must be 0 with background channels, got {self.freeze}",
                item="freeze",
                hint="the first part of the network has to learn to read them",
            )
        if self.ema >= 1:
            raise ConfigError(f"ema must be below 1, got {self.ema}", item="ema")
        if self.input_size < 64 or self.input_size % 32:
            raise ConfigError(
                f"input_size must be a multiple of 32, at least 64, got {self.input_size}", item="input_size"
            )


@dataclass(frozen=True)
class TrainingSample:
    """One labelled frame.

    Attributes:
        key: Unique name of the frame's content (its id); part of the run's fingerprint.
        image: A file, or a function that returns the (H, W, 3) RGB frame.
        boxes: (N, 4) labels, x1 y1 x2 y2 in pixels of the frame.
        classes: (N,) index into the class list.
        masks: One per label; None where the label has no mask. Empty means that no label has one.
        ignore_boxes: (K, 4) boxes in which nothing is learnt (crowds, labels to be ignored).
        ignore_regions: Polygons (P, 2) in pixels of the frame in which nothing is learnt (far zones, hedges).
    """

    key: str
    image: Path | Callable[[], ImageArray]
    boxes: FloatArray
    classes: IntArray
    masks: tuple[Rle | None, ...] = ()
    ignore_boxes: FloatArray = field(default_factory=lambda: np.zeros((0, 4)))
    ignore_regions: tuple[FloatArray, ...] = ()

    def __post_init__(self) -> None:
        """Bring the arrays to their shapes.

        Raises:
            TrainingError: Boxes, classes and masks do not fit each other, or a box is empty or not finite.
        """
        object.__setattr__(self, "boxes", np.asarray(self.boxes, float).reshape(-1, 4))
        object.__setattr__(self, "classes", np.asarray(self.classes, np.int64).reshape(-1))
        object.__setattr__(self, "ignore_boxes", np.asarray(self.ignore_boxes, float).reshape(-1, 4))
        regions = tuple(np.asarray(region, float).reshape(-1, 2) for region in self.ignore_regions)
        object.__setattr__(self, "ignore_regions", regions)
        if len(self.classes) != len(self.boxes) or len(self.masks) not in (0, len(self.boxes)):
            raise TrainingError(
                f"expected one class and one mask (or no masks) per box, got {len(self.boxes)} boxes, "
                f"{len(self.classes)} classes, {len(self.masks)} masks",
                item=self.key,
            )
        if not np.isfinite(self.boxes).all() or (self.boxes[:, 2:] <= self.boxes[:, :2]).any():
            raise TrainingError("a label's box is empty or not finite", item=self.key)


@dataclass(frozen=True)
class Progress:
    """State of a run after a step.

    Attributes:
        step: Steps done.
        steps: Steps in all.
        seconds: Spent so far, those before a resume included.
        eta_seconds: Expected until the end.
        learning_rate: Of this step.
        losses: By name; "total" is their sum.
        remark: What somebody should know besides; mostly "".
    """

    step: int
    steps: int
    seconds: float
    eta_seconds: float
    learning_rate: float
    losses: Mapping[str, float]
    remark: str = ""


def fingerprint(
    samples: Sequence[TrainingSample],
    classes: Sequence[str],
    config: TrainConfig,
    weights: str,
    plate: ImageArray | None,
) -> str:
    """SHA-256, in hex, of everything that a run's result depends on.

    Two runs with one fingerprint may share a checkpoint. How often checkpoints are written is left out.

    Args:
        samples: Labelled frames; an image counts by its key.
        classes: Class list.
        config: Settings.
        weights: Digest of the weights that the run starts from.
        plate: Background plate, if it is used.
    """
    settings = asdict(config)
    del settings["checkpoint_every"]
    digest = hashlib.sha256(json.dumps([settings, list(classes), weights], sort_keys=True).encode())
    for sample in samples:
        digest.update(json.dumps([sample.key, len(sample.boxes), len(sample.ignore_boxes)]).encode())
        for array in (sample.boxes, sample.classes, sample.ignore_boxes):
            digest.update(np.ascontiguousarray(array).tobytes())
        for region in sample.ignore_regions:
            digest.update(b"region" + np.ascontiguousarray(region).tobytes())
        for mask in sample.masks:
            digest.update(repr(mask).encode())
    if plate is not None:
        digest.update(np.ascontiguousarray(plate).tobytes())
    return digest.hexdigest()
