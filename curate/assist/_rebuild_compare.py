"""Running two ONNX files on the same random input, for `curate.assist.rebuild`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import ModelError

__all__ = ["largest_difference", "random_inputs"]

_SEED = 20240229
_THREADS = 2


def largest_difference(rebuilt: Path, bundled: Path) -> dict[str, float]:
    """Largest absolute difference of each output, as a share of the bundled output's largest magnitude.

    Both files run on the same random input, in onnxruntime on the CPU.

    Raises:
        ModelError: A file is no model, the two take or give different things, or an output is not finite.
    """
    old, new = _Model(bundled), _Model(rebuilt)
    for kind, had, has in (("inputs", old.inputs, new.inputs), ("outputs", old.outputs, new.outputs)):
        if had != has:
            raise ModelError(f"expected the {kind} {had}, got {has}", file=rebuilt)
    inputs = random_inputs({name: shape for name, _, shape in old.inputs})
    result = {}
    for (name, _, _), was, got in zip(old.outputs, old.run(inputs), new.run(inputs), strict=True):
        if was.shape != got.shape:
            raise ModelError(f"expected shape {was.shape}, got {got.shape}", file=rebuilt, item=name)
        if not np.isfinite(was).all() or not np.isfinite(got).all():
            raise ModelError("not all outputs are finite", file=rebuilt, item=name)
        scale = float(np.abs(was).max())
        difference = float(np.abs(was - got).max())
        result[name] = difference / scale if scale > 0 else difference
    return result


def random_inputs(shapes: Mapping[str, list[int | str]]) -> dict[str, NDArray[np.float32]]:
    """Seeded inputs by name: standard normal numbers, except where a segmenter's prompt needs others.

    Args:
        shapes: Axes by input name; a name instead of a length stands for one item.
    """
    random = np.random.default_rng(_SEED)
    fixed: dict[str, Any] = {
        "point_coords": [[[200, 150], [700, 620]]],
        "point_labels": [[2, 3]],  # a box: its upper left and its lower right corner
        "has_mask_input": [0],
        "orig_im_size": [300, 400],
    }
    return {
        name: np.asarray(
            fixed[name]
            if name in fixed
            else random.standard_normal([1 if isinstance(axis, str) else axis for axis in shape]),
            np.float32,
        )
        for name, shape in shapes.items()
    }


class _Model:
    """An ONNX file in onnxruntime, with (name, type, shape) of its inputs and outputs."""

    def __init__(self, path: Path) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = _THREADS
        options.log_severity_level = 4
        self._path = path
        self._broken = (
            states.NoSuchFile,
            states.InvalidProtobuf,
            states.InvalidGraph,
            states.Fail,
            states.InvalidArgument,
            states.RuntimeException,
        )
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except self._broken as error:
            raise ModelError(f"onnxruntime cannot read the model: {error}", file=path) from error
        self.inputs = [(value.name, value.type, list(value.shape)) for value in self._session.get_inputs()]
        self.outputs = [(value.name, value.type, list(value.shape)) for value in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.float64]]:
        """All outputs in their order."""
        try:
            values = self._session.run(None, dict(inputs))
        except self._broken as error:
            raise ModelError(f"onnxruntime cannot run the model: {error}", file=self._path) from error
        return [np.asarray(value, np.float64) for value in values]
