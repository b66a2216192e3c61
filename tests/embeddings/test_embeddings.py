from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from curate.embeddings import (
    CropIndex,
    Embedder,
    Reducer,
    crop_square,
    duplicate_crops,
    knn_agreement,
    load_reducer,
    normalise,
    outlier_distance,
    project_2d,
    save_reducer,
)
from curate.embeddings import neighbours as neighbours_module
from curate.errors import DataError, ImageError, ModelError
from curate.synth import SceneConfig, render_scene

WEIGHTS = Path(__file__).parents[2] / "curate" / "assist" / "weights" / "efficientnet_lite0_embed.onnx"


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(WEIGHTS, threads=1, batch=8)


def clusters(count: int = 60, dims: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two well separated classes."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    centres = rng.normal(size=(2, dims)) * 3
    return (centres[classes] + rng.normal(size=(count, dims))).astype(np.float32), classes


def test_crops_of_a_class_are_alike(embedder: Embedder) -> None:
    scene = render_scene(SceneConfig(seed=8, frames=12, size=(320, 240), cars=2))
    indices = (0, 6, 11)
    labels = [[a for a in scene.annotations_of(i, "f") if not a.occluded] for i in indices]
    boxes = [np.array([a.bbox_xyxy for a in row]) for row in labels]
    vectors = embedder.crops_of([scene.image(i) for i in indices], boxes)
    kinds = np.array([a.label == "person" for row in labels for a in row])
    assert vectors.shape == (len(kinds), embedder.dims) == (len(kinds), 1280)
    unit = normalise(vectors - vectors.mean(0))
    alike = unit @ unit.T
    np.fill_diagonal(alike, np.nan)
    same = kinds[:, None] == kinds[None]
    assert np.nanmean(alike[same]) > np.nanmean(alike[~same]) + 0.1
    one = embedder.crops(scene.image(0), boxes[0][:1])
    assert one[0] == pytest.approx(vectors[0], rel=1e-3, abs=1e-3)
    assert embedder.frames([scene.image(0)]).shape == (1, 1280)
    assert embedder.crops(scene.image(0), np.zeros((0, 4))).shape == (0, 1280)


def test_a_crop_shows_the_box_in_its_middle() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[10:50, 30:40] = 255
    crop = crop_square(image, np.array([30, 10, 40, 50]), side=40)
    assert crop[:, 15:25].min() == 255
    assert crop[:, :14].max() == crop[:, 26:].max() == 0
    wide = crop_square(image, np.array([30, 10, 40, 50]), margin=0.5, side=40)
    assert np.abs(wide[..., 0].astype(float).sum() / 255 - 100) < 12  # a quarter of the area
    large = np.kron(image, np.ones((12, 12, 1), np.uint8))
    small = crop_square(large, np.array([360, 120, 480, 600]), side=40)
    assert np.abs(small.astype(int) - crop).mean() < 12
    for box in ([0, 0, 0, 5], [90, 0, 99, 9], [0, 0, np.nan, 4]):
        with pytest.raises(DataError):
            crop_square(image, np.array(box))


def test_wrong_weights_and_wrong_pictures(embedder: Embedder, tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    for path in (tmp_path / "none.onnx", tmp_path / "broken.onnx"):
        with pytest.raises(ModelError, match="cannot be read"):
            Embedder(path)
    with pytest.raises(ModelError, match="expected a model"):
        Embedder(WEIGHTS.with_name("nanodet_g_coco_416.onnx"))
    with pytest.raises(ImageError):
        embedder.embed([np.zeros((10, 10, 3), np.uint8)])


def test_reduction_keeps_neighbours_and_survives_the_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(300, 8)) @ rng.normal(size=(8, 64))).astype(np.float32)
    reducer = Reducer.fit(vectors, dims=10)
    low = reducer.transform(vectors)
    assert low.shape == (300, 10)
    assert reducer.explained > 0.99
    save_reducer(reducer, tmp_path / "r.npz")
    assert np.array_equal(load_reducer(tmp_path / "r.npz").transform(vectors), low)
    unit = normalise(vectors) - normalise(vectors).mean(0)
    full = normalise(unit) @ normalise(unit).T
    assert low @ low.T == pytest.approx(full, abs=0.05)
    (tmp_path / "r.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match="saved projection"):
        load_reducer(tmp_path / "r.npz")
    with pytest.raises(DataError, match="64 numbers"):
        reducer.transform(vectors[:, :3])


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_reduction_of_few_vectors(count: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(count, 16)).astype(np.float32)
    low = Reducer.fit(vectors, dims=8).transform(vectors)
    assert len(low) == count
    assert np.isfinite(low).all()


def test_index_finds_itself_and_survives_the_disk(tmp_path: Path) -> None:
    vectors, _ = clusters(50)
    index = CropIndex.build(vectors, [f"id{i}" for i in range(50)])
    rows, similar = index.search(vectors[:5], 3)
    assert rows[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert similar[:, 0] == pytest.approx(1, abs=1e-5)
    index.save(tmp_path)
    CropIndex.build(vectors[:20], [f"id{i}" for i in range(20)]).save(tmp_path)
    index.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3  # nothing of the index in between is left
    back = CropIndex.load(tmp_path)
    assert back.ids == index.ids
    assert np.array_equal(back.search(vectors, 4)[0], index.search(vectors, 4)[0])
    empty = CropIndex.build(np.zeros((0, 32), np.float32), [])
    assert (empty.search(vectors[:2], 2)[0] == -1).all()
    assert (index.search(vectors[:1], 60)[0][0, 50:] == -1).all()


def test_inverted_lists_agree_with_exact_search() -> None:
    vectors, _ = clusters(3000, seed=3)
    ids = [str(i) for i in range(3000)]
    exact, fast = CropIndex.build(vectors, ids), CropIndex.build(vectors, ids, flat_limit=1000)
    assert type(fast.index).__name__ == "IndexIVFFlat"
    same = [
        len(set(a) & set(b)) / 5
        for a, b in zip(exact.search(vectors[:200], 5)[0], fast.search(vectors[:200], 5)[0], strict=True)
    ]
    assert np.mean(same) > 0.6


@pytest.mark.parametrize("victim", ["index.json", "vectors", "index-"])
def test_a_broken_index_is_one_clear_error(tmp_path: Path, victim: str) -> None:
    vectors, _ = clusters(20)
    CropIndex.build(vectors, [str(i) for i in range(20)]).save(tmp_path)
    path = next(item for item in tmp_path.iterdir() if item.name.startswith(victim))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="saved index"):
        CropIndex.load(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="saved index"):
        CropIndex.load(tmp_path)


def test_index_refuses_nonsense() -> None:
    vectors, _ = clusters(4)
    with pytest.raises(DataError, match="one id per finite vector"):
        CropIndex.build(vectors, ["a"])
    with pytest.raises(DataError, match="twice"):
        CropIndex.build(vectors, ["a", "a", "b", "c"])
    with pytest.raises(DataError, match="32 numbers"):
        CropIndex.build(vectors, list("abcd")).search(vectors[:, :5], 1)


def test_a_flipped_label_is_found_by_its_neighbours() -> None:
    vectors, classes = clusters(80)
    given = classes.copy()
    given[:6] = 1 - given[:6]
    result = knn_agreement(vectors, given, np.arange(80) // 10, k=5)
    assert result.reason == ""
    assert result.votes.sum(1) == pytest.approx(1)
    assert result.share[:6].max() < 0.35
    assert np.median(result.share[6:]) > 0.9
    assert (result.votes[:6].argmax(1) == classes[:6]).all()


def test_own_block_and_own_track_do_not_vouch() -> None:
    """A person labelled as a car for 30 frames: his own crops would all agree with the wrong label."""
    vectors, classes = clusters(60)
    rng = np.random.default_rng(5)
    # The mislabelled track lies among the people but is most like itself.
    wrong = (vectors[0] + 0.01 * rng.normal(size=(30, 32))).astype(np.float32)
    table, given = np.concatenate([vectors, wrong]), np.r_[classes, np.ones(30, int)]
    blocks = np.r_[np.arange(60) // 6, np.arange(30)]
    tracks = [*[None] * 60, *["liar"] * 30]
    fooled = knn_agreement(table, given, blocks, None, k=5)
    told = knn_agreement(table, given, blocks, tracks, k=5)
    assert fooled.share[60:].mean() > 0.7
    assert told.share[60:].mean() < 0.3
    alone = knn_agreement(table, given, np.zeros(90, int), tracks)
    assert np.isnan(alone.share).all()
    assert "no neighbour" in alone.reason


def test_neighbours_are_the_brute_force_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    unit = normalise(rng.normal(size=(70, 8)))
    groups, tracks = rng.integers(0, 6, 70), rng.integers(0, 3, 70)  # large tracks: the bounded second pass
    monkeypatch.setattr(neighbours_module, "_OVERFETCH", 1)
    rows, similar = neighbours_module._neighbours(unit, groups, tracks, 4)
    scores = unit @ unit.T
    scores[(groups[:, None] == groups) | (tracks[:, None] == tracks)] = -np.inf
    assert similar == pytest.approx(-np.sort(-scores, axis=1)[:, :4], abs=1e-5)
    assert np.take_along_axis(scores, rows, 1) == pytest.approx(similar, abs=1e-5)


def test_agreement_and_outliers_of_little_data_are_nan_with_a_reason() -> None:
    vectors, classes = clusters(6)
    assert "one class" in knn_agreement(vectors, np.zeros(6, int)).reason
    assert np.isnan(knn_agreement(vectors, np.zeros(6, int)).share).all()
    assert knn_agreement(np.zeros((0, 4)), np.zeros(0, int)).share.shape == (0,)
    assert np.isnan(knn_agreement(vectors[:1], np.array([0])).share).all()
    few = outlier_distance(vectors, classes)
    assert np.isnan(few.score).all()
    assert "fewer than 8" in few.reason
    assert outlier_distance(np.zeros((0, 4)), np.zeros(0, int)).score.shape == (0,)
    with pytest.raises(DataError, match="expected 6 classes"):
        knn_agreement(vectors, np.zeros(5, int))
    with pytest.raises(DataError, match="finite"):
        outlier_distance(np.full((9, 4), np.nan), np.zeros(9, int))


def test_what_is_unlike_its_class_is_far_out() -> None:
    vectors, classes = clusters(100)
    vectors[:3] = np.random.default_rng(9).normal(size=(3, 32)) * 4
    result = outlier_distance(vectors, classes, np.arange(100) // 10)
    assert result.score[:3].min() > 0.99
    assert 0.3 < np.median(result.score[3:]) < 0.7
    placed = outlier_distance(vectors, classes, places=np.arange(100) // 50)
    assert placed.score[:3].min() > 0.99


def test_the_map_keeps_clusters_apart_and_is_repeatable() -> None:
    vectors, classes = clusters(90, seed=2)
    points = project_2d(vectors, seed=1, most_fitted=60)
    assert points.shape == (90, 2)
    assert np.array_equal(points, project_2d(vectors, seed=1, most_fitted=60))
    gaps = np.linalg.norm(points[:, None] - points[None], axis=-1)
    np.fill_diagonal(gaps, np.inf)
    assert (classes[gaps.argmin(1)] == classes).mean() > 0.95
    assert np.abs(points).max() <= 1.0 + 1e-6
    for count in (0, 1, 2, 9):
        assert np.isfinite(project_2d(vectors[:count])).all()
        assert project_2d(vectors[:count]).shape == (count, 2)


def test_near_duplicate_crops_share_a_head_and_two_objects_of_a_frame_never() -> None:
    rng = np.random.default_rng(0)
    parked, walker = rng.normal(size=(2, 16))
    vectors = np.stack([parked, walker, parked + 0.01, -walker, parked - 0.01, parked + 0.02])
    assert duplicate_crops(vectors, ["a", "a", "b", "b", "c", "c"]).tolist() == [0, 1, 0, 3, 0, 5]
    assert duplicate_crops(vectors[[0, 2]], ["a", "a"]).tolist() == [0, 1]
    assert duplicate_crops(vectors[:1]).tolist() == [0]
    with pytest.raises(DataError, match="one frame per crop"):
        duplicate_crops(vectors, ["a"])
