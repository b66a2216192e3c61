"""The exported model says what the detector says, masks included, for any batch size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from curate.detectors import train_detector
from curate.detectors.export import OUTPUTS
from curate.detectors.letterbox import fit_canvas, letterbox
from curate.detectors.model import rois_of


def onnx_session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def lowest(score: float) -> np.ndarray:
    return np.array([score], np.float32)


@pytest.fixture(scope="module")
def masked(scene, weights, tmp_path_factory):
    """With masks; its input is larger than the frames."""
    config = replace(scene.config, mask_head=True, input_size=160, steps=10)
    samples = scene.samples(6, masks=True)
    return train_detector(samples, scene.classes, config, weights, tmp_path_factory.mktemp("masked"))


@pytest.fixture(scope="module")
def model(masked):
    return masked.to_onnx(96, 128)


def test_onnxruntime_agrees_with_torch(scene, masked, model):
    agree(scene, masked, onnx_session(model), list(OUTPUTS))


def test_onnxruntime_agrees_with_torch_on_background_channels(scene, weights, tmp_path):
    config = replace(scene.config, background_channels=True)
    samples = scene.samples(6)
    detector = train_detector(samples, scene.classes, config, weights, tmp_path, plate=scene.plate)
    agree(scene, detector, onnx_session(detector.to_onnx(96, 128)), list(OUTPUTS[:-1]))


def agree(scene, detector, session, names):
    """For batches of one and of three, at two scores."""
    assert [entry.name for entry in session.get_outputs()] == names
    canvas = fit_canvas(96, 128, detector.config.input_size)
    order = [2, 1, 0] if detector.plate is None else [2, 1, 0, 5, 4, 3]
    images = [scene.image(index) for index in range(20, 23)]
    canvases = np.stack([letterbox(image, canvas, detector.plate)[..., order] for image in images])
    for score in (0.0, 0.3):
        for batch in (canvases[:1], canvases):
            values = session.run(None, {"canvas": batch, "score": lowest(score)})
            found = dict(zip(names, values, strict=True))
            assert found["image"].tolist() == sorted(found["image"].tolist())
            for index, image in enumerate(images[: len(batch)]):
                own = {name: value[found["image"] == index] for name, value in found.items()}
                compare(detector, image, own, score)


def compare(detector, image, own, score):
    expected = detector.predict([image], score=score)[0]
    keep = expected.scores >= score
    assert len(own["scores"]) == keep.sum() > 0
    np.testing.assert_array_equal(own["classes"], expected.classes[keep])
    np.testing.assert_allclose(own["scores"], expected.scores[keep], atol=1e-4)
    np.testing.assert_allclose(own["boxes"], expected.boxes[keep], atol=1e-3)
    if detector.has_masks:
        prepared = detector._prepare(image)
        dense = detector._network.dense(prepared.tensor)
        with torch.inference_mode():
            rois = rois_of([prepared.to_input(expected.boxes[keep])])
            logits = detector._network.mask(prepared.tensor, dense, rois)
        np.testing.assert_allclose(own["masks"], logits.sigmoid().numpy(), atol=1e-3)


def test_nothing_found_is_nothing_in_every_output(model):
    canvas = np.zeros((2, 128, 160, 3), np.uint8)
    for value in onnx_session(model).run(None, {"canvas": canvas, "score": lowest(1)}):
        assert len(value) == 0


@pytest.mark.parametrize("masks", [False, True])
def test_the_signature_describes_the_model(masked, model, masks):
    session = onnx_session(model if masks else masked.to_onnx(96, 128, masks=False))
    signature = masked.signature(96, 128, masks=masks)
    for told, there in (
        (signature["inputs"], session.get_inputs()),
        (signature["outputs"], session.get_outputs()),
    ):
        assert [entry["name"] for entry in told] == [entry.name for entry in there]
        kinds = {"uint8": "tensor(uint8)", "float32": "tensor(float)", "int64": "tensor(int64)"}
        assert [kinds[entry["type"]] for entry in told] == [entry.type for entry in there]
    assert [entry["shape"] for entry in signature["inputs"]] == [row.shape for row in session.get_inputs()]
    assert signature["inputs"][0]["letterbox"]["scale_x"] == 1.25
    ranks = [len(entry["shape"]) for entry in signature["outputs"]]
    found = session.run(None, {"canvas": np.zeros((1, 128, 160, 3), np.uint8), "score": lowest(0)})
    assert ranks == [value.ndim for value in found]
    assert ("masks" in {entry["name"] for entry in signature["outputs"]}) == masks
