from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from curate.assist import COCO_DETECTOR, EmbeddingCache, Segmenter, weights_path
from curate.assist import weights as weights_module
from curate.errors import DataError, ModelError
from curate.geometry.iou import mask_iou


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(threads=2)


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on a dark ground, off centre, in an image that is not square."""
    image = np.full((240, 320, 3), 60, np.uint8)
    cv2.circle(image, (210, 130), 40, (230, 200, 40), -1)
    truth = np.zeros((240, 320), np.uint8)
    cv2.circle(truth, (210, 130), 40, 1, -1)
    return image, truth.astype(bool)


def test_a_box_and_a_click_find_the_disc(segmenter: Segmenter, scene: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = scene
    embedding = segmenter.embed(image)
    by_box = segmenter.segment(embedding, box=(168, 88, 252, 172))
    assert mask_iou(by_box.mask, truth) > 0.9
    assert by_box.quality > 0.8
    by_click = segmenter.segment(embedding, points=[(210, 130)], positive=[True])
    assert mask_iou(by_click.mask, truth) > 0.9


def test_a_window_gives_frame_coordinates(segmenter: Segmenter, scene: tuple[np.ndarray, np.ndarray]) -> None:
    image, truth = scene
    embedding = segmenter.embed(image, (150, 70, 270, 190))
    result = segmenter.segment(embedding, box=(168, 88, 252, 172))
    assert result.mask.shape == truth.shape
    assert mask_iou(result.mask, truth) > 0.95


def test_prompts_that_mean_nothing(segmenter: Segmenter, scene: tuple[np.ndarray, np.ndarray]) -> None:
    embedding = segmenter.embed(scene[0])
    with pytest.raises(DataError, match="box or at least one click"):
        segmenter.segment(embedding)
    with pytest.raises(DataError, match="one verdict per click"):
        segmenter.segment(embedding, points=[(1, 1)], positive=[])
    with pytest.raises(DataError, match="no pixel"):
        segmenter.embed(scene[0], (500, 500, 600, 600))


def test_cache_serves_repairs_and_forgets(
    segmenter: Segmenter, scene: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    cache = EmbeddingCache(tmp_path, max_files=1)
    first = cache.get(segmenter, "a", scene[0])
    assert "a" in cache
    np.testing.assert_array_equal(cache.get(segmenter, "a", scene[0]).features, first.features)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY cut short")
    np.testing.assert_array_equal(cache.get(segmenter, "a", scene[0]).features, first.features)
    cache.get(segmenter, "b", scene[0])
    assert "a" not in cache
    assert "b" in cache


def test_broken_or_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sums = weights_path(COCO_DETECTOR).parent / "SHA256SUMS"
    (tmp_path / "SHA256SUMS").write_text(sums.read_text())
    monkeypatch.setattr(weights_module, "_FOLDER", tmp_path)
    check = weights_module.weights_path.__wrapped__
    with pytest.raises(ModelError, match="cannot be read"):
        check(COCO_DETECTOR)
    (tmp_path / COCO_DETECTOR).write_bytes(b"not the weights")
    with pytest.raises(ModelError, match="expected SHA-256"):
        check(COCO_DETECTOR)
    with pytest.raises(ModelError, match="no bundled weights"):
        check("other.onnx")
