"""Mask R-CNN through the same trainer: its weights files, its two steps, what it says about given boxes."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from curate.detectors import SiteDetector, TrainingStopped, maskrcnn, train_detector
from curate.detectors.maskrcnn import COCO_ROWS, MaskRcnn, torchvision_parts
from curate.detectors.maskrcnn_start import maskrcnn_from_file
from curate.detectors.sampler import SeededSampler
from curate.detectors.state_files import read_state
from curate.errors import ModelError

TV = "maskrcnn-resnet50-fpn-v2"
BUNDLED = "maskrcnn-nanodet-g"
HEAD = "roi_heads.box_predictor.cls_score.weight"


@pytest.fixture(scope="module", autouse=True)
def few_boxes():
    """The heads take nearly all of the time, and so many boxes as a site needs are not needed here."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(maskrcnn, "_SAMPLED_BOXES", (16, 0.25))
        patched.setattr(maskrcnn, "_PROPOSALS", {"training": 60, "testing": 20})
        yield


@pytest.fixture(scope="module")
def coco(tmp_path_factory) -> Path:
    """A state dict like torchvision's COCO weights, of random numbers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        state = torchvision_parts(COCO_ROWS).state_dict()
    for name, value in state.items():  # as calm as trained weights are
        if name.endswith("bn3.weight") or "cls_score" in name:
            value *= 0.1
    path = tmp_path_factory.mktemp("weights") / "coco.safetensors"
    save_file(state, path)
    return path


def settings(scene, architecture, **changes):
    known = {"architecture": architecture, "steps": 2, "mask_head": True, "learning_rate": 1e-4, "ema": 0.0}
    return replace(scene.config, **{**known, "checkpoint_every": 100, **changes})


@pytest.fixture(scope="module")
def trained(scene, coco, tmp_path_factory) -> tuple[SiteDetector, Path]:
    folder = tmp_path_factory.mktemp("trained")
    config = settings(scene, TV)
    return train_detector(scene.samples(4, masks=True), scene.classes, config, coco, folder), folder


def test_two_steps_from_a_file_change_it_and_it_is_kept_on_disk(trained, scene, coco):
    detector, folder = trained
    weights = load_file(folder / "model.safetensors")
    before = load_file(coco)
    assert weights.keys() == before.keys()
    assert not torch.equal(weights["backbone.body.conv1.weight"], before["backbone.body.conv1.weight"])
    assert torch.equal(weights["backbone.body.bn1.running_mean"], before["backbone.body.bn1.running_mean"])
    assert weights[HEAD].shape == (len(scene.classes) + 1, 1024)
    loaded = SiteDetector.load(folder, device="cpu")
    assert loaded.config.architecture == TV
    image = scene.image(30)
    one, other = (found.predict([image])[0] for found in (detector, loaded))
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.scores, other.scores)


def test_it_predicts_boxes_and_masks(trained, scene):
    detector, _ = trained
    image = scene.image(31)
    found = detector.predict([image], masks=True, score=0.02)[0]
    assert len(found) > 0
    assert len(found.masks) == len(found)
    assert (np.diff(found.scores) <= 0).all()
    assert found.scores.min() >= 0.02
    assert {mask.height for mask in found.masks} == {image.shape[0]}
    assert set(found.classes) <= {0, 1}
    assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()
    assert len(detector.predict([image], score=0.9999)[0]) == 0


def test_it_judges_given_boxes(trained, scene):
    detector, _ = trained
    boxes, _ = scene.objects(32)
    scores = detector.score_boxes([scene.image(32)], [boxes])[0]
    assert scores.class_probs.shape == (2, 3)
    np.testing.assert_allclose(scores.class_probs.sum(1), 1, atol=1e-6)
    assert scores.refined_boxes.shape == (2, 4)
    assert ((scores.location_scores >= 0) & (scores.location_scores <= 1)).all()
    assert len(scores.masks) == 2
    assert ((scores.mask_scores >= 0.5) & (scores.mask_scores <= 1)).all()
    nothing = detector.score_boxes([scene.image(32)], [np.zeros((0, 4))])[0]
    assert nothing.class_probs.shape == (0, 3)


def test_it_is_not_exported(trained):
    with pytest.raises(ModelError, match=r"Mask R-CNN ResNet-50.*is not exported to ONNX, only NanoDet-G"):
        trained[0].to_onnx(96, 128)


def test_classes_start_from_the_closest_of_coco(coco, scene):
    model = maskrcnn_from_file(coco, ("person", "cone"), channels=6, mask_head=True, seed=0)
    before, now = load_file(coco), model.state_dict()
    assert torch.equal(now[HEAD][0], before[HEAD][0])
    assert torch.equal(now[HEAD][1], before[HEAD][1])  # COCO's person
    known = [row for row in range(1, COCO_ROWS) if row not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)]
    torch.testing.assert_close(now[HEAD][2], before[HEAD][known].mean(0))
    boxes = "roi_heads.box_predictor.bbox_pred.weight"
    assert torch.equal(now[boxes][4:8], before[boxes][4:8])
    stem = now["backbone.body.conv1.weight"]
    assert torch.equal(stem[:, :3], before["backbone.body.conv1.weight"])
    assert not stem[:, 3:].any()


def changed(coco: Path, target: Path, change) -> Path:
    state = load_file(coco)
    change(state)
    save_file(state, target)
    return target


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("backbone.body.conv1.weight"), r"1 missing \(backbone.body.conv1.weight\)"),
        (lambda s: s.update(extra=torch.zeros(1)), r"1 unexpected \(extra\)"),
        (
            lambda s: s.update({HEAD: torch.zeros(5, 1024)}),
            r"of another shape \(.*\(5, 1024\) instead of \(91, 1024\)",
        ),
        (lambda s: s[HEAD].fill_(float("nan")), r"1 not finite"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_one_error(coco, tmp_path, change, told):
    path = changed(coco, tmp_path / "wrong.safetensors", change)
    with pytest.raises(ModelError, match=told) as caught:
        maskrcnn_from_file(path, ("person",), channels=3, mask_head=True, seed=0)
    assert str(path) in str(caught.value)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "owned"
    torch.save({"weight": Hostile(marker)}, tmp_path / "torch.pth")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"weight": Hostile(marker)}, 2))
    for name in ("torch.pth", "plain.pt"):
        with pytest.raises(ModelError, match="more than tensors; nothing in it was run"):
            read_state(tmp_path / name)
    assert not marker.exists()


def test_torch_files_are_read_wherever_the_state_dict_stands(tmp_path):
    state = {"a": torch.arange(3.0)}
    for content in (state, {"model": state, "epoch": 3}, {"state_dict": state}):
        torch.save(content, tmp_path / "x.pth")
        assert torch.equal(read_state(tmp_path / "x.pth")["a"], state["a"])


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("none.pth", None, "no such weights file"),
        ("broken.safetensors", b"\x00" * 40, "cannot be read"),
        ("broken.pth", b"PK\x03\x04 cut off", "cannot be read"),
        ("empty.pth", b"", "cannot be read"),
        ("list.pth", [torch.zeros(1)], "expected a state dict"),
    ],
)
def test_files_that_are_no_state_dicts(tmp_path, name, content, told):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ModelError, match=told):
        read_state(path)


def test_on_the_bundled_backbone_it_trains_and_resumes_exactly(scene, weights, tmp_path):
    """Stopped after a step and taken up again, it ends with the very weights of a run that was left alone."""
    config = settings(scene, BUNDLED, pyramid=64)
    samples = scene.samples(4, masks=True)
    whole = train_detector(samples, scene.classes, config, weights, tmp_path / "whole")
    assert whole.has_masks
    assert whole._network.state_dict()["backbone.fpn.layer_blocks.0.0.weight"].shape[0] == 64
    with pytest.raises(TrainingStopped):
        train_detector(samples, scene.classes, config, weights, tmp_path / "cut", should_stop=lambda: True)
    train_detector(samples, scene.classes, config, weights, tmp_path / "cut")
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (
        len(SiteDetector.load(tmp_path / "cut", device="cpu").predict([scene.image(9)], masks=True)[0].masks)
        > 0
    )
    other_network = replace(config, architecture="nanodet-g")
    start = {"start": tmp_path / "cut"}
    with pytest.raises(ModelError, match="of another architecture"):
        train_detector(samples, scene.classes, other_network, weights, tmp_path / "x", **start)


def test_background_anchors_where_nothing_is_judged_do_not_count():
    model = MaskRcnn(1, mask_head=False)
    anchors = torch.tensor([[0.0, 0, 20, 20], [60, 60, 80, 80], [60, 0, 80, 20]])
    target = {
        "boxes": torch.tensor([[0.0, 0, 20, 20]]),
        "ignore": torch.tensor([[55.0, 55, 90, 90]]),
        "ignored": None,
    }
    labels, _ = model.rpn.assign_targets_to_anchors([anchors], [target])
    assert labels[0].tolist() == [1, -1, 0]


def test_the_sample_follows_from_its_seed_and_leaves_out_what_does_not_count():
    sampler = SeededSampler(8, 0.25)
    labels = [torch.tensor([1.0] * 10 + [0.0] * 20 + [-1.0] * 5), torch.zeros(4)]

    def draw(*seed):
        sampler.seed(*seed)
        return [mask.nonzero()[:, 0].tolist() for side in sampler(labels) for mask in side]

    assert draw(1, 2) == draw(1, 2) != draw(1, 3)
    objects, _, background, few = draw(0, 0)
    assert len(objects) == 2
    assert len(background) == 6
    assert max(background) < 30
    assert few == [0, 1, 2, 3]
