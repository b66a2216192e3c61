"""Recipes of the site's detector as data: what site.yaml leaves open, one of these decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LARGEST_INPUT", "RECIPES", "Recipe", "recipe_for"]

LARGEST_INPUT = 1920
"""Frames are not looked at more finely than this, in pixels of the long side."""


@dataclass(frozen=True)
class Recipe:
    """Settings of model and training.

    Attributes:
        summary: What it is for, in one sentence.
        input_size: Long side of the input; None for the frames' own, up to `LARGEST_INPUT`.
        steps: Optimiser steps.
        batch_size: Frames a step.
        learning_rate: Of the COCO detector's own weights.
        ema: Decay of the average of the weights; 0 for the last weights.
        mirror: Whether half of the training frames are mirrored.
        zoom: Largest change of scale, as a share.
        shift: Largest shift, as a share of the frame.
    """

    summary: str
    input_size: int | None
    steps: int
    batch_size: int
    learning_rate: float
    ema: float
    mirror: bool
    zoom: float
    shift: float


RECIPES: Mapping[str, Recipe] = {
    "cpu": Recipe(
        "A minute or two on two cores; 20 to 30 ms a frame.",
        input_size=512,
        steps=120,
        batch_size=4,
        learning_rate=3e-4,
        ema=0.0,
        mirror=True,
        zoom=0.15,
        shift=0.06,
    ),
    # Not measured: no GPU was at hand. Four times the frames a step at twice the rate, the frames' own resolution.
    "gpu": Recipe(
        "The same network at the frames' own resolution, larger batches, more steps, averaged weights.",
        input_size=None,
        steps=600,
        batch_size=16,
        learning_rate=6e-4,
        ema=0.99,
        mirror=True,
        zoom=0.15,
        shift=0.06,
    ),
}


def recipe_for(name: str, *, cuda: bool) -> Recipe:
    """A recipe by its name; "auto" is "gpu" where training will run on a CUDA device, else "cpu"."""
    return RECIPES[("gpu" if cuda else "cpu") if name == "auto" else name]
