"""Reads the bundled detector's ONNX file into the torch module, and picks the class rows of a site."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from curate.detectors.classes import COCO_CLASSES, ClassRows
from curate.detectors.nanodet import BINS, CONVOLUTIONS, NanoDet
from curate.errors import ModelError

__all__ = ["build_network", "load_coco_state", "weights_digest"]

# Operators between a convolution and the addition of its bias that only move axes or change the type.
_TRANSPARENT = ("Transpose", "Cast", "Identity")
# A fresh class row starts at this probability everywhere, as focal losses want it (Lin et al., 2017).
_PRIOR = 0.01


def weights_digest(path: Path) -> str:
    """SHA-256 of a weights file, in hex.

    Raises:
        ModelError: The file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            "the detector's weights cannot be read", file=path, hint="reinstall crossguard"
        ) from error


def load_coco_state(path: Path) -> dict[str, Tensor]:
    """State dict of `NanoDet(80)` from the bundled ONNX graph.

    Args:
        path: nanodet_g_coco_416.onnx.

    Returns:
        float32 weights and biases of the 34 convolutions by module name.

    Raises:
        ModelError: The file is missing, no ONNX model, or another network.
    """
    import onnx

    try:
        graph = onnx.load_model_from_string(path.read_bytes()).graph
    except OSError as error:
        raise ModelError(
            "the detector's weights cannot be read", file=path, hint="reinstall crossguard"
        ) from error
    except Exception as error:  # protobuf's DecodeError has no stable public name
        raise ModelError("expected an ONNX model", file=path) from error
    state = _read_convolutions(graph)
    expected = {name: tuple(value.shape) for name, value in NanoDet(len(COCO_CLASSES)).state_dict().items()}
    if {name: tuple(value.shape) for name, value in state.items()} != expected:
        raise ModelError(
            f"expected the {len(CONVOLUTIONS)} convolutions of NanoDet-G, got another network", file=path
        )
    return state


def _read_convolutions(graph: Any) -> dict[str, Tensor]:
    from onnx import numpy_helper

    arrays = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    source = {node.output[0]: node.input[0] for node in graph.node if node.op_type in _TRANSPARENT}

    def origin(name: str) -> str:
        while name in source:
            name = source[name]
        return name

    biases: dict[str, Any] = {}
    for node in graph.node:
        if node.op_type == "Add" and origin(node.input[1]) in arrays:
            biases[origin(node.input[0])] = arrays[origin(node.input[1])]
    state: dict[str, Tensor] = {}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    for name, node in zip(CONVOLUTIONS, convolutions, strict=False):
        weight, bias = arrays.get(origin(node.input[1])), biases.get(node.output[0])
        if weight is not None and bias is not None:
            state[f"{name}.weight"] = torch.from_numpy(np.array(weight, np.float32))
            state[f"{name}.bias"] = torch.from_numpy(np.array(bias, np.float32))
    return state


def build_network(coco: dict[str, Tensor], rows: ClassRows, channels: int = 3) -> NanoDet:
    """The network with the class rows of a site, started from the COCO rows.

    Args:
        coco: `load_coco_state`'s result.
        rows: Which COCO rows every class of the site starts from.
        channels: Input channels; those after the first three start with zero weights, so that the
            network begins as the network of the image alone.

    Returns:
        A network whose scores for a mapped class equal the COCO detector's.
    """
    network = NanoDet(len(rows.sources), channels)
    state = dict(coco)
    stem = torch.zeros_like(network.stem.weight)
    stem[:, :3] = coco["stem.weight"]
    state["stem.weight"] = stem
    for level in range(len(network.outputs)):
        for part in ("weight", "bias"):
            name = f"outputs.{level}.{part}"
            state[name] = _pick_rows(coco[name], rows.sources)
    network.load_state_dict(state)
    return network


def _pick_rows(values: Tensor, sources: Sequence[int | None]) -> Tensor:
    """Rows of the COCO head, and fresh ones: the mean direction of all classes at a low prior."""
    classes = values[: -4 * BINS]
    fresh = classes.mean(0)
    if values.dim() == 1:
        fresh = torch.full_like(fresh, float(np.log(_PRIOR / (1 - _PRIOR))))
    picked = [fresh if source is None else classes[source] for source in sources]
    return torch.cat([torch.stack(picked), values[-4 * BINS :]])
