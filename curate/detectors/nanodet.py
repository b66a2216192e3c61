"""NanoDet-G as a torch module: the bundled COCO detector, rebuilt so that it can be trained.

The architecture is NanoDet-G's (RangiLyu, NanoDet, 2021): a CSP backbone of plain 3x3 convolutions, a
path-aggregation pyramid without weights of its own, and one small head per stride that predicts class
logits and, for each side of the box, a distribution over distances (Li et al., Generalized Focal Loss,
2020). BatchNorm is folded into the convolutions, so any batch size trains, and nothing depends on the
size of the input except that it must be a multiple of 32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["BINS", "CONVOLUTIONS", "STRIDES", "DenseOutput", "NanoDet", "bundled_parts", "stage_maps"]

STRIDES = (8, 16, 32)
"""Pixels of the input per cell, level by level."""
BINS = 11
"""Bins of the distribution of one side's distance, in units of the stride: 0, 1, ... 10."""
_SLOPE = 0.1
_PYRAMID = 128
# Blocks per CSP stage, by the number of its input channels and its stride.
_STAGES = ((32, 1, 1), (64, 2, 2), (128, 2, 2), (256, 3, 2))


class DenseOutput(NamedTuple):
    """What one forward pass gives.

    Attributes:
        logits: (B, A, R) class logits of A cells and R class rows.
        distances: (B, A, 4 * BINS) logits of the distributions, sides in the order left, top, right, bottom.
        fine: Feature maps of stride 2 (32 channels) and 4 (64 channels), for masks.
        pyramid: Feature maps of strides 8, 16 and 32 (128 channels each), for boxes.
        grid: Height and width of the cells of each level, in the order of `STRIDES`.
    """

    logits: Tensor
    distances: Tensor
    fine: tuple[Tensor, Tensor]
    pyramid: tuple[Tensor, Tensor, Tensor]
    grid: tuple[tuple[int, int], ...]


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)


def _activate(x: Tensor) -> Tensor:
    return functional.leaky_relu(x, _SLOPE)


class _Block(nn.Module):
    """Two convolutions of half the width; both outputs are kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels // 2)
        self.second = _convolution(channels // 2, channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        first = _activate(self.first(x))
        return torch.cat([_activate(self.second(first)), first], 1)


class _Stage(nn.Module):
    """A cross-stage-partial stage: (B, C, H, W) to (B, 2C, H / stride, W / stride)."""

    def __init__(self, channels: int, blocks: int, stride: int) -> None:
        super().__init__()
        self.enter = _convolution(channels, channels, stride=stride)
        self.blocks = nn.Sequential(*(_Block(channels) for _ in range(blocks)))
        self.leave = _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        entered = _activate(self.enter(x))
        return torch.cat([_activate(self.leave(self.blocks(entered))), entered], 1)


def stage_maps(stem: nn.Module, stages: nn.ModuleList, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The backbone alone: feature maps of stride 2 (32 channels), and of strides 4, 8, 16, 32 (64 ... 512)."""
    half = _activate(stem(images))
    x = functional.max_pool2d(half, 3, 2, 1)
    maps = []
    for stage in stages:
        x = stage(x)
        maps.append(x)
    return half, maps


def bundled_parts(backbone: nn.Module) -> list[list[nn.Module]]:
    """Stem (stride 2), then the stages (strides 4, 8, 16, 32) of a module that has them under these names."""
    assert isinstance(backbone.stem, nn.Module)
    assert isinstance(backbone.stages, nn.ModuleList)
    return [[backbone.stem], *([stage] for stage in backbone.stages)]


class NanoDet(nn.Module):
    """The network without decoding.

    Args:
        rows: Class rows of the heads (80 for COCO).
        channels: Input channels: 3, or more when difference channels follow the image.
    """

    def __init__(self, rows: int, channels: int = 3) -> None:
        super().__init__()
        self.rows = rows
        self.stem = _convolution(channels, 32, stride=2)
        self.stages = nn.ModuleList(_Stage(*stage) for stage in _STAGES)
        self.laterals = nn.ModuleList(_convolution(2 * width, _PYRAMID, 1) for width, _, _ in _STAGES[1:])
        self.towers = nn.ModuleList(_convolution(_PYRAMID, _PYRAMID) for _ in STRIDES)
        self.outputs = nn.ModuleList(_convolution(_PYRAMID, rows + 4 * BINS, 1) for _ in STRIDES)

    def forward(self, images: Tensor) -> DenseOutput:
        """(B, channels, H, W) normalised images, H and W multiples of 32, to dense predictions."""
        half, maps = stage_maps(self.stem, self.stages, images)
        pyramid = self._pyramid([lateral(m) for lateral, m in zip(self.laterals, maps[1:], strict=True)])
        levels = [
            output(_activate(tower(level)))
            for tower, output, level in zip(self.towers, self.outputs, pyramid, strict=True)
        ]
        flat = torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)
        return DenseOutput(
            flat[..., : self.rows],
            flat[..., self.rows :],
            (half, maps[0]),
            (pyramid[0], pyramid[1], pyramid[2]),
            tuple((int(level.shape[2]), int(level.shape[3])) for level in levels),
        )

    @staticmethod
    def _pyramid(lateral: list[Tensor]) -> list[Tensor]:
        """Top-down, then bottom-up, each step a bilinear resize and a sum."""

        def resize(x: Tensor, like: Tensor) -> Tensor:
            return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)

        fine, middle, coarse = lateral
        middle_down = middle + resize(coarse, middle)
        fine_out = fine + resize(middle_down, fine)
        middle_out = middle_down + resize(fine_out, middle_down)
        return [fine_out, middle_out, coarse + resize(middle_out, coarse)]


def _names() -> tuple[str, ...]:
    """Names of the 34 convolutions in the order in which the bundled ONNX graph computes them."""
    names = ["stem"]
    for index, (_, blocks, _) in enumerate(_STAGES):
        stage = f"stages.{index}"
        names.append(f"{stage}.enter")
        for block in range(blocks):
            names += [f"{stage}.blocks.{block}.first", f"{stage}.blocks.{block}.second"]
        names.append(f"{stage}.leave")
        if index:
            names.append(f"laterals.{index - 1}")
    return (*names, "towers.0", "towers.1", "outputs.0", "towers.2", "outputs.1", "outputs.2")


CONVOLUTIONS = _names()
"""Module names of the convolutions, in graph order."""
