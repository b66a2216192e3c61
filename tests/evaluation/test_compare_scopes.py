"""What a comparison tells apart says the same as an evaluation of that part."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from curate.evaluation import EvalInput, compare, comparison_markdown, evaluate

CLASSES = ("person", "car")


@pytest.fixture
def compared(make):
    """A random scene compared with itself, and its evaluation."""

    def run(seed, *, masks=False, regions=None, **more):
        scene = make.scene(seed, masks=masks)
        side = [EvalInput(scene.frames, scene.gold, scene.found, CLASSES, seed=0)]
        blocks = np.arange(len(scene.frames)) // 3
        result = compare(side, side, blocks, approaches=regions, resamples=100, **more)
        return scene, result, evaluate(scene.frames, scene.gold, scene.found, CLASSES, regions=regions)

    return run


def test_sizes_are_coco_s(compared):
    """Unmatched detections of another size count for nothing, for boxes and for masks."""
    for seed in range(3):
        _, result, expected = compared(seed, masks=True)
        for size, of in (("box", expected.box_sizes), ("mask", expected.mask_sizes)):
            for name, entry in of.items():
                found = result.find(f"{size}_ap50", "size", name)
                assert found.before == (None if entry.ap50 is None else pytest.approx(entry.ap50))
                if size == "box":
                    assert found.objects == entry.objects


def test_errors_and_calibration_are_those_of_the_evaluation(compared):
    scene, result, expected = compared(1)
    parts = [("all", "", expected), *(("class", name, row) for name, row in expected.per_class.items())]
    for kind, name, row in parts:
        for error, count in dataclasses.asdict(row.errors).items():
            found = result.find(f"errors@{error}", kind, name)
            assert found.after == pytest.approx(count / len(scene.frames))
            assert not found.higher_is_better
    found = result.find("calibration_error")
    assert found.before == pytest.approx(expected.calibration.error)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert not found.higher_is_better


def test_counts_are_compared_approach_by_approach(compared):
    north = ((0.0, 0.0), (160.0, 0.0), (160.0, 70.0), (0.0, 70.0))
    _, result, expected = compared(2, regions={"north": north})
    for name in CLASSES:
        found = result.find("count_error", "approach", f"north: {name}")
        assert found.before == pytest.approx(expected.counts[f"north: {name}"].absolute)
        assert 0 < found.objects < result.find("count_error", "class", name).objects
    text = comparison_markdown(result)
    assert "| approach north: person | count error a frame |" in text
    assert "background errors a frame at score 0.3" in text


def test_a_light_is_scored_on_its_own_frames(compared):
    scene, result, _ = compared(3, lights={"dark": np.arange(12) < 5})
    labels = [entry for entry in scene.gold if entry.frame_id in {frame.id for frame in scene.frames[:5]}]
    expected = evaluate(scene.frames[:5], labels, scene.found[:5], CLASSES)
    assert result.find("box_ap", "light", "dark").before == pytest.approx(expected.box.ap)
    assert result.find("recall", "light", "dark").before == pytest.approx(expected.at_score.recall)


def test_speed_and_memory_of_a_side_are_means(make):
    scene = make.scene(0)
    runs = [
        EvalInput(scene.frames, scene.gold, scene.found, CLASSES, seed=seed, ms_per_frame=ms, memory_mb=mb)
        for seed, ms, mb in ((0, 20.0, 27.0), (1, 24.0, 31.0))
    ]
    result = compare(runs[:1], runs, np.arange(12) // 3, resamples=100)
    assert (result.before.memory_mb, result.after.memory_mb, result.after.ms_per_frame) == (27.0, 29.0, 22.0)
    assert "MB of memory for a frame, weights included: 27 before, 29 after." in comparison_markdown(result)


def test_places_are_subsets_like_slices(compared):
    scene, plain, _ = compared(4)
    left = np.array([entry.bbox_xyxy[0] < 60 for entry in scene.gold])
    result = compared(4, slices={"left": left}, places={"left": left})[1]
    by_slice, by_place = (result.find("box_ap", kind, "left") for kind in ("slice", "place"))
    assert by_place == dataclasses.replace(by_slice, kind="place")
    assert by_place.before != plain.find("box_ap").before
