from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from curate.errors import DataError, ImageError, ProjectError
from curate.scene import Plate, build_plate, build_plates, choose_plate, load_plate, plate_fits, save_plate
from curate.scene.estimate import _median, sample_frames
from curate.synth import SceneConfig, SyntheticScene, render_scene


def wrong_share(image: np.ndarray, truth: np.ndarray) -> float:
    gain = np.median((image + 1.0) / (truth + 1.0), axis=(0, 1))
    return float((np.abs(image / gain - truth).max(-1) > 20).mean())


def test_the_plate_is_the_empty_scene(scene: SyntheticScene, plate: Plate) -> None:
    # Half a percent is where three people in turn hide the ground for most of these 12 seconds.
    assert wrong_share(plate.image, scene.plate) < 0.005
    assert plate.valid.mean() > 0.99
    assert 2 < np.median(plate.spread) < 4.5  # the noise that was rendered: 3 grey levels


def test_people_who_stand_for_long_do_not_enter_the_plate() -> None:
    """Two standers of 40 % each plus passers-by: a plain median shows ghosts, the lasting colour does not."""
    scene = render_scene(SceneConfig(seed=3, frames=80, size=(240, 180), standers=2, stand_share=0.4, cars=2))
    frames = list(scene.frames)
    plate = build_plate(frames)
    median = np.median(np.stack(frames), axis=0)
    assert wrong_share(plate.image, scene.plate) < 0.001
    assert wrong_share(plate.image, scene.plate) <= wrong_share(median, scene.plate)


def test_the_ground_wins_that_was_there_before_and_after() -> None:
    """A person in black covers the pixels for 58 % of the time, in one stretch: a median would show him."""
    rng = np.random.default_rng(0)
    frames = [np.clip(rng.normal(140, 3, (12, 16, 3)), 0, 255).astype(np.uint8) for _ in range(60)]
    for frame in frames[10:45]:
        frame[4:8, 4:8] = 20
    assert np.median(np.stack(frames), axis=0).min() < 30
    plate = build_plate(frames)
    assert np.abs(plate.image.astype(int) - 140).max() <= 2
    assert plate.valid.all()


def test_the_median_network_is_a_median() -> None:
    rng = np.random.default_rng(1)
    for count in (1, 2, 5, 12):
        stack = rng.integers(0, 256, (count, 5, 6, 3)).astype(np.uint8)
        assert np.array_equal(_median(list(stack)), np.sort(stack, axis=0)[(count - 1) // 2])


def test_sampling_is_even_and_bounded() -> None:
    frames = (np.full((4, 4, 3), index % 256, np.uint8) for index in range(1000))
    values = [int(frame[0, 0, 0]) for frame in sample_frames(frames, most=20)]
    assert 10 <= len(values) <= 20
    stream = (np.full((4, 4, 3), index, np.uint8) for index in range(200))
    kept = [int(frame[0, 0, 0]) for frame in sample_frames(stream, most=20)]
    assert len(set(np.diff(kept).tolist())) == 1
    assert kept[-1] > 170


def test_day_and_dusk_get_their_own_plates() -> None:
    scene = render_scene(SceneConfig(seed=4, frames=60, size=(160, 120), dusk_from=0.5))
    plates = build_plates(scene.frames)
    assert len(plates) == 2
    assert plates[0].brightness < plates[1].brightness
    assert choose_plate(scene.image(59), plates) is plates[0]
    assert choose_plate(scene.image(0), plates) is plates[1]
    # A slow drift alone is one light.
    drift = render_scene(SceneConfig(seed=4, frames=40, size=(160, 120), light_drift=0.2))
    assert len(build_plates(drift.frames)) == 1


def test_a_moved_or_darkened_camera_does_not_fit(scene: SyntheticScene, plate: Plate) -> None:
    frame = scene.image(20)
    good = plate_fits(frame, plate)
    assert good.fits
    assert good.score > 0.6
    assert abs(good.gain - 1) < 0.15
    moved = plate_fits(np.roll(frame, (6, -5), (0, 1)), plate)
    assert not moved.fits
    assert moved.shift == pytest.approx((-5, 6), abs=1.0)
    assert "moved" in moved.reason
    dark = plate_fits((frame * 0.25).astype(np.uint8), plate)
    assert not dark.fits
    assert "light" in dark.reason


def test_a_plate_survives_the_disk(plate: Plate, tmp_path: Path) -> None:
    path = tmp_path / "plates" / "day.npz"
    save_plate(plate, path)
    back = load_plate(path, size=(240, 180))
    assert np.array_equal(back.image, plate.image)
    assert np.array_equal(back.spread, plate.spread)
    assert np.array_equal(back.valid, plate.valid)
    assert (back.frames, back.brightness) == (plate.frames, plate.brightness)
    assert [item.name for item in path.parent.iterdir()] == ["day.npz"]


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other"])
def test_a_broken_plate_file_is_one_clear_error(plate: Plate, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "plate.npz"
    save_plate(plate, path)
    content = path.read_bytes()
    if damage == "other":
        np.savez(path, image=plate.image)
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "text": b"hello", "empty": b""}[damage])
    with pytest.raises(DataError, match="expected a background plate"):
        load_plate(path)


def test_a_byte_flipped_anywhere_is_an_error_or_harmless(plate: Plate, tmp_path: Path) -> None:
    path = tmp_path / "plate.npz"
    save_plate(plate, path)
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), max(1, len(content) // 40)):
        broken = bytearray(content)
        broken[place] ^= 0x5A
        path.write_bytes(bytes(broken))
        with contextlib.suppress(DataError):
            assert load_plate(path).size == (240, 180)


def test_wrong_size_missing_file_and_no_frames(plate: Plate, tmp_path: Path) -> None:
    save_plate(plate, tmp_path / "p.npz")
    with pytest.raises(DataError, match="640 x 480"):
        load_plate(tmp_path / "p.npz", size=(640, 480))
    with pytest.raises(DataError, match="no background plate"):
        load_plate(tmp_path / "none.npz")
    with pytest.raises(ImageError, match="at least one frame"):
        build_plate([])
    with pytest.raises(ImageError, match="expected an image of 4 x 4"):
        build_plate([np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)])
    (tmp_path / "file").write_text("x")
    with pytest.raises(ProjectError, match="cannot be written"):
        save_plate(plate, tmp_path / "file" / "p.npz")
