from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from curate.detectors import SiteDetector, TrainingSample, TrainingStopped, train_detector
from curate.errors import ModelError, ProjectError, TrainingError
from curate.geometry import box_iou
from curate.geometry.rle import rle_area, rle_iou

KILLED = """
import importlib.util, os, signal, sys
from pathlib import Path
import torch
spec = importlib.util.spec_from_file_location("scene", sys.argv[1])
scene_module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(scene_module)
torch.set_num_threads(1)
from curate.detectors import train_detector
scene = scene_module.Scene()

def progress(report):
    if report.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

weights, folder = Path(sys.argv[2]), Path(sys.argv[3])
train_detector(scene.samples(5), scene.classes, scene.config, weights, folder, progress=progress)
"""


@pytest.fixture(scope="module")
def run(scene, weights, tmp_path_factory):
    """An uninterrupted run and what it reported."""
    folder = tmp_path_factory.mktemp("run")
    reports = []
    detector = train_detector(
        scene.samples(5), scene.classes, scene.config, weights, folder, progress=reports.append
    )
    return folder, detector, reports


def same_weights(a: Path, b: Path) -> bool:
    first, second = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_reports_every_step_and_leaves_its_log(run):
    folder, _, reports = run
    assert [report.step for report in reports] == [1, 2, 3, 4, 5, 6]
    assert {"quality", "giou", "distribution", "class", "fit", "refine", "total"} == set(reports[0].losses)
    assert reports[-1].eta_seconds == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert lines[2]["losses"] == dict(reports[2].losses)
    assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
    assert sorted(path.name for path in folder.iterdir()) == [
        "detector.json",
        "metrics.jsonl",
        "model.safetensors",
        "tensorboard",
    ]


@pytest.mark.fault
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(run, scene, weights, tmp_path):
    script = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", KILLED, str(script), str(weights), str(tmp_path)]
    result = subprocess.run(command, check=False, capture_output=True, env=os.environ)
    assert result.returncode == -signal.SIGKILL, result.stderr.decode()
    assert (tmp_path / "checkpoint.safetensors").is_file()
    steps = []
    train_detector(
        scene.samples(5),
        scene.classes,
        scene.config,
        weights,
        tmp_path,
        progress=lambda report: steps.append(report.step),
    )
    assert steps == [5, 6]
    assert same_weights(run[0], tmp_path)
    lines = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [1, 2, 3, 4, 5, 6]


def test_a_stopped_run_goes_on_from_that_step(run, scene, weights, tmp_path):
    steps = []

    def train(stop_at):
        return train_detector(
            scene.samples(5),
            scene.classes,
            scene.config,
            weights,
            tmp_path,
            progress=lambda report: steps.append(report.step),
            should_stop=lambda: steps[-1] == stop_at,
        )

    with pytest.raises(TrainingStopped, match="step 3 of 6"):
        train(3)
    train(0)
    assert steps == [1, 2, 3, 4, 5, 6]
    assert same_weights(run[0], tmp_path)


def test_a_broken_checkpoint_starts_over(run, scene, weights, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"cut off")
    train_detector(scene.samples(5), scene.classes, scene.config, weights, tmp_path)
    assert same_weights(run[0], tmp_path)


def test_a_finished_run_is_loaded_and_changed_labels_train_anew(run, scene, weights):
    folder, detector, _ = run

    def forbidden(report):
        raise AssertionError(f"trained again: {report}")

    again = train_detector(scene.samples(5), scene.classes, scene.config, weights, folder, progress=forbidden)
    assert again.fingerprint == detector.fingerprint
    one, other = (d.predict([scene.image(9)])[0] for d in (again, detector))
    np.testing.assert_array_equal(one.scores, other.scores)
    changed = scene.samples(5)
    changed[0] = TrainingSample("frame-0", changed[0].image, changed[0].boxes + 1, changed[0].classes)
    with pytest.raises(AssertionError, match="trained again"):
        train_detector(changed, scene.classes, scene.config, weights, folder, progress=forbidden)


def test_impossible_runs_say_why(scene, weights, tmp_path):
    def train(samples, config=scene.config, out=tmp_path, **options):
        return train_detector(samples, scene.classes, config, weights, out, **options)

    unlabelled = TrainingSample("empty", lambda: scene.image(0), [], [])
    with pytest.raises(TrainingError, match="no labels"):
        train([unlabelled])
    with pytest.raises(TrainingError, match="no labels"):
        train([])
    with pytest.raises(TrainingError, match="class must be 0"):
        train([TrainingSample("odd", lambda: scene.image(0), [[1, 1, 9, 9]], [2])])
    with pytest.raises(TrainingError, match="not finite"):
        train(scene.samples(3), replace(scene.config, learning_rate=1e18, warmup_steps=0))
    with pytest.raises(ModelError, match="plate"):
        train(scene.samples(2), replace(scene.config, background_channels=True))
    assert not (tmp_path / "detector.json").exists()
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ProjectError):
        train(scene.samples(2), out=blocked / "run")


def test_frames_of_which_everything_is_ignored_do_no_harm(scene, weights, tmp_path):
    crowd = TrainingSample("crowd", lambda: scene.image(1), [], [], ignore_boxes=[[0, 0, 128, 96]])
    config = replace(scene.config, batch_size=1, steps=2)
    reports = []
    train_detector(
        [crowd, scene.sample(0)], scene.classes, config, weights, tmp_path, progress=reports.append
    )
    assert sorted(report.losses["class"] > 0 for report in reports) == [False, True]


@pytest.fixture(scope="module")
def trained(scene, weights, tmp_path_factory):
    """A detector that knows the scene: its first class is unknown to COCO."""
    config = replace(
        scene.config, steps=50, batch_size=4, learning_rate=1e-3, mask_head=True, background_channels=True
    )
    folder = tmp_path_factory.mktemp("trained")
    samples = scene.samples(16, masks=True)
    return train_detector(samples, scene.classes, config, weights, folder, plate=scene.plate), folder


def test_it_finds_what_it_was_taught(trained, scene):
    detector, _ = trained
    for index in range(30, 34):
        boxes, classes = scene.objects(index)
        found = detector.predict([scene.image(index)])[0]
        assert (np.diff(found.scores) <= 0).all()
        best = [int(np.flatnonzero(found.classes == klass)[0]) for klass in classes]
        assert (np.diag(box_iou(found.boxes[best], boxes)) > 0.6).all()
        assert found.scores[best].min() > 0.3


def test_given_boxes_are_judged(trained, scene):
    detector, _ = trained
    boxes, _ = scene.objects(40)
    shifted = boxes + (boxes[:, 2:] - boxes[:, :2]).repeat(2, 1)[:, [0, 2, 0, 2]] * [0.25, 0, 0.25, 0]
    nothing = np.array([[48.0, 66, 66, 92]])
    given = np.concatenate([boxes, shifted, nothing])
    scores = detector.score_boxes([scene.image(40)], [given])[0]
    np.testing.assert_allclose(scores.class_probs.sum(1), 1)
    assert scores.class_probs.shape == (5, 3)
    assert scores.class_probs[:2].argmax(1).tolist() == [0, 1]
    assert scores.class_probs[4].argmax() == 2
    assert (scores.location_scores[:2] > scores.location_scores[2:4] + 0.1).all()
    refined = np.diag(box_iou(scores.refined_boxes[2:4], boxes))
    assert (refined > np.diag(box_iou(shifted, boxes))).all()
    assert scores.masks is not None
    assert scores.mask_scores is not None
    truth = scene.sample(40, masks=True).masks
    assert rle_iou(scores.masks[:2], truth).diagonal().min() > 0.8
    assert scores.mask_scores.shape == (5,)


def test_masks_come_only_when_asked_for(trained, run, scene):
    detector, _ = trained
    plain, masked = (detector.predict([scene.image(41)], masks=masks)[0] for masks in (False, True))
    assert plain.masks is None
    assert masked.masks is not None
    assert len(masked.masks) == len(masked)
    np.testing.assert_array_equal(plain.boxes, masked.boxes)
    few = detector.predict([scene.image(41)], masks=True, score=0.3)[0]
    assert 0 < len(few) == (plain.scores >= 0.3).sum() < len(plain)
    np.testing.assert_array_equal(few.boxes, plain.boxes[: len(few)])
    assert few.masks == masked.masks[: len(few)]
    assert (masked.masks[0].height, masked.masks[0].width) == (96, 128)
    assert rle_area(masked.masks[0]) > 0
    with pytest.raises(ModelError, match="without masks"):
        run[1].predict([scene.image(41)], masks=True)
    assert run[1].score_boxes([scene.image(41)], [np.zeros((0, 4))])[0].masks is None


def test_a_saved_detector_is_the_same_detector(trained, scene, tmp_path):
    detector, folder = trained
    detector.save(tmp_path / "copy")
    for source in (folder, tmp_path / "copy"):
        loaded = SiteDetector.load(source, device="cpu")
        assert loaded.classes == scene.classes
        assert loaded.config == detector.config
        one, other = (d.predict([scene.image(50)])[0] for d in (detector, loaded))
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_broken_detectors_are_refused(trained, tmp_path):
    with pytest.raises(ModelError, match="no trained detector"):
        SiteDetector.load(tmp_path)
    trained[0].save(tmp_path)
    description = json.loads((tmp_path / "detector.json").read_text())
    (tmp_path / "detector.json").write_text(json.dumps(description | {"format": 99}))
    with pytest.raises(ModelError, match="format"):
        SiteDetector.load(tmp_path)
    (tmp_path / "detector.json").write_text(json.dumps(description))
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="broken"):
        SiteDetector.load(tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_it_trains_on_a_gpu(scene, weights, tmp_path):
    config = replace(scene.config, device="cuda", mask_head=True, steps=4)
    detector = train_detector(scene.samples(4, masks=True), scene.classes, config, weights, tmp_path)
    assert detector.predict([scene.image(9)], masks=True)[0].masks is not None
    loaded = SiteDetector.load(tmp_path, device="cpu")
    boxes, _ = scene.objects(9)
    one, other = (d.score_boxes([scene.image(9)], [boxes])[0] for d in (detector, loaded))
    np.testing.assert_allclose(one.class_probs, other.class_probs, atol=1e-2)
