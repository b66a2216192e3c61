"""A validation block cut out of the working frames: recipes are chosen by it, never by gold."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.detectors import SiteDetector, TrainingSample
from curate.errors import DataError
from curate.evaluation import EvalResult, evaluate, settings_from_site
from curate.splits import near_in_time, pick_gold_blocks, time_blocks
from curate.versions import Version, load_version_annotations
from curate.workflows.dataset import LabelledFrame, labelled_frames, training_sample
from curate.workflows.project import Project

__all__ = ["ValidationBlock", "validation_block"]

_SHARE = 0.25


@dataclass(frozen=True)
class ValidationBlock:
    """Frames to train on, frames to judge on, none near the other in time.

    Attributes:
        project: The project.
        samples: What is trained on.
        judged: What is judged on.
    """

    project: Project
    samples: tuple[TrainingSample, ...]
    judged: tuple[LabelledFrame, ...]

    def score(self, detector: SiteDetector) -> tuple[EvalResult, float]:
        """The figures on the judged frames, and the median milliseconds a frame."""
        found, times = [], []
        for entry in self.judged:
            image = self.project.frame_image(entry.frame)
            started = time.perf_counter()
            found.append(detector.predict([image])[0])
            times.append(time.perf_counter() - started)
        config = self.project.config
        labels = [annotation for entry in self.judged for annotation in entry.annotations]
        frames = [entry.frame for entry in self.judged]
        result = evaluate(frames, labels, found, config.classes, settings_from_site(config))
        return result, float(np.median(times)) * 1000


def validation_block(project: Project, version: Version) -> ValidationBlock:
    """Set whole blocks of time of a version's frames aside, a quarter of them, and the gap around them.

    Raises:
        DataError: There are too few blocks of time, or no label is left on one of the sides.
    """
    frames = sorted(
        project.store.frames(ids=list(version.manifest.splits)), key=lambda f: (f.clip, f.captured_at)
    )
    labelled = labelled_frames(project, frames, load_version_annotations(project.store, version))
    times = np.array([frame.captured_at for frame in frames], float)
    clips = [frame.clip for frame in frames]
    split = project.config.split
    judged = pick_gold_blocks(time_blocks(times, clips, split.block_seconds), _SHARE)
    near = near_in_time(times, clips, judged, split.gap_seconds)
    own = _chosen(labelled, ~near)
    held = _chosen(labelled, judged)
    for side, entries in (("training", own), ("validation", held)):
        if not any(entry.counted for entry in entries):
            raise DataError(
                f"no label is left for {side}",
                item=f"version {version.id}",
                hint="label more frames, or lower split.block_seconds and split.gap_seconds",
            )
    return ValidationBlock(project, tuple(training_sample(project, entry) for entry in own), tuple(held))


def _chosen(entries: Sequence[LabelledFrame], keep: Sequence[bool] | np.ndarray) -> list[LabelledFrame]:
    return [entry for entry, kept in zip(entries, keep, strict=True) if kept]
