"""The exported model says what the detector says, for any batch size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch

from curate.detectors import train_detector
from curate.detectors.export import INPUT, OUTPUTS
from curate.detectors.letterbox import fit_canvas, letterbox


@pytest.mark.parametrize("background", [False, True])
def test_onnxruntime_agrees_with_torch(scene, weights, tmp_path, background):
    config = replace(scene.config, background_channels=background)
    plate = scene.plate if background else None
    detector = train_detector(scene.samples(4), scene.classes, config, weights, tmp_path, plate=plate)
    session = onnxruntime.InferenceSession(detector.to_onnx(96, 128), providers=["CPUExecutionProvider"])
    canvas = fit_canvas(96, 128, 128)
    order = [2, 1, 0, 5, 4, 3] if background else [2, 1, 0]
    images = [scene.image(index) for index in range(20, 23)]
    canvases = np.stack([letterbox(image, canvas, plate)[..., order] for image in images])
    for batch in (canvases[:1], canvases):
        boxes, scores = session.run(None, {INPUT: batch})
        assert boxes.shape == (len(batch), 12 * 16 + 6 * 8 + 3 * 4, 4)
        for image, own_boxes, own_scores in zip(images, boxes, scores, strict=False):
            _, dense = detector._forward(image)
            with torch.inference_mode():
                expected = detector._network.boxes(dense)[0].numpy()
                probabilities = detector._network.class_logits(dense)[0].sigmoid().numpy()
            np.testing.assert_allclose(own_boxes, expected, atol=1e-3)
            np.testing.assert_allclose(own_scores, probabilities, atol=1e-4)
    assert [entry.name for entry in session.get_outputs()] == list(OUTPUTS)


def test_the_signature_describes_the_model(scene, weights, tmp_path):
    detector = train_detector(scene.samples(4), scene.classes, scene.config, weights, tmp_path)
    session = onnxruntime.InferenceSession(detector.to_onnx(96, 128), providers=["CPUExecutionProvider"])
    signature = detector.signature(96, 128)
    (entry,) = signature["inputs"]
    assert session.get_inputs()[0].shape == entry["shape"]
    assert entry["letterbox"]["scale_x"] == 1.0
    assert [row["name"] for row in signature["outputs"]] == [row.name for row in session.get_outputs()]
    assert signature["outputs"][1]["shape"][-1] == len(scene.classes)
