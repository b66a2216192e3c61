"""A seeded renderer of a fixed-camera scene with exact masks: what tests use instead of footage."""

from curate.synth.config import SceneConfig
from curate.synth.scene import SceneFrames, SyntheticScene, render_scene

__all__ = ["SceneConfig", "SceneFrames", "SyntheticScene", "render_scene"]
