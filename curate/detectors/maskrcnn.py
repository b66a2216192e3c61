"""Mask R-CNN in torchvision's parts: it detects a site's classes, judges given boxes, and any trainer can train it.

The network is ResNet-50 FPN v2 (He et al., Mask R-CNN, 2017; Li et al., Benchmarking Detection Transfer Learning with
Vision Transformers, 2021).

Where torchvision's COCO weights cannot be had, the same heads stand on the bundled detector's backbone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import FeaturePyramidNetwork, box_iou
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from curate.detectors.decode import KEPT
from curate.detectors.ignored import not_judged
from curate.detectors.inference import SCORE_THRESHOLD, Prepared
from curate.detectors.nanodet import NanoDet, bundled_parts, stage_maps
from curate.detectors.sampler import SeededSampler
from curate.detectors.site_model import SiteModel
from curate.geometry.shapes import Rle
from curate.tables import Detections, LabelScores
from curate.types import FloatArray

__all__ = ["COCO_ROWS", "PYRAMID_WIDTH", "Features", "MaskRcnn", "NanoDetPyramid", "torchvision_parts"]

COCO_ROWS = 91
"""Classes of torchvision's COCO heads, background and gaps included."""
Features = dict[str, Tensor]
"""Feature maps by the names that torchvision gives them: "0" ... "3" and "pool"."""
PYRAMID_WIDTH = 256
"""Channels of torchvision's pyramid."""
# torchvision's defaults are 512 boxes and 2,000 proposals a frame, made for COCO's crowded variety. One camera's
# frames hold a few dozen objects; a quarter of them costs a quarter of the time of the heads.
_SAMPLED_ANCHORS, _SAMPLED_BOXES = (256, 0.5), (128, 0.25)
_BEFORE_NMS = {"training": 2000, "testing": 1000}
_PROPOSALS = {"training": 1000, "testing": 300}


class _Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """torchvision's region proposals, told what is not judged.

    A target may hold "ignore", (K, 4) boxes, and "ignored", the table of the regions: an anchor that would be
    background there teaches nothing.
    """

    def assign_targets_to_anchors(
        self, anchors: list[Tensor], targets: list[dict[str, Any]]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Torchvision's labels of the anchors, with -1 (not counted) for background that is not judged."""
        labels, matched = super().assign_targets_to_anchors(anchors, targets)
        for label, boxes, target in zip(labels, anchors, targets, strict=True):
            label[(label == 0) & not_judged(boxes, target["ignore"], target["ignored"])] = -1
        return labels, matched


class NanoDetPyramid(nn.Module):
    """The bundled detector's backbone under a feature pyramid of torchvision's.

    Args:
        network: Gives stem and stages.
        width: Channels of the pyramid.
    """

    def __init__(self, network: NanoDet, width: int) -> None:
        super().__init__()
        self.out_channels = width
        self.stem, self.stages = network.stem, network.stages
        self.fpn = FeaturePyramidNetwork([64, 128, 256, 512], width, extra_blocks=LastLevelMaxPool())

    def forward(self, images: Tensor) -> Features:
        """(B, 3 or 6, H, W) in the bundled detector's own order, BGR."""
        _, maps = stage_maps(self.stem, self.stages, images)
        result: Features = self.fpn(OrderedDict((str(at), value) for at, value in enumerate(maps)))
        return result


def torchvision_parts(rows: int) -> MaskRCNN:
    """Torchvision's Mask R-CNN ResNet-50 FPN v2, untrained, with so many class rows (background included)."""
    return maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=rows)


def _fit_heads(parts: MaskRCNN, width: int) -> None:
    """Replace the layers that read the pyramid by untrained ones for another width, otherwise as they were."""
    anchors = parts.rpn.anchor_generator.num_anchors_per_location()[0]
    parts.rpn.head = RPNHead(width, anchors, conv_depth=2)
    norm = {"norm_layer": nn.BatchNorm2d}
    parts.roi_heads.box_head = FastRCNNConvFCHead((width, 7, 7), [PYRAMID_WIDTH] * 4, [1024], **norm)
    parts.roi_heads.mask_head = MaskRCNNHeads(width, [PYRAMID_WIDTH] * 4, 1, **norm)


class MaskRcnn(SiteModel):
    """Mask R-CNN for a site's classes; its parameters have torchvision's names.

    Args:
        classes: Number of classes of the site.
        channels: Of the input: 3, or 6 with difference channels.
        mask_head: Whether masks are predicted.
        body: The bundled detector, whose backbone takes the ResNet-50's place; None for the ResNet-50.
        width: Channels of the pyramid on that backbone; the ResNet-50's is 256 wide, as its weights are.
    """

    def __init__(
        self,
        classes: int,
        *,
        channels: int = 3,
        mask_head: bool = True,
        body: NanoDet | None = None,
        width: int = PYRAMID_WIDTH,
    ) -> None:
        super().__init__()
        parts = torchvision_parts(classes + 1)
        if body is not None and width != PYRAMID_WIDTH:
            _fit_heads(parts, width)
        self.backbone: nn.Module = parts.backbone if body is None else NanoDetPyramid(body, width)
        if body is None and channels != 3:
            parts.backbone.body.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        self._classes = classes
        self._reads_rgb = body is None
        rpn, roi = parts.rpn, parts.roi_heads
        self.rpn = _Proposals(
            rpn.anchor_generator, rpn.head, 0.7, 0.3, *_SAMPLED_ANCHORS, _BEFORE_NMS, _PROPOSALS, 0.7
        )
        self.rpn.fg_bg_sampler = SeededSampler(*_SAMPLED_ANCHORS)
        heads = (roi.mask_roi_pool, roi.mask_head, roi.mask_predictor) if mask_head else ()
        self.roi_heads = RoIHeads(
            *(roi.box_roi_pool, roi.box_head, roi.box_predictor, 0.5, 0.5, *_SAMPLED_BOXES, None),
            *(SCORE_THRESHOLD, 0.5, KEPT, *heads),
        )
        self.roi_heads.fg_bg_sampler = SeededSampler(*_SAMPLED_BOXES)

    def train(self, mode: bool = True) -> MaskRcnn:
        """As for every module; but the statistics of BatchNorm stay: a few frames of one camera have none to offer."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    @property
    def has_masks(self) -> bool:
        """Whether it predicts masks."""
        return bool(self.roi_heads.has_mask())

    @property
    def backbone_parts(self) -> Sequence[Sequence[nn.Module]]:
        """Stem, then the four stages, of either backbone; the pyramid is not of it."""
        if isinstance(self.backbone, NanoDetPyramid):
            return bundled_parts(self.backbone)
        body = self.backbone.body
        assert isinstance(body, nn.ModuleDict)
        return [[body["conv1"], body["bn1"]], *([body[f"layer{number}"]] for number in range(1, 5))]

    def features(self, images: Tensor) -> Features:
        """Feature maps of normalised images (B, 3 or 6, H, W) in BGR; both backbones want ImageNet's statistics."""
        if self._reads_rgb:
            images = images[:, [2, 1, 0] if images.shape[1] == 3 else [2, 1, 0, 5, 4, 3]]
        result: Features = self.backbone(images)
        return result

    def classify(
        self, features: Features, boxes: list[Tensor], shapes: list[tuple[int, int]]
    ) -> tuple[Tensor, Tensor]:
        """Class logits (L, C + 1), background first, and box codes (L, 4 (C + 1)) of boxes of every image."""
        heads = self.roi_heads
        logits, codes = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, boxes, shapes)))
        return logits.float(), codes.float()

    def mask_logits(
        self, features: Features, boxes: list[Tensor], shapes: list[tuple[int, int]], classes: Tensor
    ) -> Tensor:
        """(L, 28, 28) foreground logits inside boxes of every image, for classes (L,) counted from 1."""
        heads = self.roi_heads
        every: Tensor = heads.mask_predictor(heads.mask_head(heads.mask_roi_pool(features, boxes, shapes)))
        return every.float()[torch.arange(len(classes), device=classes.device), classes]

    def detect(self, prepared: Prepared, *, masks: bool, score: float) -> Detections:
        """Detections of one frame."""
        features, shapes = self._look(prepared)
        proposals, _ = self.rpn(ImageList(prepared.tensor, shapes), features)
        logits, codes = self.classify(features, proposals, shapes)
        boxes, scores, labels = (
            values[0] for values in self.roi_heads.postprocess_detections(logits, codes, proposals, shapes)
        )
        frame_boxes = prepared.to_frame(boxes)
        seen = (frame_boxes[:, 2:] - frame_boxes[:, :2]).min(1, initial=np.inf) > 0
        seen &= scores.cpu().numpy() >= score
        keep = torch.from_numpy(seen).to(boxes.device)
        boxes, labels, frame_boxes = boxes[keep], labels[keep], frame_boxes[seen]
        found = Detections(
            frame_boxes, scores[keep].cpu().numpy().astype(float), labels.cpu().numpy().astype(np.int64) - 1
        )
        if not masks:
            return found
        drawn, _ = self._masks(prepared, features, shapes, (boxes, frame_boxes), labels)
        return Detections(found.boxes, found.scores, found.classes, drawn)

    def judge(self, prepared: Prepared, boxes: FloatArray) -> LabelScores:
        """What it says about given (L, 4) boxes of one frame, taken as proposals.

        There is no head for the fit of a given box: it is the IoU with the box that the network would put there,
        times the probability that there is anything.
        """
        if not len(boxes):
            none = np.zeros(0)
            own = ((), none) if self.has_masks else (None, None)
            return LabelScores(np.zeros((0, self._classes + 1)), boxes, none, *own)
        features, shapes = self._look(prepared)
        inputs = prepared.to_input(boxes)
        logits, codes = self.classify(features, [inputs], shapes)
        posterior = logits.double().softmax(1)
        best = posterior[:, 1:].argmax(1) + 1
        decoded: Tensor = self.roi_heads.box_coder.decode(codes, [inputs])
        refined = decoded[torch.arange(len(best), device=best.device), best]
        fit = box_iou(inputs, refined).diagonal() * (1 - posterior[:, 0])
        drawn, confidence = (
            self._masks(prepared, features, shapes, (inputs, boxes), best) if self.has_masks else (None, None)
        )
        return LabelScores(
            torch.cat([posterior[:, 1:], posterior[:, :1]], 1).cpu().numpy(),
            prepared.to_frame(refined),
            fit.double().cpu().numpy(),
            drawn,
            confidence,
        )

    def _look(self, prepared: Prepared) -> tuple[Features, list[tuple[int, int]]]:
        """Feature maps of one frame, and the part of the input that it fills."""
        canvas = prepared.canvas
        return self.features(prepared.tensor), [(canvas.content_height, canvas.content_width)]

    def _masks(
        self,
        prepared: Prepared,
        features: Features,
        shapes: list[tuple[int, int]],
        boxes: tuple[Tensor, FloatArray],
        classes: Tensor,
    ) -> tuple[tuple[Rle, ...], FloatArray]:
        """Masks inside boxes, given in pixels of input and frame, and how sure their pixels are."""
        inputs, frame_boxes = boxes
        if not len(frame_boxes):
            return (), np.zeros(0)
        return prepared.masks(frame_boxes, self.mask_logits(features, [inputs], shapes, classes))
