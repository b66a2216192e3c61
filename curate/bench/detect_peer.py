"""Torchvision's FCOS, fine-tuned on a site's labels from the bundled ImageNet weights: a peer to measure against."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS
from torchvision.models.detection.anchor_utils import AnchorGenerator

from curate.bench.detect_backbone import Lite0Pyramid
from curate.detectors.config import TrainConfig
from curate.detectors.frames import Batch
from curate.detectors.inference import SCORE_THRESHOLD, choose_device
from curate.detectors.learner import ParameterGroup
from curate.detectors.letterbox import fit_canvas, letterbox
from curate.geometry import clip_boxes
from curate.tables import Detections
from curate.types import ImageArray

__all__ = ["PEER", "FcosDetector", "FcosLearner", "new_fcos"]

PEER = "torchvision FCOS, EfficientNet-Lite0"
_WIDTH = 128
_STRIDES = (8, 16, 32, 64, 128)
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_HEAD_FACTOR = 4.0


def new_fcos(weights: Path, classes: int, seed: int) -> FCOS:
    """FCOS (Tian et al., 2019) on Lite0 with a pyramid of 128 channels; the seed makes its heads."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FCOS(
            Lite0Pyramid(weights, _WIDTH),
            classes + 1,  # torchvision counts the background.
            anchor_generator=AnchorGenerator(tuple((s,) for s in _STRIDES), ((1.0,),) * len(_STRIDES)),
            _skip_resize=True,  # The frames come letterboxed.
            image_mean=_MEAN,
            image_std=_STD,
            score_thresh=SCORE_THRESHOLD,
        )


def to_rgb(canvases: Tensor, device: torch.device) -> list[Tensor]:
    """uint8 BGR canvases (B, h, w, 3) to torchvision's list of (3, h, w) RGB in [0, 1]."""
    pixels = canvases[..., [2, 1, 0]].to(device).float() / 255
    return list(pixels.permute(0, 3, 1, 2))


class FcosLearner:
    """FCOS for the trainer, with torchvision's own losses.

    Args:
        model: On its device.
        config: Settings of the run; new heads learn four times as fast as the backbone.
    """

    def __init__(self, model: FCOS, config: TrainConfig) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        body: nn.Module = model.backbone.body
        own = {id(parameter) for parameter in body.parameters()}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in own]
        self._groups = (
            ParameterGroup(list(body.parameters()), config.learning_rate),
            ParameterGroup(rest, config.learning_rate * _HEAD_FACTOR),
        )

    @property
    def model(self) -> FCOS:
        """The network."""
        return self._model

    @property
    def groups(self) -> Sequence[ParameterGroup]:
        """The backbone, then pyramid and heads."""
        return self._groups

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Torchvision's losses of a batch."""
        targets = [
            {
                "boxes": torch.from_numpy(item.boxes).reshape(-1, 4).to(self._device),
                "labels": torch.from_numpy(item.classes + 1).to(self._device),
            }
            for item in batch.items
        ]
        losses: dict[str, Tensor] = self._model(to_rgb(batch.canvases, self._device), targets)
        return losses


class FcosDetector:
    """A trained FCOS that predicts like the other detectors.

    Args:
        model: Trained.
        classes: Class names.
        input_size: Long side of the input.
        device: As for `SiteDetector`.
    """

    def __init__(self, model: FCOS, classes: Sequence[str], input_size: int, *, device: str = "cpu") -> None:
        self._device = choose_device(device)
        self._model: Any = model.eval().to(self._device)
        self._classes = tuple(classes)
        self._input_size = input_size

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the indices."""
        return self._classes

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, masks: bool = False) -> list[Detections]:
        """Boxes of each (H, W, 3) RGB image; there are no masks."""
        found = []
        for image in images:
            canvas = fit_canvas(image.shape[0], image.shape[1], self._input_size)
            pixels = torch.from_numpy(letterbox(image, canvas))[None]
            output = self._model(to_rgb(pixels, self._device))[0]
            boxes = output["boxes"].cpu().numpy().astype(float) / canvas.scale
            boxes = clip_boxes(boxes, image.shape[1], image.shape[0])
            seen = (boxes[:, 2:] - boxes[:, :2]).min(1, initial=np.inf) > 0
            found.append(
                Detections(
                    boxes[seen],
                    output["scores"].cpu().numpy().astype(float)[seen],
                    output["labels"].cpu().numpy().astype(np.int64)[seen] - 1,
                )
            )
        return found
