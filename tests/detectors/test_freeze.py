"""Frozen parts of the backbone keep their weights; everything else about a training stays as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from curate.config.schema import SiteConfig
from curate.detectors import SiteDetector, TrainConfig, TrainingStopped, train_detector
from curate.detectors.architectures import architecture_of
from curate.detectors.learner import SiteLearner
from curate.detectors.letterbox import fit_canvas, letterbox
from curate.detectors.maskrcnn import MaskRcnn
from curate.detectors.model import new_site_network
from curate.errors import ConfigError, ModelError

FROZEN = ("dense.stem.", "dense.stages.0.")


@pytest.fixture(scope="module")
def config(scene) -> TrainConfig:
    return replace(scene.config, freeze=2, steps=4, mask_head=True)


@pytest.fixture(scope="module")
def trained(scene, weights, config, tmp_path_factory) -> tuple[SiteDetector, Path]:
    folder = tmp_path_factory.mktemp("frozen")
    return train_detector(scene.samples(5, masks=True), scene.classes, config, weights, folder), folder


def test_only_what_is_not_frozen_moves(trained, scene, weights, config):
    """Bit for bit, with an average of the weights and weight decay; all else has learnt."""
    before = new_site_network(
        weights, scene.classes, channels=3, mask_head=True, seed=config.seed
    ).state_dict()
    after = load_file(trained[1] / "model.safetensors")
    assert config.ema > 0
    assert config.weight_decay > 0
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    frozen = {name for name in after if name.startswith(FROZEN)}
    assert frozen
    assert moved == after.keys() - frozen


def test_no_gradient_goes_into_frozen_parts_or_through_them(scene, weights, config):
    model = new_site_network(weights, scene.classes, channels=3, mask_head=False, seed=0)
    learner = SiteLearner(model, config)
    in_groups = {id(parameter) for group in learner.groups for parameter in group.parameters}
    for name, parameter in model.named_parameters():
        assert (id(parameter) in in_groups) == parameter.requires_grad == (not name.startswith(FROZEN))
    fine = model.dense(torch.zeros(1, 3, 64, 64)).fine
    assert [value.requires_grad for value in fine] == [False, False]
    whole = SiteLearner(model, replace(config, freeze=0))  # The same network, trained again as a whole.
    assert len(whole.groups[0].parameters) == len(list(model.dense.parameters()))


def test_a_stopped_run_ends_with_the_same_weights(trained, scene, weights, config, tmp_path):
    steps = []

    def train(stop_at):
        return train_detector(
            scene.samples(5, masks=True),
            scene.classes,
            config,
            weights,
            tmp_path,
            progress=lambda report: steps.append(report.step),
            should_stop=lambda: steps[-1] == stop_at,
        )

    with pytest.raises(TrainingStopped):
        train(3)
    train(0)
    assert steps == [1, 2, 3, 4]
    one, other = (load_file(folder / "model.safetensors") for folder in (trained[1], tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_from_an_earlier_one_keeps_its_frozen_parts(trained, scene, weights, config, tmp_path):
    """A warm start takes over all weights, then freezes."""
    start = tmp_path / "start"
    train_detector(scene.samples(5), scene.classes, replace(config, freeze=0, steps=2), weights, start)
    train_detector(scene.samples(5), scene.classes, config, weights, tmp_path / "on", start=start)
    first, then = (load_file(folder / "model.safetensors") for folder in (start, tmp_path / "on"))
    untouched = load_file(trained[1] / "model.safetensors")
    stem = "dense.stem.weight"
    assert torch.equal(then[stem], first[stem])
    assert not torch.equal(then[stem], untouched[stem])
    assert not torch.equal(then["dense.towers.0.weight"], first["dense.towers.0.weight"])


def test_the_exported_model_agrees(trained, scene):
    detector, _ = trained
    session = onnxruntime.InferenceSession(detector.to_onnx(96, 128), providers=["CPUExecutionProvider"])
    image = scene.image(20)
    found = detector.predict([image], score=0.0)[0]
    canvas = letterbox(image, fit_canvas(96, 128, detector.config.input_size))[None, ..., [2, 1, 0]]
    names = [entry.name for entry in session.get_outputs()]
    values = session.run(None, {"canvas": canvas, "score": np.array([0.0], np.float32)})
    own = dict(zip(names, values, strict=True))
    assert len(own["scores"]) == len(found) > 0
    np.testing.assert_allclose(own["scores"], found.scores, atol=1e-3)
    np.testing.assert_allclose(own["boxes"], found.boxes, atol=1e-3)


@pytest.mark.parametrize("architecture", ["maskrcnn-resnet50-fpn-v2", "maskrcnn-nanodet-g"])
def test_mask_rcnn_freezes_the_parts_of_its_backbone(architecture):
    config = TrainConfig(architecture=architecture, freeze=2)
    model = architecture_of(architecture).empty(["person"], config, {})
    assert isinstance(model, MaskRcnn)
    learner = architecture_of(architecture).learner(model, config)
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    first = ("body.conv1", "body.bn1", "body.layer1") if "resnet" in architecture else ("stem", "stages.0")
    assert frozen
    assert all(name.startswith(tuple(f"backbone.{part}." for part in first)) for name in frozen)
    left = sum(len(group.parameters) for group in learner.groups)
    assert left + len(frozen) == len(list(model.parameters()))
    with pytest.raises(ModelError, match="freeze must be at most 5"):
        model.freeze(6)


def test_background_channels_have_to_be_learnt_by_the_first_layer():
    with pytest.raises(ConfigError, match="freeze must be 0 with background channels"):
        TrainConfig(freeze=1, background_channels=True)
    with pytest.raises(ValueError, match="must be 0 with `model"):
        SiteConfig.model_validate(
            {"classes": ["person"], "train": {"freeze": 1}, "model": {"background_channels": True}}
        )
