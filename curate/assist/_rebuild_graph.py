"""Building small ONNX graphs, and storing their weights as float16, for `curate.assist.rebuild`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

__all__ = ["GraphBuilder", "halve_weights", "without_notes"]

_SMALLEST = 64
"""Numbers in the smallest tensor that is worth halving."""


class GraphBuilder:
    """Collects the nodes and the constants of an ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {}
        self._count = 0

    def fresh(self, kind: str) -> str:
        """A name that was not given out before: `kind`, then a running number."""
        self._count += 1
        return f"{kind}_{self._count}"

    def constant(self, values: NDArray[Any], name: str | None = None) -> str:
        """Stores an array, once for each name, and returns its name."""
        from onnx import numpy_helper

        name = self.fresh("c") if name is None else name
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, op: str, inputs: list[str], outputs: list[str], **attributes: Any) -> str:
        """Adds a node and returns the name of its first output."""
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outputs, **attributes))
        return outputs[0]

    def model(
        self,
        name: str,
        inputs: dict[str, list[int | str]],
        outputs: dict[str, list[int | str]],
        *,
        opset: int,
        ir_version: int,
        doc: str,
    ) -> ModelProto:
        """The checked model; inputs and outputs are float32 tensors of the given shapes.

        Raises:
            ModelError: The nodes do not fit together.
        """
        from onnx import TensorProto, checker, helper

        def values(shapes: dict[str, list[int | str]]) -> list[Any]:
            return [
                helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in shapes.items()
            ]

        graph = helper.make_graph(
            self.nodes, name, values(inputs), values(outputs), list(self.constants.values())
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
        )
        # make_model names the library as the producer; the bundled files do not.
        model.ClearField("producer_name")
        model.doc_string = doc
        try:
            checker.check_model(model)
        except checker.ValidationError as error:
            raise ModelError(f"the converted graph is no valid ONNX: {error}", item=name) from error
        return model


def without_notes(model: ModelProto) -> ModelProto:
    """A copy without the notes that exporters leave on nodes and graph: stack traces, with paths of a machine."""
    from onnx import ModelProto

    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    result.ClearField("metadata_props")
    return result


def halve_weights(model: ModelProto) -> ModelProto:
    """A copy of the model whose float32 weights lie in the file as float16, half the size.

    A Cast to float32 stands before every use, so all arithmetic stays in float32. Weights of fewer than 64
    numbers keep float32. Large Constant nodes become weights first.
    """
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    result = ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    nodes, tensors = [], list(graph.initializer)
    for node in graph.node:
        tensor = _large_constant(node)
        if tensor is None:
            nodes.append(node)
        else:
            tensors.append(tensor)
    casts, stored = [], []
    for tensor in tensors:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST:
            stored.append(tensor)
            continue
        half = f"{tensor.name}__h"
        stored.append(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [tensor.name], to=TensorProto.FLOAT))
    new = helper.make_graph([*casts, *nodes], graph.name, graph.input, graph.output, stored)
    graph.CopyFrom(new)
    return result


def _large_constant(node: NodeProto) -> TensorProto | None:
    """The float32 tensor of a Constant node that is worth halving, under the name of the node's output."""
    from onnx import TensorProto

    if node.op_type != "Constant" or node.attribute[0].name != "value":
        return None
    value = node.attribute[0].t
    if value.data_type != TensorProto.FLOAT or np.prod(value.dims) < _SMALLEST:
        return None
    tensor = TensorProto()
    tensor.CopyFrom(value)
    tensor.name = node.output[0]
    return tensor
