"""Parts of the gold set that figures are told apart by: places of the picture, light, approaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from curate.annotations import Annotation, Frame
from curate.config import SiteConfig
from curate.types import BoolArray, Ring
from curate.workflows.project import Project
from curate.workflows.site_coverage import LIGHTS, frame_lights, place_grid

__all__ = ["approaches", "lights_of_frames", "places_of_objects"]


def approaches(config: SiteConfig) -> dict[str, Ring]:
    """Name -> polygon of the slices of site.yaml that have one: there things are counted."""
    return {entry.name: tuple(entry.region) for entry in config.slices if entry.region is not None}


def places_of_objects(frames: Sequence[Frame], annotations: Sequence[Annotation]) -> dict[str, BoolArray]:
    """Place of the picture (see `place_grid`) -> (G,) the labels that stand there.

    Args:
        frames: The gold frames.
        annotations: G labels on them.
    """
    boxes = np.array([entry.bbox_xyxy for entry in annotations], float).reshape(-1, 4)
    size = (max(frame.width for frame in frames), max(frame.height for frame in frames))
    places, where = place_grid(boxes, size)
    return {name: where == number for number, (name, _) in enumerate(places)}


def lights_of_frames(project: Project, frames: Sequence[Frame]) -> dict[str, BoolArray]:
    """Light -> (F,) the frames that have it; nothing where all have the same."""
    own = frame_lights(project, frames)
    there = [(at, name) for at, name in enumerate(LIGHTS) if (own == at).any()]
    return {name: own == at for at, name in there} if len(there) > 1 else {}
