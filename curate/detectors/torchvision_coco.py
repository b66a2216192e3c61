"""A COCO detector of torchvision as a second baseline, where its weights can be had."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import torch

from curate.detectors.classes import coco_sources
from curate.detectors.inference import SCORE_THRESHOLD, choose_device
from curate.errors import ModelError
from curate.tables import Detections
from curate.types import ImageArray

__all__ = ["TorchvisionCoco"]


class TorchvisionCoco:
    """Faster R-CNN MobileNetV3-Large 320 FPN with COCO weights, its classes mapped to the site's.

    It only predicts: the baseline that a user would otherwise take. The weights come from torch's hub
    cache, or are downloaded into it.

    Args:
        classes: The site's class names.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ModelError: The weights are not in the cache and cannot be downloaded, the device is not there, or
            COCO knows none of the classes.
    """

    def __init__(self, classes: Sequence[str], *, device: str = "auto") -> None:
        from torchvision.models import detection

        covered = coco_sources(classes)
        if not any(covered):
            raise ModelError(f"the COCO detector knows none of the classes {', '.join(classes)}")
        weights = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1
        names: list[str] = weights.meta["categories"]
        self._class_of = np.full(len(names), -1)
        for index, group in enumerate(covered):
            for name in group:
                self._class_of[names.index(name)] = index
        self._classes = tuple(classes)
        self._device = choose_device(device)
        try:
            model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
                weights=weights, box_score_thresh=SCORE_THRESHOLD, progress=False
            )
        except (URLError, OSError, RuntimeError) as error:
            raise ModelError(
                f"torchvision's COCO weights cannot be had ({error})",
                hint="the bundled detector is used instead; go online once to fetch them",
            ) from error
        self._model: Any = model.eval().to(self._device)

    @classmethod
    def cached(cls) -> bool:
        """Whether the weights lie in torch's hub cache, so that nothing needs to be downloaded."""
        from torchvision.models import detection

        url = str(detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1.url)
        return (Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]).is_file()

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the indices."""
        return self._classes

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray]) -> list[Detections]:
        """Detections of each (H, W, 3) RGB image."""
        found = []
        for image in images:
            tensor = torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
            output = self._model([tensor.permute(2, 0, 1).float() / 255])[0]
            classes = self._class_of[output["labels"].cpu().numpy()]
            known = classes >= 0
            found.append(
                Detections(
                    output["boxes"].cpu().numpy().astype(float)[known],
                    output["scores"].cpu().numpy().astype(float)[known],
                    classes[known],
                )
            )
        return found
