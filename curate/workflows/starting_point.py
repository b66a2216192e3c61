"""Which weights a training starts from: the bundled ones, torchvision's, or a file that site.yaml names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from curate.assist import COCO_DETECTOR, weights_path
from curate.detectors import TrainConfig
from curate.detectors.maskrcnn_start import fetch_coco_weights
from curate.detectors.weights import weights_digest
from curate.errors import ModelError
from curate.workflows.progress import Reporter
from curate.workflows.project import Project

__all__ = ["FALLBACK", "StartingPoint", "starting_point"]

FALLBACK = "maskrcnn-nanodet-g"
"""The network that takes the place of torchvision's where its weights cannot be had."""
_BUNDLED, _COCO = "bundled", "coco"
_DIGITS = 12


@dataclass(frozen=True)
class StartingPoint:
    """Settings that say what is really trained, and the file that it starts from."""

    config: TrainConfig
    weights: Path


def starting_point(project: Project, config: TrainConfig, reporter: Reporter) -> StartingPoint:
    """Find the weights that settings ask for.

    torchvision's COCO weights are taken from torch's hub cache, or downloaded into it. Where that fails, the
    reporter is told why, and Mask R-CNN's heads are trained on the bundled detector's backbone instead; the settings
    returned name that network, so that nobody takes one for the other.

    Args:
        project: The project; files are named from its folder.
        config: Settings.
        reporter: Told of a fallback.

    Raises:
        ModelError: The file named in site.yaml cannot be read.
    """
    bundled = weights_path(COCO_DETECTOR)
    if config.architecture == "nanodet-g":
        return StartingPoint(config, bundled)
    fallback = StartingPoint(replace(config, architecture=FALLBACK, weights=_BUNDLED), bundled)
    if config.weights == _BUNDLED:
        return fallback
    if config.weights != _COCO:
        path = project.root / Path(config.weights).expanduser()
        if not path.is_file():
            hint = f"model.weights: {_COCO}, {_BUNDLED}, or a .safetensors, .pt or .pth file"
            raise ModelError("there is no such weights file", file=path, hint=hint)
        named = f"{path.name} {weights_digest(path)[:_DIGITS]}"
        return StartingPoint(replace(config, weights=named), path)
    try:
        return StartingPoint(config, fetch_coco_weights())
    except ModelError as error:
        reporter.update(0.0, f"{error.message}; Mask R-CNN is trained on the bundled backbone instead")
        return fallback
