"""The bundled COCO detector as it is: the baseline, and the cheap labeller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from curate.detectors.classes import coco_sources, map_classes
from curate.detectors.decode import cells, decode_boxes, group_logits
from curate.detectors.inference import choose_device, given_boxes, prepare, to_detections
from curate.detectors.roi import gather_evidence
from curate.detectors.weights import build_network, load_coco_state
from curate.errors import ModelError
from curate.tables import Detections, LabelScores
from curate.types import FloatArray, ImageArray

__all__ = ["GenericDetector"]


class GenericDetector:
    """NanoDet-G with its COCO weights, its classes mapped to the site's (see `map_classes`).

    A class that COCO does not know is never reported.

    Args:
        weights: The bundled ONNX file.
        classes: The site's class names.
        input_size: Long side of the input; a multiple of 32.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ModelError: The weights or the device cannot be used, or COCO knows none of the classes.
    """

    def __init__(
        self, weights: Path, classes: Sequence[str], *, input_size: int = 416, device: str = "auto"
    ) -> None:
        known = [bool(covered) for covered in coco_sources(classes)]
        if not any(known):
            raise ModelError(f"the COCO detector knows none of the classes {', '.join(classes)}")
        self._classes = tuple(classes)
        self._rows = map_classes(classes)
        self._device = choose_device(device)
        network = build_network(load_coco_state(weights), self._rows)
        self._network = network.eval().to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._known = torch.tensor(known, device=self._device)
        self._input_size = input_size

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the indices."""
        return self._classes

    @torch.inference_mode()
    def predict(self, images: Sequence[ImageArray], *, masks: bool = False) -> list[Detections]:
        """Detections of each (H, W, 3) RGB image.

        Raises:
            ModelError: Masks are asked for, which this detector does not have.
        """
        if masks:
            raise ModelError("the generic detector predicts boxes, no masks", hint="use the segmenter")
        found = []
        for image in images:
            prepared = prepare(image, self._input_size, self._device)
            dense = self._network(prepared.tensor)
            probabilities = group_logits(dense.logits, self._rows.groups).sigmoid() * self._known
            found.append(to_detections(prepared, dense, probabilities[0]))
        return found

    @torch.inference_mode()
    def score_boxes(self, images: Sequence[ImageArray], boxes: Sequence[FloatArray]) -> list[LabelScores]:
        """Judge given (L, 4) boxes of each image by the dense head alone: it has no heads for given boxes.

        A class's share is its largest probability x IoU with the given box over all cells, background
        takes what the best class leaves; the refined box is that of the best cell.
        """
        scored = []
        for image, given in zip(images, boxes, strict=True):
            prepared = prepare(image, self._input_size, self._device)
            wanted = given_boxes(given)
            dense = self._network(prepared.tensor)
            decoded = decode_boxes(dense.distances, *cells(dense.grid, self._device))
            probabilities = group_logits(dense.logits, self._rows.groups).sigmoid() * self._known
            evidence = gather_evidence(probabilities[0], decoded[0], prepared.to_input(wanted))
            share = evidence.scores.cpu().numpy().astype(float)
            background = 1 - share.max(1, keepdims=True)
            posterior = np.concatenate([share, background], 1)
            scored.append(
                LabelScores(
                    posterior / posterior.sum(1, keepdims=True),
                    prepared.to_frame(evidence.boxes),
                    evidence.iou.cpu().numpy().astype(float),
                )
            )
        return scored
