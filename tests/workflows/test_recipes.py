"""site.yaml goes before the recipe, the recipe before nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from curate.config import RECIPES, recipes
from curate.workflows.project import Project
from curate.workflows.train import train_config


def configured(project: Project, **model: object) -> Project:
    config = project.config
    train = config.train.model_copy(update={"steps": None, "batch_size": None})
    changed = config.model.model_copy(update={"input_size": None, **model})
    return replace(project, config=config.model_copy(update={"model": changed, "train": train}))


def test_site_yaml_goes_before_the_recipe(project: Project) -> None:
    config = train_config(project)
    assert (config.steps, config.batch_size, config.input_size) == (3, 2, 160)
    assert config.learning_rate == RECIPES["cpu"].learning_rate


def test_a_recipe_fills_in_the_rest(project: Project) -> None:
    cpu = train_config(configured(project))
    assert (cpu.steps, cpu.batch_size, cpu.input_size) == (
        RECIPES["cpu"].steps,
        RECIPES["cpu"].batch_size,
        RECIPES["cpu"].input_size,
    )
    gpu = train_config(configured(project, recipe="gpu"))
    longest = max(max(frame.width, frame.height) for frame in project.store.frames())
    assert longest <= gpu.input_size < longest + 32
    assert (gpu.steps, gpu.ema) == (RECIPES["gpu"].steps, RECIPES["gpu"].ema)


def test_frozen_parts_follow_site_yaml_and_never_stand_beside_background_channels(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(recipes.RECIPES, "cpu", replace(RECIPES["cpu"], freeze=2))
    config = project.config
    chosen = replace(
        project,
        config=config.model_copy(update={"train": config.train.model_copy(update={"freeze": 1})}),
    )
    assert train_config(project).freeze == 2
    assert train_config(chosen).freeze == 1
    assert train_config(configured(project, background_channels=True)).freeze == 0
