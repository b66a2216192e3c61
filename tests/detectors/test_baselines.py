from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torchvision.models import detection
from torchvision.ops import nms

from curate.detectors import GenericDetector, TorchvisionCoco
from curate.errors import ModelError
from curate.geometry import box_iou

MEAN, STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)


@pytest.fixture(scope="module")
def image():
    random = np.random.default_rng(4)
    small = random.integers(0, 255, (26, 26, 3), dtype=np.uint8)
    return np.kron(small, np.ones((16, 16, 1), np.uint8))


def test_generic_detector_is_the_bundled_model(weights, image):
    """The same frame through onnxruntime and a decoder written down a second time."""
    session = onnxruntime.InferenceSession(str(weights))
    pixels = ((image[..., ::-1] - MEAN) / STD).astype(np.float32).transpose(2, 0, 1)[None]
    outputs = {
        o.name: v for o, v in zip(session.get_outputs(), session.run(None, {"input_1": pixels}), strict=True)
    }
    boxes, scores = [], []
    for stride, score_name, distance_name in (
        (8, "Identity", "Identity_3"),
        (16, "Identity_1", "Identity_4"),
        (32, "Identity_2", "Identity_5"),
    ):
        side = 416 // stride
        bins = outputs[distance_name][0].reshape(-1, 4, 11)
        shares = np.exp(bins - bins.max(2, keepdims=True))
        distance = (shares / shares.sum(2, keepdims=True) * np.arange(11)).sum(2) * stride
        y, x = np.divmod(np.arange(side * side), side)
        centre = np.stack([x + 0.5, y + 0.5], 1) * stride
        boxes.append(np.concatenate([centre - distance[:, :2], centre + distance[:, 2:]], 1))
        scores.append(outputs[score_name][0][:, 0])
    flat, person = np.concatenate(boxes), np.concatenate(scores)
    kept = np.flatnonzero(person >= 0.01)
    kept = kept[nms(torch.tensor(flat[kept]).float(), torch.tensor(person[kept]).float(), 0.6).numpy()]
    found = GenericDetector(weights, ("person",), device="cpu").predict([image])[0]
    count = min(10, len(kept))
    assert count
    np.testing.assert_allclose(found.scores[:count], person[kept[:count]], atol=1e-4)
    np.testing.assert_allclose(found.boxes[:count], np.clip(flat[kept[:count]], 0, 416), atol=0.05)


def test_generic_detector_judges_given_boxes_and_has_no_masks(weights, image):
    detector = GenericDetector(weights, ("person", "cone"), device="cpu")
    found = detector.predict([image])[0]
    assert not (found.classes == 1).any()
    scores = detector.score_boxes([image], [found.boxes[:3]])[0]
    assert scores.class_probs.shape == (3, 3)
    np.testing.assert_allclose(scores.class_probs.sum(1), 1)
    assert scores.class_probs[0, 0] == pytest.approx(found.scores[0], abs=0.02)
    assert box_iou(scores.refined_boxes[:1], found.boxes[:1])[0, 0] > 0.9
    assert detector.score_boxes([image], [np.zeros((0, 4))])[0].class_probs.shape == (0, 3)
    with pytest.raises(ModelError, match="no masks"):
        detector.predict([image], masks=True)
    with pytest.raises(ModelError, match="knows none"):
        GenericDetector(weights, ("cone",))


def test_torchvision_says_when_its_weights_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="bundled detector is used instead"):
        TorchvisionCoco(("person",), device="cpu")


def test_torchvision_detector_reports_site_classes(monkeypatch, tmp_path, image):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    torch.manual_seed(0)
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None)
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    url = detection.FasterRCNN_MobileNet_V3_Large_320_FPN_Weights.COCO_V1.url
    torch.save(model.state_dict(), cache / url.rsplit("/", 1)[1])
    found = TorchvisionCoco(("car", "person"), device="cpu").predict([image])[0]
    assert found.boxes.shape == (len(found), 4)
    assert set(found.classes.tolist()) <= {0, 1}
    with pytest.raises(ModelError, match="knows none"):
        TorchvisionCoco(("cone",))
