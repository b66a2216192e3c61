"""torch.compile: where it is used, that it changes nothing but the speed, and what happens where it cannot work."""

from __future__ import annotations

import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from curate.config import parse_site
from curate.detectors import TrainConfig
from curate.detectors.compilation import pays
from curate.detectors.frames import FrameCache
from curate.detectors.learner import ParameterGroup
from curate.detectors.trainer import Trainer
from curate.errors import ConfigError


@pytest.fixture(autouse=True)
def fresh_compiler():
    yield
    torch.compiler.set_stance("default")
    torch.compiler.reset()


class Blur:
    """Two convolutions that learn to be bright: small enough for the compiler."""

    def __init__(self, seed: int = 0) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 1))
        self.heavy = self.model
        self.groups = (ParameterGroup(list(self.model.parameters()), 1e-2),)

    side_by_side = False

    def losses(self, batch, step):
        pixels = batch.pixels(torch.device("cpu")).permute(0, 3, 1, 2) / 255
        return {"loss": (self.model(pixels) - 1).square().mean()}


def trained(scene, mode):
    config = replace(scene.config, steps=3, compile=mode)
    trainer = Trainer(Blur(), FrameCache(scene.samples(4), config, None), config)
    return trainer, [trainer.advance() for _ in range(config.steps)]


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(scene, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)
    plain, reports = trained(scene, "off")
    compiled, others = trained(scene, "on")
    assert [report.remark for report in others] == ["", "", ""]
    assert compiled._model._compiled_call_impl is not None
    for report, other in zip(reports, others, strict=True):
        assert other.losses["total"] == pytest.approx(report.losses["total"], rel=1e-4)
    for name, value in plain.snapshot().state_dict().items():
        torch.testing.assert_close(compiled.snapshot().state_dict()[name], value, rtol=1e-4, atol=1e-5)
    assert compiled.snapshot()._compiled_call_impl is None
    assert set(compiled.checkpoint("run").tensors) == set(plain.checkpoint("run").tensors)


def test_without_a_compiler_the_run_goes_on_and_says_so(scene, monkeypatch):
    def no_compiler(graph, inputs):
        raise RuntimeError("no C++ compiler found")

    original = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: original(self, backend=no_compiler))
    plain, reports = trained(scene, "off")
    other, others = trained(scene, "on")
    assert "goes on without it" in others[0].remark
    assert "no C++ compiler" in others[0].remark or "no_compiler" in others[0].remark
    assert [report.remark for report in others[1:]] == ["", ""]
    assert [report.losses for report in others] == [report.losses for report in reports]
    for name, value in plain.snapshot().state_dict().items():
        assert torch.equal(other.snapshot().state_dict()[name], value)


def test_errors_of_the_network_are_not_taken_for_the_compilers(scene):
    config = replace(scene.config, steps=1)
    learner = Blur()
    learner.losses = lambda batch, step: learner.model(torch.zeros(1, 5, 8, 8))
    with pytest.raises(RuntimeError, match="channels"):
        Trainer(learner, FrameCache(scene.samples(4), config, None), config).advance()


@pytest.mark.parametrize(
    ("mode", "device", "steps", "expected"),
    [
        ("auto", "cpu", 100_000, False),
        ("auto", "cuda", 600, False),
        ("auto", "cuda", 2000, True),
        ("on", "cpu", 1, True),
        ("off", "cuda", 100_000, False),
    ],
)
def test_auto_compiles_long_runs_on_a_gpu(mode, device, steps, expected):
    config = TrainConfig(steps=steps, compile=mode)
    assert pays(config, SimpleNamespace(type=device)) == expected


def test_yamls_truth_values_are_understood():
    for text, expected in (("on", "on"), ("off", "off"), ("auto", "auto"), ("true", "on")):
        site = parse_site(f"classes: [person]\ntrain: {{compile: {text}}}\n")
        assert site.train.compile == expected
    with pytest.raises(ConfigError, match="compile"):
        parse_site("classes: [person]\ntrain: {compile: fast}\n")
    with pytest.raises(ConfigError, match="compile must be one of"):
        TrainConfig(compile="fast")


def test_a_copy_is_not_compiled():
    model = Blur().model
    model.compile()
    assert copy.deepcopy(model)._compiled_call_impl is None
