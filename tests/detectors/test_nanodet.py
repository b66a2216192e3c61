from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from curate.detectors.classes import COCO_CLASSES, coco_sources, map_classes
from curate.detectors.nanodet import BINS, NanoDet
from curate.detectors.weights import build_network, load_coco_state
from curate.errors import ModelError


@pytest.fixture(scope="module")
def coco(weights):
    return load_coco_state(weights)


@pytest.fixture(scope="module")
def network(coco):
    network = NanoDet(len(COCO_CLASSES)).eval()
    network.load_state_dict(coco)
    return network


def test_torch_module_agrees_with_onnxruntime(weights, network):
    image = np.random.default_rng(0).normal(size=(1, 3, 416, 416)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(weights))
    outputs = session.run(None, {session.get_inputs()[0].name: image})
    outputs = sorted(outputs, key=lambda output: -output.shape[1])
    scores = np.concatenate([output for output in outputs if output.shape[2] == 80], 1)
    distances = np.concatenate([output for output in outputs if output.shape[2] == 4 * BINS], 1)
    with torch.inference_mode():
        dense = network(torch.from_numpy(image))
    np.testing.assert_allclose(dense.logits.sigmoid().numpy(), scores, atol=1e-4, rtol=0)
    np.testing.assert_allclose(dense.distances.numpy(), distances, atol=1e-4, rtol=0)


def test_a_batch_gives_what_its_images_give_alone(network):
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 3, 64, 96)).astype(np.float32))
    with torch.inference_mode():
        together = network(images).logits
        alone = torch.cat([network(image[None]).logits for image in images])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (320, 416), (96, 608)])
def test_any_multiple_of_32_is_a_valid_input(network, height, width):
    with torch.inference_mode():
        dense = network(torch.zeros(1, 3, height, width))
    cells = sum(height // stride * (width // stride) for stride in (8, 16, 32))
    assert dense.logits.shape == (1, cells, 80)
    assert dense.distances.shape == (1, cells, 44)
    assert [rows * columns for rows, columns in dense.grid] == [
        height // stride * (width // stride) for stride in (8, 16, 32)
    ]


def test_site_rows_are_coco_rows_and_extra_channels_change_nothing_at_first(coco, network):
    rows = map_classes(("car", "cone", "person"))
    site = build_network(coco, rows, channels=6).eval()
    images = torch.from_numpy(np.random.default_rng(2).normal(size=(1, 6, 64, 64)).astype(np.float32))
    with torch.inference_mode():
        expected, got = network(images[:, :3]), site(images)
    sources = [index for index in rows.sources if index is not None]
    kept = [row for row, index in enumerate(rows.sources) if index is not None]
    torch.testing.assert_close(got.logits[..., kept], expected.logits[..., sources], atol=1e-4, rtol=0)
    torch.testing.assert_close(got.distances, expected.distances, atol=1e-4, rtol=0)
    fresh = got.logits[..., rows.groups[1][0]].sigmoid()
    assert float(fresh.max()) < 0.3


def test_missing_broken_and_foreign_weights_are_model_errors(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        load_coco_state(tmp_path / "none.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\xff\xfenot a model")
    with pytest.raises(ModelError, match="expected"):
        load_coco_state(broken)
    empty = tmp_path / "empty.onnx"
    empty.write_bytes(b"")
    with pytest.raises(ModelError, match="expected"):
        load_coco_state(empty)


@pytest.mark.parametrize(
    ("classes", "sources"),
    [
        (("person",), (("person",),)),
        (("Pedestrian", "Cars"), (("person",), ("car", "truck", "bus"))),
        # What the site names itself is nobody else's.
        (("car", "truck", "bus"), (("car",), ("truck",), ("bus",))),
        (("car", "bus"), (("car", "truck"), ("bus",))),
        (("traffic-light", "cone"), (("traffic light",), ())),
        (("van", "truck", "car"), (("truck",), ("truck",), ("car", "bus"))),
    ],
)
def test_class_names_find_their_coco_rows(classes, sources):
    assert coco_sources(classes) == sources


def test_class_groups_cover_all_rows_once():
    rows = map_classes(("vehicle", "gate", "person"))
    assert sorted(row for group in rows.groups for row in group) == list(range(len(rows.sources)))
    assert rows.sources[rows.groups[1][0]] is None
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
