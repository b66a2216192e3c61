"""The site's network: NanoDet-G with the site's classes, and the heads that judge given boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from curate.detectors.classes import ClassRows, map_classes
from curate.detectors.decode import cells, decode_boxes, group_logits
from curate.detectors.inference import Prepared, to_detections
from curate.detectors.nanodet import DenseOutput, NanoDet, bundled_parts
from curate.detectors.roi import DenseEvidence, MaskHead, RoiHead, apply_deltas, gather_evidence
from curate.detectors.site_model import SiteModel, seeded
from curate.detectors.weights import build_network, load_coco_state
from curate.errors import ModelError
from curate.geometry.shapes import Rle
from curate.tables import Detections, LabelScores
from curate.types import FloatArray

__all__ = ["SiteNetwork", "new_site_network", "rois_of", "take_over"]


class SiteNetwork(SiteModel):
    """Dense detector and box heads as one module.

    Args:
        network: The dense detector.
        rows: Its class rows.
        mask_head: Whether masks are predicted.
    """

    def __init__(self, network: NanoDet, rows: ClassRows, *, mask_head: bool) -> None:
        super().__init__()
        self.rows = rows
        self.dense = network
        self.roi = RoiHead(len(rows.groups))
        self.mask = MaskHead(network.stem.in_channels) if mask_head else None

    @property
    def has_masks(self) -> bool:
        """Whether it predicts masks."""
        return self.mask is not None

    @property
    def backbone_parts(self) -> Sequence[Sequence[nn.Module]]:
        """Stem, then the four stages."""
        return bundled_parts(self.dense)

    def detect(self, prepared: Prepared, *, masks: bool, score: float) -> Detections:
        """Detections of one frame."""
        dense = self.dense(prepared.tensor)
        probabilities = self.class_logits(dense)[0].sigmoid()
        found = to_detections(prepared, dense, probabilities, vote=True).above(score)
        if not masks:
            return found
        shapes, _ = self._masks(prepared, dense, found.boxes)
        return Detections(found.boxes, found.scores, found.classes, shapes)

    def judge(self, prepared: Prepared, boxes: FloatArray) -> LabelScores:
        """What the box heads say about given (L, 4) boxes of one frame."""
        dense = self.dense(prepared.tensor)
        inputs = [prepared.to_input(boxes)]
        output = self.roi(dense, rois_of(inputs), self.evidence(dense, inputs))
        shapes, confidence = self._masks(prepared, dense, boxes) if self.has_masks else (None, None)
        return LabelScores(
            output.classes.double().softmax(1).cpu().numpy(),
            prepared.to_frame(apply_deltas(inputs[0], output.deltas)),
            output.fit.double().sigmoid().cpu().numpy(),
            shapes,
            confidence,
        )

    def _masks(
        self, prepared: Prepared, dense: DenseOutput, boxes: FloatArray
    ) -> tuple[tuple[Rle, ...], FloatArray]:
        """Masks inside boxes (L, 4) of the frame, and how sure their pixels are (L,)."""
        if self.mask is None or not len(boxes):
            return (), np.zeros(0)
        return prepared.masks(boxes, self.mask(prepared.tensor, dense, rois_of([prepared.to_input(boxes)])))

    def class_logits(self, dense: DenseOutput) -> Tensor:
        """(B, A, C) logits of the site's classes."""
        return group_logits(dense.logits, self.rows.groups)

    @staticmethod
    def boxes(dense: DenseOutput) -> Tensor:
        """(B, A, 4) boxes of all cells in input pixels."""
        return decode_boxes(dense.distances, *cells(dense.grid, dense.distances.device))

    @torch.no_grad()
    def evidence(self, dense: DenseOutput, boxes: Sequence[Tensor]) -> DenseEvidence:
        """What the dense head says about given boxes, (L_b, 4) for every image b, concatenated."""
        probabilities = self.class_logits(dense).sigmoid()
        decoded = self.boxes(dense)
        found = [
            gather_evidence(probabilities[index], decoded[index], given) for index, given in enumerate(boxes)
        ]
        return DenseEvidence(
            torch.cat([item.scores for item in found]),
            torch.cat([item.boxes for item in found]),
            torch.cat([item.iou for item in found]),
        )


def rois_of(boxes: Sequence[Tensor]) -> Tensor:
    """Boxes (L_b, 4) per image to rois (L, 5) with the image's index in front."""
    return torch.cat(
        [torch.cat([box.new_full((len(box), 1), index), box], 1) for index, box in enumerate(boxes)]
    )


def take_over(model: SiteModel, folder: Path) -> None:
    """Give a new network the weights of a trained one; what the trained one lacks stays as it is.

    Args:
        model: New.
        folder: Of a detector with the same classes and input channels.

    Raises:
        ModelError: The files cannot be read, or the detector is of another kind.
    """
    try:
        tensors = load_file(folder / "model.safetensors")
    except (OSError, SafetensorError) as error:
        raise ModelError("the detector to start from cannot be read", file=folder) from error
    own = model.state_dict()
    unlike = [name for name, value in tensors.items() if name in own and own[name].shape != value.shape]
    if unlike or not tensors.keys() & own.keys():
        raise ModelError(
            "the detector to start from has other classes or channels, or is of another architecture",
            file=folder,
            item=", ".join(unlike[:3]),
        )
    model.load_state_dict({name: value for name, value in tensors.items() if name in own}, strict=False)


def new_site_network(
    weights: Path, classes: Sequence[str], *, channels: int, mask_head: bool, seed: int
) -> SiteNetwork:
    """A network that detects a site's classes as the COCO detector does, with untrained box heads.

    Args:
        weights: The bundled detector's ONNX file.
        classes: The site's class names.
        channels: 3, or 6 with difference channels.
        mask_head: Whether masks are predicted.
        seed: Seeds the box heads; the global random state is left as it was.

    Raises:
        ModelError: The weights cannot be read.
    """
    rows = map_classes(classes)
    with seeded(seed):
        network = build_network(load_coco_state(weights), rows, channels)
        model = SiteNetwork(network, rows, mask_head=mask_head)
    return model.to(memory_format=torch.channels_last)
