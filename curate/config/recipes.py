"""Recipes of the site's detector as data: what site.yaml leaves open, one of these decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ARCHITECTURE_TITLES", "LARGEST_INPUT", "MOST_FROZEN", "RECIPES", "Recipe", "recipe_for"]

LARGEST_INPUT = 1920
"""Frames are not looked at more finely than this, in pixels of the long side."""
MOST_FROZEN = 5
"""Parts that every backbone has: what is before the first stage, and four stages."""


ARCHITECTURE_TITLES: Mapping[str, str] = {
    "nanodet-g": "NanoDet-G (3.8 million parameters)",
    "maskrcnn-resnet50-fpn-v2": "Mask R-CNN ResNet-50 FPN v2 (46 million parameters)",
    "maskrcnn-nanodet-g": "Mask R-CNN on NanoDet-G's backbone (23 million parameters)",
}
"""The networks that a site's detector can have, and how people call them."""


@dataclass(frozen=True)
class Recipe:
    """Settings of model and training.

    Attributes:
        summary: What it is for, in one sentence.
        architecture: The network (see `ARCHITECTURE_TITLES`).
        weights: What it starts from: "bundled", or "coco" for torchvision's weights.
        input_size: Long side of the input; None for the frames' own, up to `LARGEST_INPUT`.
        steps: Optimiser steps.
        batch_size: Frames a step.
        freeze: So many of the backbone's first parts keep their weights, where there are no background channels.
        learning_rate: Of the COCO detector's own weights.
        roi_learning_rate: Of the parts that are the site's own.
        checkpoint_every: Steps between two checkpoints; they are as large as three networks.
        ema: Decay of the average of the weights; 0 for the last weights.
        mirror: Whether half of the training frames are mirrored.
        zoom: Largest change of scale, as a share.
        shift: Largest shift, as a share of the frame.
    """

    summary: str
    architecture: str
    weights: str
    input_size: int | None
    steps: int
    batch_size: int
    freeze: int
    learning_rate: float
    roi_learning_rate: float
    checkpoint_every: int
    ema: float
    mirror: bool
    zoom: float
    shift: float


RECIPES: Mapping[str, Recipe] = {
    "cpu": Recipe(
        "A minute or two on two cores; 20 to 30 ms a frame.",
        architecture="nanodet-g",
        weights="bundled",
        input_size=512,
        steps=120,
        batch_size=4,
        freeze=0,
        learning_rate=3e-4,
        roi_learning_rate=2e-3,
        checkpoint_every=20,
        ema=0.0,
        mirror=True,
        zoom=0.15,
        shift=0.06,
    ),
    # Not measured: no GPU was at hand. Four times the frames a step at twice the rate, the frames' own resolution.
    "gpu": Recipe(
        "The same network at the frames' own resolution, larger batches, more steps, averaged weights.",
        architecture="nanodet-g",
        weights="bundled",
        input_size=None,
        steps=600,
        batch_size=16,
        freeze=0,
        learning_rate=6e-4,
        roi_learning_rate=2e-3,
        checkpoint_every=20,
        ema=0.99,
        mirror=True,
        zoom=0.15,
        shift=0.06,
    ),
    # Not measured either, and no accuracy is claimed: neither a GPU nor torchvision's weights were at hand.
    "maskrcnn": Recipe(
        "torchvision's Mask R-CNN ResNet-50 FPN v2 from its COCO weights, at the frames' own resolution; for GPUs.",
        architecture="maskrcnn-resnet50-fpn-v2",
        weights="coco",
        input_size=None,
        steps=600,
        batch_size=8,
        freeze=0,
        learning_rate=1e-4,
        roi_learning_rate=4e-4,
        checkpoint_every=100,
        ema=0.99,
        mirror=True,
        zoom=0.15,
        shift=0.06,
    ),
}


def recipe_for(name: str, *, cuda: bool, coco_weights: bool = False) -> Recipe:
    """A recipe by its name; "auto" takes the widest network that the machine can train and has weights for.

    That is "cpu" without a CUDA device; with one it is "maskrcnn" where torchvision's COCO weights lie on this
    machine, else "gpu": nothing is downloaded unless site.yaml asks for it.

    Args:
        name: "auto", or one of `RECIPES`.
        cuda: Whether training will run on a CUDA device.
        coco_weights: Whether torchvision's COCO weights are here.
    """
    if name != "auto":
        return RECIPES[name]
    if not cuda:
        return RECIPES["cpu"]
    return RECIPES["maskrcnn" if coco_weights else "gpu"]
