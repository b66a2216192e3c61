"""What rebuilds the bundled weights computes what their networks compute."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch.nn import functional

from curate.assist import weights as weights_module
from curate.assist._rebuild_compare import largest_difference, random_inputs
from curate.assist._rebuild_graph import GraphBuilder, halve_weights, without_notes
from curate.assist._rebuild_lite0 import build_embedder, read_state
from curate.assist._rebuild_tfjs import convert_graph_model, read_weights
from curate.errors import ModelError

# ---- TensorFlow.js ----------------------------------------------------------------------------------------


class TinyGraph:
    """Writes a TensorFlow.js graph model by hand."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.entries: list[dict[str, Any]] = []
        self.content = b""

    def const(self, name: str, values: Any, kind: str = "int32") -> str:
        array = np.asarray(values)
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": kind}
        if kind == "float16":
            entry |= {"dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}
        self.entries.append(entry)
        self.content += array.astype(np.dtype(kind).newbyteorder("<")).tobytes()
        return self.node("Const", name, [])

    def node(self, op: str, name: str, inputs: list[str], **attr: Any) -> str:
        self.nodes.append({"op": op, "name": name, "input": inputs, "attr": attr})
        return name

    def document(self, *outputs: str) -> dict[str, Any]:
        shape = {"tensorShape": {"dim": [{"size": "1"}, {"size": "16"}, {"size": "3"}]}}
        return {
            "modelTopology": {"node": self.nodes},
            "weightsManifest": [{"paths": ["tiny.bin"], "weights": self.entries}],
            "signature": {"outputs": {f"{name}:0": shape for name in outputs}},
        }

    def convert(self, *outputs: str) -> onnx.ModelProto:
        return convert_graph_model(self.document(*outputs), self.content, name="tiny.json", doc="by hand")


def ints(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def layout(**other: Any) -> dict[str, Any]:
    return {"padding": text("VALID"), "data_format": text("NHWC"), "strides": ints(1, 1, 1, 1), **other}


def tiny_graph(kernel: np.ndarray, bias: np.ndarray) -> TinyGraph:
    """Every operation that is converted, on a (1, 2, 8, 8) input."""
    graph = TinyGraph()
    size = {"dim": [{"size": str(axis)} for axis in (1, 2, 8, 8)]}
    graph.node("Placeholder", "image", [], shape={"shape": size})
    graph.const("pads", [[0, 0], [0, 0], [1, 2], [0, 1]])
    graph.const("low", -5.0, "float32")
    graph.const("last", [0, 2, 3, 1])
    graph.const("first", [0, 3, 1, 2])
    graph.const("kernel", kernel, "float16")
    graph.const("bias", bias, "float16")
    graph.node("Pad", "padded", ["image", "pads"])
    graph.node("Transpose", "padded_last", ["padded", "last"])
    graph.node(
        "Conv2D",
        "conv",
        ["padded_last", "kernel"],
        **layout(strides=ints(1, 2, 1, 1), dilations=ints(1, 1, 1, 1)),
    )
    graph.node("Add", "biased", ["conv", "bias"])
    graph.node("Transpose", "biased_first", ["biased", "first"])
    graph.node("LeakyRelu", "relu", ["biased_first"], alpha={"f": 0.1})
    graph.node("PadV2", "lower", ["relu", "pads", "low"])
    graph.node("Transpose", "lower_last", ["lower", "last"])
    graph.node("MaxPool", "pooled", ["lower_last"], **layout(ksize=ints(1, 3, 2, 1)))
    graph.const("target", [4, 4])
    centres = {"half_pixel_centers": {"b": True}, "align_corners": {"b": False}}
    graph.node("ResizeBilinear", "resized", ["pooled", "target"], **centres)
    graph.node("Transpose", "resized_first", ["resized", "first"])
    graph.const("axis", 1)
    graph.node("ConcatV2", "both", ["resized_first", "resized_first", "axis"])
    graph.const("sizes", [3, 5])
    graph.node("SplitV", "split", ["both", "sizes", "axis"])
    # A shape as TensorFlow leaves it behind: [1, 3, -1] plus a sparse tensor with one entry that is not zero.
    graph.const("where", [[1]])
    graph.const("length", [3])
    graph.const("entry", [2])
    graph.const("zero", 0)
    graph.node("SparseToDense", "dense", ["where", "length", "entry", "zero"])
    graph.const("most", [1, 1, -1])
    graph.node("AddV2", "shape", ["most", "dense"])
    graph.node("Sigmoid", "share", ["split"])
    graph.node("Reshape", "flat", ["share", "shape"])
    graph.const("turn", [0, 2, 1])
    graph.node("Transpose", "turned", ["flat", "turn"])
    graph.node("Identity", "Identity", ["turned"])
    return graph


def run(model: onnx.ModelProto, **inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def test_a_converted_graph_computes_what_torch_computes() -> None:
    random = np.random.default_rng(0)
    image = random.standard_normal((1, 2, 8, 8)).astype(np.float32)
    kernel = random.standard_normal((3, 2, 2, 4)).astype(np.float16).astype(np.float32)
    bias = random.standard_normal(4).astype(np.float16).astype(np.float32)
    model = tiny_graph(kernel, bias).convert("Identity")
    (got,) = run(model, image=image)

    here = functional.pad(torch.from_numpy(image), (0, 1, 1, 2))
    weight = torch.from_numpy(kernel).permute(3, 2, 0, 1)
    here = functional.leaky_relu(functional.conv2d(here, weight, torch.from_numpy(bias), stride=(2, 1)), 0.1)
    here = functional.max_pool2d(functional.pad(here, (0, 1, 1, 2), value=-5.0), (3, 2), stride=1)
    here = functional.interpolate(here, (4, 4), mode="bilinear", align_corners=False)
    want = torch.sigmoid(here[:, :3]).reshape(1, 3, -1).transpose(1, 2).numpy()
    assert got.shape == (1, 16, 3)
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert model.doc_string == "by hand"


def test_outputs_keep_their_order_and_names() -> None:
    graph = TinyGraph()
    size = {"dim": [{"size": str(axis)} for axis in (1, 16, 3)]}
    graph.node("Placeholder", "image", [], shape={"shape": size})
    graph.node("Identity", "a", ["image"])
    graph.node("Sigmoid", "b", ["image"])
    assert [output.name for output in graph.convert("b", "a").graph.output] == ["b", "a"]


@pytest.mark.parametrize(
    ("op", "inputs", "attr", "message"),
    [
        ("Erf", ["image"], {}, "operation Erf is not converted"),
        ("Sigmoid", ["later"], {}, "'later', which is not computed before it"),
        ("Transpose", ["image", "image"], {}, "'image' must be a constant"),
        (
            "MaxPool",
            ["image"],
            layout(padding=text("SAME")),
            "padding must be VALID to be converted, got SAME",
        ),
        ("MaxPool", ["image"], layout(data_format=text("NCHW")), "data_format must be NHWC"),
        ("MaxPool", ["image"], {}, "expected a TensorFlow.js graph model, got KeyError"),
        (
            "ResizeBilinear",
            ["image", "size"],
            {"half_pixel_centers": {"b": False}, "align_corners": {"b": True}},
            "half-pixel centres",
        ),
        ("Identity", ["image"], {}, r"does not compute its outputs \['Identity'\]"),
    ],
)
def test_what_cannot_be_converted_is_named(
    op: str, inputs: list[str], attr: dict[str, Any], message: str
) -> None:
    graph = TinyGraph()
    size = {"dim": [{"size": str(axis)} for axis in (1, 8, 8, 3)]}
    graph.node("Placeholder", "image", [], shape={"shape": size})
    graph.const("size", [4, 4])
    graph.node(op, "odd", inputs, **attr)
    with pytest.raises(ModelError, match=message):
        graph.convert("Identity")


def test_weights_must_fit_the_manifest() -> None:
    graph = TinyGraph()
    graph.const("a", [1, 2, 3])
    graph.const("b", [0.5, -2.0], "float16")
    manifest = graph.document()["weightsManifest"]
    arrays = read_weights(manifest, graph.content)
    assert arrays["a"].tolist() == [1, 2, 3]
    assert arrays["a"].dtype == np.int64
    assert arrays["b"].tolist() == [0.5, -2.0]
    assert arrays["b"].dtype == np.float32
    with pytest.raises(ModelError, match=r"b: the weights end at byte 15, expected 16"):
        read_weights(manifest, graph.content[:-1])
    with pytest.raises(ModelError, match=r"expected 16 bytes of weights, got 17"):
        read_weights(manifest, graph.content + b"x")
    manifest[0]["weights"][0]["dtype"] = "uint8"
    with pytest.raises(ModelError, match="number format"):
        read_weights(manifest, graph.content)


# ---- float16 storage and comparison -----------------------------------------------------------------------


def scaled(path: Path, factor: float, *, name: str = "out") -> Path:
    builder = GraphBuilder()
    builder.node("Mul", ["in", builder.constant(np.full((1, 4), factor, np.float32))], [name])
    shape: list[int | str] = ["batch", 4]
    model = builder.model("scaled", {"in": shape}, {name: shape}, opset=18, ir_version=9, doc="")
    path.write_bytes(model.SerializeToString())
    return path


def test_large_weights_are_stored_as_half_and_used_as_single() -> None:
    random = np.random.default_rng(1)
    builder = GraphBuilder()
    large = random.standard_normal((8, 8)).astype(np.float32)
    inline = random.standard_normal((1, 64)).astype(np.float32)
    small = random.standard_normal(63).astype(np.float32)
    builder.node("Reshape", ["in", builder.constant(np.array([8, 8]))], ["square"])
    builder.node("MatMul", ["square", builder.constant(large, "large")], ["product"])
    builder.node("Reshape", ["product", builder.constant(np.array([1, 64]))], ["row"])
    builder.node("Constant", [], ["inline"], value=numpy_helper.from_array(inline))
    builder.node("Add", ["row", "inline"], ["sum"])
    padded = builder.constant(small.reshape(1, 63), "small")
    builder.node("Concat", ["sum", padded], ["out"], axis=1)
    model = builder.model("tiny", {"in": [1, 64]}, {"out": [1, 127]}, opset=18, ir_version=9, doc="kept")
    halved = halve_weights(model)

    kinds = {tensor.name: tensor.data_type for tensor in halved.graph.initializer}
    assert kinds["large__h"] == kinds["inline__h"] == TensorProto.FLOAT16
    assert kinds["small"] == TensorProto.FLOAT
    assert halved.doc_string == "kept"
    assert [node.op_type for node in model.graph.node][3] == "Constant", "the argument is left as it was"
    values = random.standard_normal((1, 64)).astype(np.float32)
    (got,) = run(halved, **{"in": values})
    half = (array.astype(np.float16).astype(np.float32) for array in (large, inline))
    want = (values.reshape(8, 8) @ next(half)).reshape(1, 64) + next(half)
    np.testing.assert_allclose(got, np.concatenate([want, small[None]], axis=1), atol=1e-5)


def test_a_difference_is_measured_against_the_scale_of_the_output(tmp_path: Path) -> None:
    bundled = scaled(tmp_path / "a.onnx", 200.0)
    assert largest_difference(scaled(tmp_path / "b.onnx", 200.0), bundled) == {"out": 0.0}
    measured = largest_difference(scaled(tmp_path / "c.onnx", 201.0), bundled)
    assert measured["out"] == pytest.approx(1 / 200, rel=1e-4)
    with pytest.raises(ModelError, match="expected the outputs"):
        largest_difference(scaled(tmp_path / "d.onnx", 200.0, name="other"), bundled)
    with pytest.raises(ModelError, match="finite"):
        largest_difference(scaled(tmp_path / "e.onnx", float("nan")), bundled)
    (tmp_path / "f.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="cannot read the model"):
        largest_difference(tmp_path / "f.onnx", bundled)


def test_random_inputs_are_the_same_every_time() -> None:
    shapes: dict[str, list[int | str]] = {"image": ["batch", 3, 8, 8], "point_labels": [1, "points"]}
    first, second = random_inputs(shapes), random_inputs(shapes)
    assert first["image"].shape == (1, 3, 8, 8)
    assert first["image"].dtype == np.float32
    assert first["point_labels"].tolist() == [[2.0, 3.0]]
    np.testing.assert_array_equal(first["image"], second["image"])


def test_a_graph_that_does_not_fit_is_refused() -> None:
    builder = GraphBuilder()
    builder.node("Sigmoid", ["nowhere"], ["out"])
    with pytest.raises(ModelError, match="no valid ONNX"):
        builder.model("odd", {"in": [1]}, {"out": [1]}, opset=18, ir_version=9, doc="")


# ---- notes of exporters -----------------------------------------------------------------------------------


def test_notes_of_an_exporter_go_and_the_numbers_stay(tmp_path: Path) -> None:
    path = scaled(tmp_path / "noted.onnx", 3.0)
    noted = onnx.load(path)
    for part in (noted, noted.graph, noted.graph.node[0]):
        part.metadata_props.add(key="pkg.torch.onnx.stack_trace", value='File "/home/ann/model.py", line 3')
    noted.graph.node[0].doc_string = "/home/ann"
    plain = without_notes(noted)
    assert b"/home/ann" in noted.SerializeToString()
    assert plain.SerializeToString() == path.read_bytes()


def test_no_bundled_file_tells_of_the_machine_that_made_it() -> None:
    folder = weights_module.weights_path("efficientnet_lite0_embed.onnx").parent
    for path in folder.glob("*.onnx"):
        content = path.read_bytes()
        assert not [
            word for word in (b'File "', b"site-packages", b"/home/", b"stack_trace") if word in content
        ]


# ---- EfficientNet-Lite0 -----------------------------------------------------------------------------------

# Kernel, stride, expansion, width, repeats of the stages: table 1 of Tan and Le 2019.
STAGES = [
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
]


class Lite0:
    """EfficientNet-Lite0 with random weights, batch normalisation kept apart, in plain torch."""

    def __init__(self) -> None:
        self.random = torch.Generator().manual_seed(3)
        self.state: dict[str, torch.Tensor] = {}

    def _conv(
        self, here: torch.Tensor, conv: str, norm: str, width: int, kernel: int, stride: int, groups: int
    ) -> torch.Tensor:
        channels = here.shape[1] // groups
        spread = (channels * kernel * kernel) ** -0.5
        weight = torch.randn((width, channels, kernel, kernel), generator=self.random) * spread
        scale, variance = (torch.rand(width, generator=self.random) + 0.5 for _ in range(2))
        shift, mean = (torch.randn(width, generator=self.random) * 0.1 for _ in range(2))
        self.state[f"{conv}.weight"] = weight
        keys = ("weight", "bias", "running_mean", "running_var")
        self.state |= {
            f"{norm}.{key}": value for key, value in zip(keys, (scale, shift, mean, variance), strict=True)
        }
        # SAME: as many outputs as strides fit; the odd pixel of padding at the far end.
        total = max((-(-here.shape[2] // stride) - 1) * stride + kernel - here.shape[2], 0)
        near, far = total // 2, total - total // 2
        here = functional.conv2d(
            functional.pad(here, (near, far, near, far)), weight, stride=stride, groups=groups
        )
        return functional.batch_norm(here, mean, variance, scale, shift, eps=1e-3)

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        here = functional.relu6(self._conv(image, "_conv_stem", "_bn0", 32, 3, 2, 1))
        index = 0
        for kernel, first, expansion, width, repeats in STAGES:
            for repeat in range(repeats):
                name, stride, source = f"_blocks.{index}", first if repeat == 0 else 1, here
                middle = here.shape[1] * expansion
                if expansion > 1:
                    wide = self._conv(here, f"{name}._expand_conv", f"{name}._bn0", middle, 1, 1, 1)
                    here = functional.relu6(wide)
                depthwise = f"{name}._depthwise_conv"
                here = self._conv(here, depthwise, f"{name}._bn1", middle, kernel, stride, middle)
                here = functional.relu6(here)
                here = self._conv(here, f"{name}._project_conv", f"{name}._bn2", width, 1, 1, 1)
                if stride == 1 and source.shape == here.shape:
                    here = here + source
                index += 1
        return functional.relu6(self._conv(here, "_conv_head", "_bn1", 1280, 1, 1, 1)).mean((2, 3))


def test_the_embedder_computes_what_the_architecture_says() -> None:
    image = torch.randn((2, 3, 224, 224), generator=torch.Generator().manual_seed(4))
    network = Lite0()
    with torch.inference_mode():
        want = network(image).numpy()
    saved = io.BytesIO()
    torch.save(network.state, saved)
    state = read_state(saved.getvalue())
    (got,) = run(build_embedder(state, doc=""), image=image.numpy())
    assert got.shape == (2, 1280)
    assert np.abs(want).max() > 0.1
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())
    lacking = {key: value for key, value in state.items() if key != "_blocks.7._bn2.bias"}
    with pytest.raises(ModelError, match=r"lacks '_blocks\.7\._bn2\.bias'"):
        build_embedder(lacking, doc="")
