"""The bundled EfficientNet-Lite0 (ImageNet) as a trainable backbone for torchvision's detectors."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from curate.errors import ModelError

__all__ = ["Lite0", "Lite0Pyramid"]

_TAPS = {8: 40, 16: 112, 32: 320}
"""Channels of the last feature map before the next halving, by stride."""


class _Convolution(nn.Module):
    """A convolution of the graph with its own padding, which may differ from side to side."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int, groups: int, pads: list[int]) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self._stride, self._groups = stride, groups
        top, left, bottom, right = pads
        self._pads = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        padded = functional.pad(x, self._pads) if any(self._pads) else x
        return functional.conv2d(padded, self.weight, self.bias, self._stride, groups=self._groups)


class Lite0(nn.Module):
    """The convolutions of the bundled graph, run in its order; BatchNorm is folded into them.

    Args:
        weights: efficientnet_lite0_embed.onnx.

    Raises:
        ModelError: It is another network.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        import onnx
        from onnx import helper, numpy_helper

        graph = onnx.load(weights).graph
        constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in constants:
                constants[node.output[0]] = constants[node.input[0]].astype(np.float32)
        self.convolutions = nn.ModuleList()
        self._steps: list[tuple[str, list[str], str, int]] = []
        for node in graph.node:
            if node.op_type == "Conv":
                attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
                self._steps.append(("Conv", [node.input[0]], node.output[0], len(self.convolutions)))
                self.convolutions.append(_convolution(node, constants, attributes))
            elif node.op_type in ("Clip", "Add"):
                inputs = [name for name in node.input if name not in constants][: 1 + (node.op_type == "Add")]
                self._steps.append((node.op_type, inputs, node.output[0], -1))
            elif node.op_type not in ("Cast", "ReduceMean"):
                raise ModelError(
                    f"expected EfficientNet-Lite0, found the operator {node.op_type}", file=weights
                )
        self._input = graph.input[0].name

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """(B, 3, H, W) normalised as for ImageNet to the maps of strides 8, 16 and 32."""
        values = {self._input: images}
        found: OrderedDict[str, Tensor] = OrderedDict()
        for kind, inputs, output, index in self._steps:
            x = values[inputs[0]]
            if kind == "Conv":
                x = self.convolutions[index](x)
            elif kind == "Clip":
                x = functional.relu6(x)
            else:
                x = x + values[inputs[1]]
            values[output] = x
            stride = images.shape[2] // x.shape[2]
            if _TAPS.get(stride) == x.shape[1]:
                found[str(stride)] = x
        return found


def _convolution(node: Any, constants: dict[str, Any], attributes: dict[str, Any]) -> _Convolution:
    weight = torch.from_numpy(np.array(constants[node.input[1]], np.float32))
    bias = torch.zeros(len(weight))
    if len(node.input) > 2:
        bias = torch.from_numpy(np.array(constants[node.input[2]], np.float32))
    stride = attributes.get("strides", [1, 1])[0]
    return _Convolution(
        weight, bias, stride, attributes.get("group", 1), list(attributes.get("pads", [0] * 4))
    )


class Lite0Pyramid(nn.Module):
    """Lite0 with torchvision's feature pyramid, strides 8 to 128.

    Args:
        weights: The ONNX file.
        width: Channels of the pyramid.
    """

    def __init__(self, weights: Path, width: int) -> None:
        super().__init__()
        self.body = Lite0(weights)
        self.fpn = FeaturePyramidNetwork(list(_TAPS.values()), width, LastLevelP6P7(width, width))
        self.out_channels = width

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Maps of five strides."""
        pyramid: OrderedDict[str, Tensor] = self.fpn(self.body(images))
        return pyramid
