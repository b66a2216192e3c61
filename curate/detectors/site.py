"""The detector of one site: its network, what it was trained with, and how it is kept on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor

from curate.detectors.architectures import architecture_of
from curate.detectors.config import TrainConfig
from curate.detectors.export import network_to_onnx
from curate.detectors.export_signature import onnx_signature
from curate.detectors.inference import Prepared, choose_device, given_boxes, prepare
from curate.detectors.letterbox import fit_canvas
from curate.detectors.model import SiteNetwork
from curate.detectors.site_model import SiteModel
from curate.errors import ModelError, ProjectError
from curate.files import write_atomically
from curate.tables import Detections, LabelScores
from curate.types import FloatArray, ImageArray

__all__ = ["DESCRIPTION", "SiteDetector"]

_FORMAT = 1
_WEIGHTS = "model.safetensors"
DESCRIPTION = "detector.json"
"""The file that makes a folder a finished detector."""


class SiteDetector:
    """A detector trained on a site's own labels.

    Args:
        network: Trained.
        classes: Class names in the order of the indices.
        config: What it was trained with; says the size of the input and its channels.
        plate: (H, W, 3) RGB background plate, when the network has difference channels.
        fingerprint: Of the training run.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ModelError: The device is not there, or a plate is missing.
    """

    def __init__(
        self,
        network: SiteModel,
        classes: Sequence[str],
        config: TrainConfig,
        *,
        plate: ImageArray | None = None,
        fingerprint: str = "",
        device: str = "auto",
    ) -> None:
        if config.background_channels and plate is None:
            raise ModelError("a detector with background channels needs a background plate")
        self._classes = tuple(classes)
        self._config = config
        self._plate = plate if config.background_channels else None
        self._fingerprint = fingerprint
        self._device = choose_device(device)
        self._network = network.eval().to(self._device)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the indices."""
        return self._classes

    @property
    def config(self) -> TrainConfig:
        """What it was trained with."""
        return self._config

    @property
    def fingerprint(self) -> str:
        """SHA-256 of everything that its training depended on."""
        return self._fingerprint

    @property
    def has_masks(self) -> bool:
        """Whether it predicts masks."""
        return self._network.has_masks

    @torch.inference_mode()
    def predict(
        self, images: Sequence[ImageArray], *, masks: bool = False, score: float = 0.0
    ) -> list[Detections]:
        """Detections of each (H, W, 3) RGB image; the mask head only runs when masks are asked for.

        Args:
            images: The frames.
            masks: Also predict masks.
            score: Detections below it are left out before their masks are computed.

        Raises:
            ModelError: Masks are asked for and it was trained without, or an image does not fit the plate.
        """
        if masks and not self.has_masks:
            raise ModelError("this detector was trained without masks", hint="train with mask_head")
        return [self._network.detect(self._prepare(image), masks=masks, score=score) for image in images]

    @torch.inference_mode()
    def score_boxes(self, images: Sequence[ImageArray], boxes: Sequence[FloatArray]) -> list[LabelScores]:
        """Judge given (L, 4) boxes of each image.

        Raises:
            ModelError: A box is empty or not finite, or an image does not fit the plate.
        """
        return [
            self._network.judge(self._prepare(image), given_boxes(values))
            for image, values in zip(images, boxes, strict=True)
        ]

    def _prepare(self, image: ImageArray) -> Prepared:
        return prepare(image, self._config.input_size, self._device, self._plate)

    def to_onnx(self, height: int, width: int, *, masks: bool = True) -> bytes:
        """The detector as an ONNX model for frames of one size (see `network_to_onnx`).

        Args:
            height: Of the frames.
            width: Of the frames.
            masks: Keep the mask head, where there is one.

        Raises:
            ModelError: It is of an architecture that is not exported.
        """
        network = deepcopy(self._exported()).cpu().eval()
        if not masks:
            network.mask = None
        return network_to_onnx(network, fit_canvas(height, width, self._config.input_size), (height, width))

    def signature(self, height: int, width: int, *, masks: bool = True) -> dict[str, Any]:
        """How `to_onnx`'s model is fed and read, JSON-ready (see `onnx_signature`); raises as `to_onnx` does."""
        canvas = fit_canvas(height, width, self._config.input_size)
        channels = self._exported().dense.stem.in_channels
        return onnx_signature((height, width), canvas, channels, masks=masks and self.has_masks)

    def _exported(self) -> SiteNetwork:
        if not isinstance(self._network, SiteNetwork):
            raise ModelError(
                f"{architecture_of(self._config.architecture).title} is not exported to ONNX, only NanoDet-G is",
                hint="train with model.recipe cpu or gpu",
            )
        return self._network

    @property
    def plate(self) -> ImageArray | None:
        """(H, W, 3) RGB background plate, where the network has difference channels."""
        return self._plate

    def save(self, folder: Path) -> None:
        """Write model.safetensors and detector.json; the description comes last and makes it complete.

        Raises:
            ProjectError: The folder cannot be written.
        """
        tensors: dict[str, Tensor] = {
            name: value.detach().cpu().contiguous() for name, value in self._network.state_dict().items()
        }
        if self._plate is not None:
            tensors["plate"] = torch.from_numpy(np.ascontiguousarray(self._plate))
        description = {
            "format": _FORMAT,
            "architecture": self._config.architecture,
            "classes": list(self._classes),
            "config": asdict(self._config),
            "fingerprint": self._fingerprint,
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProjectError(f"cannot be made: {error.strerror}", file=folder) from error
        write_atomically(folder / _WEIGHTS, to_bytes(tensors))
        write_atomically(folder / DESCRIPTION, (json.dumps(description, indent=2) + "\n").encode())

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> SiteDetector:
        """Read what `save` wrote.

        Raises:
            ModelError: There is no detector, it is broken, or a newer version wrote it.
        """
        description = _read_description(folder / DESCRIPTION)
        try:
            tensors = load_file(folder / _WEIGHTS)
            config = TrainConfig(**description["config"])
            plate = tensors.pop("plate", None)
            network = architecture_of(config.architecture).empty(description["classes"], config, tensors)
            network.load_state_dict(tensors)
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError) as error:
            raise ModelError("the detector's files are broken", file=folder, hint="train it again") from error
        return cls(
            network.to(memory_format=torch.channels_last),
            description["classes"],
            config,
            plate=None if plate is None else plate.numpy(),
            fingerprint=description["fingerprint"],
            device=device,
        )


def _read_description(path: Path) -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads(path.read_text("utf-8"))
        version = description["format"]
    except OSError as error:
        raise ModelError("there is no trained detector here", file=path, hint="train one first") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError("the detector's description is broken", file=path, hint="train it again") from error
    if version != _FORMAT:
        raise ModelError(f"expected detector format {_FORMAT}, got {version}", file=path)
    return description
