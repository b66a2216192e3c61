from __future__ import annotations

import pytest

from curate.scene import Plate, build_plate
from curate.synth import SceneConfig, SyntheticScene, render_scene


@pytest.fixture(scope="session")
def scene() -> SyntheticScene:
    return render_scene(SceneConfig(seed=3, frames=60, size=(240, 180), persons=3))


@pytest.fixture(scope="session")
def plate(scene: SyntheticScene) -> Plate:
    return build_plate(scene.frames)
