from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from curate.errors import ConfigError, ProjectError
from curate.geometry.rle import rle_to_bbox, rle_to_mask
from curate.synth import SceneConfig, SyntheticScene, render_scene

SMALL = SceneConfig(seed=5, frames=24, size=(160, 120))


@pytest.fixture(scope="module")
def scene() -> SyntheticScene:
    return render_scene(SMALL)


def test_equal_configurations_give_equal_pixels_and_labels(scene: SyntheticScene) -> None:
    again = render_scene(SMALL)
    assert np.array_equal(scene.image(7), again.image(7))
    assert scene.annotations == again.annotations
    other = render_scene(SceneConfig(seed=6, frames=24, size=(160, 120)))
    assert not np.array_equal(scene.image(7), other.image(7))
    # A frame does not depend on which frames were rendered before it.
    assert np.array_equal(scene.frames[-1], [*again.frames][-1])


def test_labels_are_tight_exact_and_do_not_overlap(scene: SyntheticScene) -> None:
    assert {label.label for label in scene.annotations} == {"person", "car"}
    for index in (0, 11, 23):
        owner, tracks = scene.instances(index)
        seen = np.zeros(owner.shape, int)
        for label in scene.annotations_of(index, "f"):
            mask = rle_to_mask(label.mask)
            assert rle_to_bbox(label.mask) == label.bbox_xyxy
            number = next(number for number, track in tracks.items() if track == label.track_id)
            assert np.array_equal(mask, owner == number)
            seen += mask
        assert seen.max() <= 1


def test_where_a_label_is_the_picture_differs_from_the_plate() -> None:
    scene = render_scene(
        SceneConfig(seed=5, frames=24, size=(160, 120), noise=0, light_drift=0, shadows=False)
    )
    for index in (3, 17):
        owner, tracks = scene.instances(index)
        moving = np.isin(owner, [number for number, track in tracks.items() if track != "car-0"])
        changed = cv2.absdiff(scene.image(index), scene.plate).max(-1) > 2
        # The lens blurs one pixel beyond the outline; further away nothing may change.
        near = cv2.dilate(moving.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        assert not (changed & ~near).any()
        assert (changed & moving).sum() > 0.8 * moving.sum()


def test_nearer_people_are_larger_and_somebody_is_occluded() -> None:
    scene = render_scene(SceneConfig(seed=1, frames=40, size=(160, 120), persons=8))
    labels = [a for a in scene.annotations_with([str(i) for i in range(40)]) if a.label == "person"]
    whole = [a for a in labels if not a.occluded]
    feet = np.array([a.bbox_xyxy[3] for a in whole])
    heights = np.array([a.bbox_xyxy[3] - a.bbox_xyxy[1] for a in whole])
    assert np.corrcoef(feet, heights)[0, 1] > 0.95
    assert any(a.occluded for a in labels)


def test_a_stander_stands_for_the_share_asked_for() -> None:
    scene = render_scene(SceneConfig(seed=2, frames=50, size=(160, 120), persons=0, cars=0, stand_share=0.4))
    boxes = [
        a.bbox_xyxy for a in scene.annotations_with([str(i) for i in range(50)]) if a.track_id == "person-1"
    ]
    most = max(boxes.count(box) for box in set(boxes))
    assert 18 <= most <= 22


def test_frame_records_are_the_written_files(scene: SyntheticScene, tmp_path: Path) -> None:
    paths = scene.write_images(tmp_path)
    for record, path in list(zip(scene.frame_records, paths, strict=True))[::8]:
        assert record.name == path.name
        assert record.id == hashlib.sha256(path.read_bytes()).hexdigest()[:32]
        assert np.array_equal(cv2.imread(str(path))[..., ::-1], scene.image(record.index))
    ids = {record.id for record in scene.frame_records}
    assert {label.frame_id for label in scene.annotations} <= ids


def test_the_video_has_all_frames(scene: SyntheticScene, tmp_path: Path) -> None:
    reader = cv2.VideoCapture(str(scene.write_video(tmp_path / "v.avi")))
    images = []
    while (read := reader.read())[0]:
        images.append(read[1][..., ::-1])
    assert len(images) == 24
    assert np.abs(images[9].astype(int) - scene.image(9)).mean() < 6
    with pytest.raises(ProjectError, match="video cannot be written"):
        scene.write_video(tmp_path / "v.nonsense")


def test_dusk_darkens() -> None:
    scene = render_scene(SceneConfig(frames=10, size=(160, 120), dusk_from=0.5))
    assert np.median(scene.image(9)) < 0.6 * np.median(scene.image(0))


@pytest.mark.parametrize(
    "wrong", [{"size": (20, 20)}, {"frames": 0}, {"persons": -1}, {"stand_share": 1.5}, {"fps": 0.0}]
)
def test_impossible_scenes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SceneConfig(**wrong)
    with pytest.raises(ValueError, match="frame ids"):
        render_scene(SMALL).annotations_with(["a"])


def test_trucks_are_a_third_class_and_change_nothing_else() -> None:
    plain = SceneConfig(seed=4, frames=20, size=(160, 120), persons=2, cars=1, standers=0)
    busy = render_scene(replace(plain, trucks=1))
    assert busy.classes == ("person", "car", "truck")
    assert render_scene(plain).classes == ("person", "car")
    labels = [label for index in range(20) for label in busy.annotations_of(index, str(index))]
    trucks = [label for label in labels if label.label == "truck"]
    assert len({label.bbox_xyxy for label in trucks}) > 1  # It drives.
    others = {label.track_id for label in labels if label.label != "truck"}
    before = {
        label.track_id for index in range(20) for label in render_scene(plain).annotations_of(index, "f")
    }
    assert others <= before
