"""Torchvision's FCOS and RetinaNet, fine-tuned on a site's labels from the bundled ImageNet weights: peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator

from curate.bench.detect_backbone import Lite0Pyramid
from curate.detectors.config import TrainConfig, TrainingSample
from curate.detectors.frames import Batch, load_image
from curate.detectors.inference import SCORE_THRESHOLD, choose_device
from curate.detectors.learner import ParameterGroup
from curate.detectors.letterbox import fit_canvas, letterbox
from curate.geometry import clip_boxes
from curate.tables import Detections
from curate.types import ImageArray

__all__ = ["ANCHORS", "PEER", "PeerDetector", "PeerLearner", "new_peer", "site_anchors"]

PEER = "torchvision FCOS, EfficientNet-Lite0"
ANCHORS = ("torchvision RetinaNet, its own anchors", "torchvision RetinaNet, anchors of the site's sizes")
"""Ours and FCOS have no anchors: what fitting them to the site is worth shows on a detector that has some."""
_WIDTH = 128
_STRIDES = (8, 16, 32, 64, 128)
_MEAN, _STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
_HEAD_FACTOR = 4.0
_A_LEVEL = 3
_RATIO_QUANTILES = (0.1, 0.5, 0.9)


def _options() -> dict[str, Any]:
    # The frames come letterboxed.
    return {
        "_skip_resize": True,
        "image_mean": _MEAN,
        "image_std": _STD,
        "score_thresh": SCORE_THRESHOLD,
    }


def _fcos(weights: Path, classes: int, _: Sequence[TrainingSample], __: int) -> FCOS:
    """FCOS (Tian et al., 2019) on Lite0 with a pyramid of 128 channels; torchvision counts the background."""
    points = AnchorGenerator(tuple((s,) for s in _STRIDES), ((1.0,),) * len(_STRIDES))
    return FCOS(Lite0Pyramid(weights, _WIDTH), classes + 1, anchor_generator=points, **_options())


def _retinanet(weights: Path, classes: int, _: Sequence[TrainingSample], __: int) -> RetinaNet:
    """RetinaNet (Lin et al., 2017) on the same backbone."""
    return RetinaNet(Lite0Pyramid(weights, _WIDTH), classes + 1, **_options())


def _retinanet_of_site(
    weights: Path, classes: int, samples: Sequence[TrainingSample], input_size: int
) -> RetinaNet:
    """RetinaNet with anchors from the labels."""
    backbone = Lite0Pyramid(weights, _WIDTH)
    return RetinaNet(backbone, classes + 1, anchor_generator=site_anchors(samples, input_size), **_options())


def site_anchors(samples: Sequence[TrainingSample], input_size: int) -> AnchorGenerator:
    """Anchors of the sizes and shapes that a site's labels have, three sizes a level, small ones on fine levels.

    Args:
        samples: Labelled frames, some with labels.
        input_size: Long side of the input in pixels.
    """
    boxes = []
    for sample in samples:
        if len(sample.boxes):
            height, width = load_image(sample).shape[:2]
            boxes.append(sample.boxes * fit_canvas(height, width, input_size).scale)
    sides = np.concatenate(boxes)[:, 2:] - np.concatenate(boxes)[:, :2]
    count = _A_LEVEL * len(_STRIDES)
    sizes = np.quantile(np.sqrt(sides.prod(1)), (np.arange(count) + 0.5) / count).reshape(-1, _A_LEVEL)
    ratios = np.quantile(sides[:, 1] / sides[:, 0], _RATIO_QUANTILES)
    return AnchorGenerator(
        tuple(tuple(row) for row in sizes.tolist()), (tuple(ratios.tolist()),) * len(_STRIDES)
    )


_PEERS: Mapping[str, Callable[[Path, int, Sequence[TrainingSample], int], nn.Module]] = {
    PEER: _fcos,
    ANCHORS[0]: _retinanet,
    ANCHORS[1]: _retinanet_of_site,
}


def new_peer(
    name: str, weights: Path, classes: int, samples: Sequence[TrainingSample], config: TrainConfig
) -> nn.Module:
    """An untrained peer on the bundled backbone; `config.seed` makes its heads.

    Args:
        name: `PEER`, or one of `ANCHORS`.
        weights: Of the backbone.
        classes: Number of classes.
        samples: Labelled frames.
        config: Seed and input size.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return _PEERS[name](weights, classes, samples, config.input_size)


def to_rgb(canvases: Tensor) -> list[Tensor]:
    """BGR canvases (B, h, w, 3), values 0 to 255, to torchvision's list of (3, h, w) RGB in [0, 1]."""
    return list((canvases[..., [2, 1, 0]].float() / 255).permute(0, 3, 1, 2))


class PeerLearner:
    """A peer for the trainer, with torchvision's own losses.

    Args:
        model: On its device.
        config: Settings of the run; new heads learn four times as fast as the backbone.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        backbone: Any = model.backbone
        body: nn.Module = backbone.body
        own = {id(parameter) for parameter in body.parameters()}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in own]
        self._groups = (
            ParameterGroup(list(body.parameters()), config.learning_rate),
            ParameterGroup(rest, config.learning_rate * _HEAD_FACTOR),
        )

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self._model

    @property
    def heavy(self) -> nn.Module:
        """Backbone and pyramid."""
        backbone: nn.Module = self._model.get_submodule("backbone")
        return backbone

    @property
    def groups(self) -> Sequence[ParameterGroup]:
        """The backbone, then pyramid and heads."""
        return self._groups

    @property
    def side_by_side(self) -> bool:
        """No: BatchNorm takes its statistics over the batch."""
        return False

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Torchvision's losses of a batch."""
        targets = [
            {
                "boxes": torch.from_numpy(item.boxes).reshape(-1, 4).to(self._device),
                "labels": torch.from_numpy(item.classes + 1).to(self._device),
            }
            for item in batch.items
        ]
        losses: dict[str, Tensor] = self._model(to_rgb(batch.pixels(self._device)), targets)
        return losses


class PeerDetector:
    """A trained peer that predicts like the other detectors.

    Args:
        model: Trained.
        classes: Class names.
        input_size: Long side of the input.
        device: As for `SiteDetector`.
    """

    def __init__(
        self, model: nn.Module, classes: Sequence[str], input_size: int, *, device: str = "cpu"
    ) -> None:
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
            output = self._model(to_rgb(pixels.to(self._device)))[0]
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
