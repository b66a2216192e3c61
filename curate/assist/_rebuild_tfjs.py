"""TensorFlow.js graph model to ONNX, for the operations that the bundled detector uses.

The format is described by the TensorFlow.js converter: a JSON document with the graph (`modelTopology`, a
TensorFlow GraphDef) and a list of weights, whose numbers follow each other in one binary file. TensorFlow's
convolutions, poolings and resizings take channels last, ONNX's take channels first: a Transpose stands on
either side of each, and onnxruntime removes the pairs that cancel out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.assist._rebuild_graph import GraphBuilder
from curate.errors import ModelError
from curate.types import JSONValue

if TYPE_CHECKING:
    from onnx import ModelProto

__all__ = ["convert_graph_model", "read_weights"]

_FIRST, _LAST = [0, 3, 1, 2], [0, 2, 3, 1]


def convert_graph_model(document: JSONValue, weights: bytes, *, name: str, doc: str) -> ModelProto:
    """The ONNX model (opset 18) of a TensorFlow.js graph model; inputs, outputs and their order are kept.

    Args:
        document: The parsed model.json.
        weights: Content of the binary file.
        name: Of the ONNX graph.
        doc: Goes into the model's doc string.

    Raises:
        ModelError: The document is of another form, or the graph has something that is not converted here.
    """
    try:
        signature = document["signature"]["outputs"]
        outputs = {key.partition(":")[0]: _shape(info["tensorShape"]) for key, info in signature.items()}
        converter = _Converter(read_weights(document["weightsManifest"], weights))
        for node in document["modelTopology"]["node"]:
            converter.add(node)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ModelError(
            f"expected a TensorFlow.js graph model, got {type(error).__name__}: {error}", file=name
        ) from error
    if missing := sorted(outputs.keys() - converter.known):
        raise ModelError(f"the graph does not compute its outputs {missing}", file=name)
    return converter.graph.model(name, converter.inputs, outputs, opset=18, ir_version=9, doc=doc)


def read_weights(manifest: JSONValue, content: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name. float32 may lie in the file as float16; integers are int32 there and int64 here.

    Raises:
        ModelError: Another number format, or the file has another length than the manifest says.
    """
    arrays: dict[str, NDArray[Any]] = {}
    offset = 0
    for entry in (entry for group in manifest for entry in group["weights"]):
        formats = (entry["dtype"], entry.get("quantization", {}).get("dtype"))
        kinds = {
            ("float32", None): ("<f4", np.float32),
            ("float32", "float16"): ("<f2", np.float32),
            ("int32", None): ("<i4", np.int64),
        }
        if formats not in kinds:
            raise ModelError(f"number format {formats} is not converted", item=entry["name"])
        stored, wanted = np.dtype(kinds[formats][0]), kinds[formats][1]
        count = int(np.prod(entry["shape"], dtype=np.int64))
        end = offset + count * stored.itemsize
        if end > len(content):
            raise ModelError(f"the weights end at byte {len(content)}, expected {end}", item=entry["name"])
        values = np.frombuffer(content, stored, count, offset)
        arrays[entry["name"]] = values.astype(wanted).reshape(entry["shape"])
        offset = end
    if offset != len(content):
        raise ModelError(f"expected {offset} bytes of weights, got {len(content)}")
    return arrays


class _Converter:
    """Adds TensorFlow nodes one by one, each after the nodes that it reads."""

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        self.graph = GraphBuilder()
        self.inputs: dict[str, list[int | str]] = {}
        self.known: set[str] = set()
        self._weights = weights
        self._values: dict[str, NDArray[Any]] = {}
        self._ops: dict[str, Callable[[str, list[str], Any], None]] = {
            "Add": self._add,
            "AddV2": self._add,
            "ConcatV2": self._concat,
            "Const": self._const,
            "Conv2D": self._conv,
            "Identity": self._plain("Identity"),
            "LeakyRelu": self._leaky_relu,
            "MaxPool": self._max_pool,
            "Pad": self._pad,
            "PadV2": self._pad,
            "Placeholder": self._placeholder,
            "Reshape": self._reshape,
            "ResizeBilinear": self._resize,
            "Sigmoid": self._plain("Sigmoid"),
            "SparseToDense": self._sparse_to_dense,
            "SplitV": self._split,
            "Transpose": self._transpose,
        }

    def add(self, node: JSONValue) -> None:
        """Convert one node of the GraphDef."""
        op, name, inputs = node["op"], node["name"], list(node.get("input", []))
        if op not in self._ops:
            raise ModelError(f"operation {op} is not converted", item=name)
        for source in inputs:
            if source not in self.known and source not in self._values:
                raise ModelError(f"it reads {source!r}, which is not computed before it", item=name)
        self._ops[op](name, inputs, node.get("attr", {}))

    def _emit(self, op: str, inputs: list[str], outputs: Sequence[str], **attributes: Any) -> None:
        self.graph.node(op, [self._operand(source) for source in inputs], list(outputs), **attributes)
        self.known.update(outputs)

    def _operand(self, name: str) -> str:
        return self.graph.constant(self._values[name], name) if name in self._values else name

    def _value(self, node: str, source: str) -> NDArray[Any]:
        if source not in self._values:
            raise ModelError(f"{source!r} must be a constant to be converted", item=node)
        return self._values[source]

    def _channels_first(self, source: str) -> str:
        return self.graph.node("Transpose", [self._operand(source)], [self.graph.fresh("t")], perm=_FIRST)

    def _const(self, name: str, inputs: list[str], attr: Any) -> None:
        self._values[name] = self._weights[name]

    def _placeholder(self, name: str, inputs: list[str], attr: Any) -> None:
        self.inputs[name] = _shape(attr["shape"]["shape"])
        self.known.add(name)

    def _plain(self, op: str) -> Callable[[str, list[str], Any], None]:
        return lambda name, inputs, attr: self._emit(op, inputs, [name])

    def _add(self, name: str, inputs: list[str], attr: Any) -> None:
        if all(source in self._values for source in inputs):
            self._values[name] = self._values[inputs[0]] + self._values[inputs[1]]
        else:
            self._emit("Add", inputs, [name])

    def _sparse_to_dense(self, name: str, inputs: list[str], attr: Any) -> None:
        where, shape, values, default = (self._value(name, source) for source in inputs)
        dense = np.full(shape, default, default.dtype)
        dense[tuple(where.reshape(-1, shape.size).T)] = values
        self._values[name] = dense

    def _concat(self, name: str, inputs: list[str], attr: Any) -> None:
        self._emit("Concat", inputs[:-1], [name], axis=int(self._value(name, inputs[-1])))

    def _leaky_relu(self, name: str, inputs: list[str], attr: Any) -> None:
        self._emit("LeakyRelu", inputs, [name], alpha=attr["alpha"]["f"])

    def _transpose(self, name: str, inputs: list[str], attr: Any) -> None:
        self._emit("Transpose", inputs[:1], [name], perm=self._value(name, inputs[1]).tolist())

    def _reshape(self, name: str, inputs: list[str], attr: Any) -> None:
        shape = self.graph.constant(self._value(name, inputs[1]))
        self.graph.node("Reshape", [self._operand(inputs[0]), shape], [name])
        self.known.add(name)

    def _split(self, name: str, inputs: list[str], attr: Any) -> None:
        sizes, axis = self._value(name, inputs[1]), int(self._value(name, inputs[2]))
        outputs = [name, *(f"{name}:{index}" for index in range(1, sizes.size))]
        self.graph.node("Split", [self._operand(inputs[0]), self.graph.constant(sizes)], outputs, axis=axis)
        self.known.update(outputs)

    def _pad(self, name: str, inputs: list[str], attr: Any) -> None:
        # TensorFlow: a row (before, after) for each axis; ONNX: all before, then all after.
        operands = [
            self._operand(inputs[0]),
            self.graph.constant(self._value(name, inputs[1]).T.reshape(-1)),
            *(self.graph.constant(self._value(name, source).reshape(1)) for source in inputs[2:]),
        ]
        self.graph.node("Pad", operands, [name])
        self.known.add(name)

    def _conv(self, name: str, inputs: list[str], attr: Any) -> None:
        _expect_valid_channels_last(name, attr)
        kernel = self._value(name, inputs[1])
        source = self._channels_first(inputs[0])
        weights = self.graph.constant(kernel.transpose(3, 2, 0, 1))
        result = self.graph.node(
            "Conv",
            [source, weights],
            [self.graph.fresh("conv")],
            auto_pad="VALID",
            strides=_spatial(attr["strides"]),
            dilations=_spatial(attr["dilations"]),
            kernel_shape=list(kernel.shape[:2]),
            group=1,
        )
        self._emit("Transpose", [result], [name], perm=_LAST)

    def _max_pool(self, name: str, inputs: list[str], attr: Any) -> None:
        _expect_valid_channels_last(name, attr)
        pooled = self.graph.fresh("mp")
        self.graph.node(
            "MaxPool",
            [self._channels_first(inputs[0])],
            [pooled],
            auto_pad="VALID",
            kernel_shape=_spatial(attr["ksize"]),
            strides=_spatial(attr["strides"]),
        )
        self._emit("Transpose", [pooled], [name], perm=_LAST)

    def _resize(self, name: str, inputs: list[str], attr: Any) -> None:
        if attr["align_corners"]["b"] or not attr["half_pixel_centers"]["b"]:
            raise ModelError("only resizing by half-pixel centres is converted", item=name)
        graph, sizes = self.graph, self._value(name, inputs[1])
        source, result = self._channels_first(inputs[0]), graph.fresh("rs")
        graph.fresh("roi")  # not needed; the number is spent so that all names are those of the bundled file
        shape, kept = graph.fresh("shape"), graph.fresh("nc")
        graph.node("Shape", [source], [shape])
        bounds = [graph.constant(np.array([value])) for value in (0, 2, 0)]
        graph.node("Slice", [shape, *bounds], [kept])
        target = graph.fresh("sz")
        graph.node("Concat", [kept, graph.constant(sizes)], [target], axis=0)
        graph.node(
            "Resize",
            [source, "", "", target],
            [result],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
        self._emit("Transpose", [result], [name], perm=_LAST)


def _shape(shape: JSONValue) -> list[int | str]:
    return [int(dim["size"]) for dim in shape["dim"]]


def _spatial(attribute: JSONValue) -> list[int]:
    """Rows and columns of a list that is given for (batch, rows, columns, channels)."""
    return [int(value) for value in attribute["list"]["i"]][1:3]


def _expect_valid_channels_last(name: str, attr: JSONValue) -> None:
    for key, wanted in (("padding", "VALID"), ("data_format", "NHWC")):
        got = base64.b64decode(attr[key]["s"]).decode("ascii", "replace")
        if got != wanted:
            raise ModelError(f"{key} must be {wanted} to be converted, got {got}", item=name)
