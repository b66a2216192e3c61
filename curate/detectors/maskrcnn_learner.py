"""What Mask R-CNN learns from a batch: torchvision's own losses, with our masks, and what is not judged left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import fastrcnn_loss
from torchvision.ops import box_iou

from curate.detectors.config import TrainConfig
from curate.detectors.frames import Batch
from curate.detectors.ignored import not_judged
from curate.detectors.learner import ParameterGroup, autocast, trainable
from curate.detectors.letterbox import normalise
from curate.detectors.maskrcnn import Features, MaskRcnn
from curate.detectors.roi import MASK_SIZE

__all__ = ["MaskRcnnLearner"]

_MASKS_PER_FRAME = 16
# A proposal that overlaps a label this much is judged by it, wherever it lies.
_LABELLED_IOU = 0.5


class MaskRcnnLearner:
    """Mask R-CNN for the trainer.

    Args:
        model: On its device.
        config: Settings of the run.
    """

    def __init__(self, model: MaskRcnn, config: TrainConfig) -> None:
        self._model = model
        self._config = config
        self._device = next(model.parameters()).device
        model.freeze(config.freeze)
        predictors: list[nn.Module] = [model.roi_heads.box_predictor]
        if model.has_masks:
            predictors.append(model.roi_heads.mask_predictor)
        new = [parameter for module in predictors for parameter in module.parameters()]
        own = {id(parameter) for parameter in new}
        rest = [parameter for parameter in trainable(model) if id(parameter) not in own]
        self._groups = (
            ParameterGroup(rest, config.learning_rate),
            ParameterGroup(new, config.roi_learning_rate),
        )

    @property
    def model(self) -> MaskRcnn:
        """The network."""
        return self._model

    @property
    def heavy(self) -> nn.Module:
        """Backbone and pyramid; proposals come in other numbers every time."""
        return self._model.backbone

    @property
    def groups(self) -> Sequence[ParameterGroup]:
        """Backbone, proposals and heads; then the layers that know the site's classes."""
        return self._groups

    @property
    def side_by_side(self) -> bool:
        """No: torchvision's samplers are seeded for a step and keep their state meanwhile."""
        return False

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Losses by name of a batch."""
        model, precision = self._model, self._config.precision
        for number, sampler in enumerate((model.rpn.fg_bg_sampler, model.roi_heads.fg_bg_sampler)):
            sampler.seed(self._config.seed, step, number)
        images = normalise(batch.pixels(self._device))
        shapes = [(images.shape[2], images.shape[3])] * len(batch.items)
        targets = [self._target(item) for item in batch.items]
        with autocast(precision, self._device):
            features = model.features(images)
        # Proposals are decoded in float32: eight bits of mantissa cannot tell neighbouring pixels apart.
        features = {name: value.float() for name, value in features.items()}
        proposals, losses = model.rpn(ImageList(images, shapes), features, targets)
        proposals = [_judged(boxes, target) for boxes, target in zip(proposals, targets, strict=True)]
        boxes, matched, labels, codes = model.roi_heads.select_training_samples(proposals, targets)
        with autocast(precision, self._device):
            logits, regressed = model.classify(features, boxes, shapes)
        classes_loss, boxes_loss = fastrcnn_loss(logits, regressed, labels, codes)
        result = {
            "objectness": losses["loss_objectness"],
            "proposal": losses["loss_rpn_box_reg"],
            "class": classes_loss,
            "box": boxes_loss,
        }
        if model.has_masks:
            result["mask"] = self._mask_loss(features, shapes, batch, (boxes, matched, labels))
        return result

    def _target(self, item: Any) -> dict[str, Any]:
        boxes = torch.from_numpy(item.boxes).reshape(-1, 4).to(self._device)
        return {
            "boxes": boxes,
            "labels": torch.from_numpy(item.classes + 1).to(self._device),
            "masks": boxes.new_zeros(0),  # torchvision asks whether it is there; masks are learnt below
            "ignore": torch.from_numpy(item.ignore).reshape(-1, 4).to(self._device),
            "ignored": None if item.ignored is None else item.ignored.to(self._device),
        }

    def _mask_loss(
        self,
        features: Features,
        shapes: list[tuple[int, int]],
        batch: Batch,
        samples: tuple[list[Tensor], list[Tensor], list[Tensor]],
    ) -> Tensor:
        """Cross-entropy of the label's class, on boxes of labels that have a mask."""
        rois, classes, targets = [], [], []
        for item, boxes, matched, labels in zip(batch.items, *samples, strict=True):
            rows, label_of = [], matched.tolist()
            for row in torch.where(labels > 0)[0].tolist():
                if item.masks[label_of[row]] is not None:
                    rows.append(row)
            rows = rows[:: max(1, len(rows) // _MASKS_PER_FRAME)][:_MASKS_PER_FRAME]
            rois.append(boxes[rows])
            classes.append(labels[rows])
            given = boxes[rows].detach().double().cpu().numpy()
            targets += [
                item.mask_target(label_of[row], box, MASK_SIZE) for row, box in zip(rows, given, strict=True)
            ]
        if not targets:
            return features["0"].new_zeros(())
        with autocast(self._config.precision, self._device):
            logits = self._model.mask_logits(features, rois, shapes, torch.cat(classes))
        wanted = torch.from_numpy(np.stack(targets).astype(np.float32)).to(self._device)
        return functional.binary_cross_entropy_with_logits(logits, wanted)


def _judged(boxes: Tensor, target: dict[str, Any]) -> Tensor:
    """Proposals without those that lie where nothing is judged and are no label's."""
    left_out = not_judged(boxes, target["ignore"], target["ignored"])
    if len(target["boxes"]):
        left_out &= box_iou(boxes, target["boxes"]).amax(1) < _LABELLED_IOU
    return boxes[~left_out]
