"""How long detectors take for a frame, measured side by side."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from curate.annotations import Frame
from curate.store import RunRecord
from curate.tables import Detections
from curate.types import ImageArray
from curate.workflows.evaluate import load_detector
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = ["milliseconds_side_by_side", "time_side_by_side"]

_WARM_UP = 2
_FRAMES = 60
_TURNS = 3
"""Each frame is predicted so often by each detector and the quickest counts: what else the machine does only adds."""


class _Predicts(Protocol):
    def predict(self, images: Sequence[ImageArray]) -> list[Detections]: ...


def milliseconds_side_by_side(
    project: Project, runs: Sequence[RunRecord], frames: Sequence[Frame], *, reporter: Reporter | None = None
) -> dict[str, float]:
    """Median milliseconds a frame of the detectors of some runs, as `time_side_by_side` takes them.

    Args:
        project: The project.
        runs: Finished runs and baselines.
        frames: Frames to predict on; of more than 60, 60 evenly spread ones.
        reporter: Told how far it is.

    Returns:
        Run id -> milliseconds.

    Raises:
        ModelError: A detector's files are broken.
        Cancelled: The reporter asked to stop.
    """
    progress = reporter or Quiet()
    detectors = {run.id: load_detector(project, run) for run in runs}
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), _FRAMES)).round().astype(int))
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for number, at in enumerate(chosen.tolist()):
        image = project.frame_image(frames[at])
        for name, taken in time_side_by_side(detectors, image, number).items():
            seconds[name].append(taken)
        progress.update((number + 1) / len(chosen), f"timing frame {number + 1} of {len(chosen)}")
    return {name: float(np.median(taken)) * 1000 for name, taken in seconds.items()}


def time_side_by_side(detectors: Mapping[str, _Predicts], image: ImageArray, number: int) -> dict[str, float]:
    """Seconds that each detector takes for one frame, in turn, the quickest of three.

    Whatever else the machine does then falls on all alike: timed minutes or days apart, the same network differs by
    more than two networks do. The time is that of decoding-free prediction of boxes (letterbox, network, suppression).

    Args:
        detectors: By name.
        image: (H, W, 3) RGB.
        number: Of the frame; says who begins, and the first one warms up.
    """
    names = list(detectors)
    for name in names if number == 0 else ():
        for _ in range(_WARM_UP):
            detectors[name].predict([image])
    seconds = dict.fromkeys(names, float("inf"))
    for turn in range(_TURNS):
        first = (number + turn) % len(names)
        for name in [*names[first:], *names[:first]]:
            started = time.perf_counter()
            detectors[name].predict([image])
            seconds[name] = min(seconds[name], time.perf_counter() - started)
    return seconds
