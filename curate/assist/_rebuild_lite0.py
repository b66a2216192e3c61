"""EfficientNet-Lite0 without its classifier as an ONNX graph, for `curate.assist.rebuild`.

Architecture: EfficientNet-B0 (Tan and Le 2019) with ReLU6, without squeeze-and-excitation (the Lite variant).
Kernel sizes, widths and expansions are read off the shapes of the weights; only the strides are not in them.
Batch normalisation is folded into the convolution before it.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.assist._rebuild_graph import GraphBuilder
from curate.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["build_embedder", "read_state"]

_BLOCKS = 16
_HALVING = frozenset({1, 3, 5, 11})
"""Blocks whose depthwise convolution has stride 2; the stem has it too."""
_EPSILON = 1e-3
"""Of the batch normalisation, as in TensorFlow's original."""

State = Mapping[str, NDArray[np.float32]]


def read_state(content: bytes) -> State:
    """Arrays of a saved torch state dict; only tensors are unpickled."""
    import torch

    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return {key: np.asarray(value.numpy(), np.float32) for key, value in state.items()}


def build_embedder(state: State, *, doc: str) -> ModelProto:
    """The model from "image" (batch, 3, 224, 224) to "embedding" (batch, 1280): the mean over all places.

    Args:
        state: Weights by their names in the original.
        doc: Goes into the model's doc string.

    Raises:
        ModelError: A weight is missing.
    """
    try:
        return _Lite0(state).model(doc)
    except KeyError as error:
        raise ModelError(f"the state dict of EfficientNet-Lite0 lacks {error}") from error


class _Lite0:
    def __init__(self, state: State) -> None:
        self._state = state
        self._graph = GraphBuilder()
        self._bounds = [
            self._graph.constant(np.array(value, np.float32), name)
            for name, value in (("relu6_min", 0), ("relu6_max", 6))
        ]

    def model(self, doc: str) -> ModelProto:
        here = self._conv("image", "_conv_stem", "_bn0", stride=2)
        for index in range(_BLOCKS):
            here = self._block(here, f"_blocks.{index}", 2 if index in _HALVING else 1)
        here = self._conv(here, "_conv_head", "_bn1")
        axes = self._graph.constant(np.array([2, 3]), "places")
        self._graph.node("ReduceMean", [here, axes], ["embedding"], keepdims=0)
        width = self._state["_conv_head.weight"].shape[0]
        return self._graph.model(
            "efficientnet_lite0",
            {"image": ["batch", 3, 224, 224]},
            {"embedding": ["batch", width]},
            opset=20,
            ir_version=10,
            doc=doc,
        )

    def _block(self, source: str, name: str, stride: int) -> str:
        """An inverted residual: expand, filter each channel, project; the input is added where it fits."""
        here = source
        if f"{name}._expand_conv.weight" in self._state:
            here = self._conv(here, f"{name}._expand_conv", f"{name}._bn0")
        here = self._conv(here, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride, depthwise=True)
        here = self._conv(here, f"{name}._project_conv", f"{name}._bn2", relu=False)
        if stride == 1 and self._width_in(name) == self._state[f"{name}._project_conv.weight"].shape[0]:
            here = self._graph.node("Add", [source, here], [f"{name}.sum"])
        return here

    def _width_in(self, name: str) -> int:
        expand = self._state.get(f"{name}._expand_conv.weight")
        depthwise = self._state[f"{name}._depthwise_conv.weight"]
        return int(depthwise.shape[0] if expand is None else expand.shape[1])

    def _conv(
        self,
        source: str,
        conv: str,
        norm: str,
        *,
        stride: int = 1,
        depthwise: bool = False,
        relu: bool = True,
    ) -> str:
        weight, bias = _fold(self._state, conv, norm)
        kernel = weight.shape[2]
        # TensorFlow's SAME padding of an even number of places: the odd pixel goes to the right and below.
        total = kernel - stride
        before, after = total // 2, total - total // 2
        attributes: dict[str, Any] = {
            "group": weight.shape[0] if depthwise else 1,
            "kernel_shape": [kernel, kernel],
            "pads": [before, before, after, after],
            "strides": [stride, stride],
        }
        constants = [
            self._graph.constant(weight, f"{conv}.weight"),
            self._graph.constant(bias, f"{conv}.weight_bias"),
        ]
        here = self._graph.node("Conv", [source, *constants], [f"{conv}.out"], **attributes)
        return self._graph.node("Clip", [here, *self._bounds], [f"{conv}.relu6"]) if relu else here


def _fold(state: State, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weight and bias of one convolution that does what the convolution and its batch normalisation do."""
    scale = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + np.float32(_EPSILON))
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
    return state[f"{conv}.weight"] * scale[:, None, None, None], bias
