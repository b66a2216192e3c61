"""From stored frames and labels to what detectors and finders take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.geometry.polygons import to_rle
from curate.geometry.shapes import Rle
from curate.splits import near_in_time
from curate.workflows.coverage import covered_frames
from curate.workflows.policy import apply_policy
from curate.workflows.project import Project

if TYPE_CHECKING:  # torch stays out of processes that only count frames, such as the app
    from curate.detectors import TrainingSample

__all__ = ["LabelledFrame", "held_out_frames", "labelled_frames", "training_sample", "working_frames"]


@dataclass(frozen=True)
class LabelledFrame:
    """A frame and its labels, the policy applied."""

    frame: Frame
    annotations: tuple[Annotation, ...]

    @property
    def counted(self) -> tuple[Annotation, ...]:
        """Labels that count in loss and metric."""
        return tuple(annotation for annotation in self.annotations if annotation.counts)


def working_frames(project: Project, *, source: str | None = None) -> list[Frame]:
    """Frames that may train: not excluded, and in no gold set or its gap.

    Args:
        project: The project.
        source: Only frames that this label source has looked at; None for all.
    """
    every = project.store.frames()
    held_out = held_out_frames(project, every)
    frames = [frame for frame in every if not frame.excluded and frame.id not in held_out]
    if source is None:
        return frames
    covered = covered_frames(project, source)
    return [frame for frame in frames if frame.id in covered]


def held_out_frames(project: Project, frames: Sequence[Frame]) -> set[str]:
    """Ids of gold frames and of all frames too near to one in time, also of those ingested later or once more.

    Near is by recording and by source file: one file ingested with other settings is another recording of the
    same minutes.
    """
    gold: set[str] = set()
    held_out: set[str] = set()
    for entry in project.store.gold_sets():
        gold.update(entry.manifest.get("frames", ()))
        held_out.update(entry.manifest.get("gap_frames", ()))
    if not gold:
        return held_out
    times = np.array([frame.captured_at for frame in frames])
    members = np.array([frame.id in gold for frame in frames], bool)
    gap = project.config.split.gap_seconds
    near = near_in_time(times, [frame.clip for frame in frames], members, gap)
    near |= near_in_time(times, [frame.source for frame in frames], members, gap)
    return held_out | gold | {frame.id for frame, inside in zip(frames, near.tolist(), strict=True) if inside}


def labelled_frames(
    project: Project, frames: Sequence[Frame], annotations: Iterable[Annotation]
) -> list[LabelledFrame]:
    """Frames in the given order with their labels; frames without labels are kept."""
    by_frame: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in apply_policy(list(annotations), project.config):
        by_frame[annotation.frame_id].append(annotation)
    return [LabelledFrame(frame, tuple(by_frame.get(frame.id, ()))) for frame in frames]


def training_sample(project: Project, labelled: LabelledFrame) -> TrainingSample:
    """What the trainer takes for one frame.

    Raises:
        DataError: A label's box does not fit the frame.
    """
    from curate.detectors import TrainingSample

    frame, policy = labelled.frame, project.config.policy
    classes = {name: index for index, name in enumerate(project.config.classes)}
    counted = labelled.counted
    ignored = [annotation.bbox_xyxy for annotation in labelled.annotations if not annotation.counts]
    boxes = np.array([annotation.bbox_xyxy for annotation in counted], float).reshape(-1, 4)
    if len(boxes) and (boxes[:, 0] >= frame.width).any() | (boxes[:, 1] >= frame.height).any():
        raise DataError("a label's box lies outside its frame", item=frame.name)
    masks: tuple[Rle | None, ...] = tuple(
        None if annotation.mask is None else to_rle(annotation.mask, frame.height, frame.width)
        for annotation in counted
    )
    return TrainingSample(
        key=frame.id,
        image=partial(project.frame_image, frame),
        boxes=boxes,
        classes=np.array([classes[annotation.label] for annotation in counted], np.int64),
        masks=masks if any(mask is not None for mask in masks) else (),
        ignore_boxes=np.array(ignored, float).reshape(-1, 4),
        ignore_regions=tuple(
            np.array(region, float) for region in (*policy.far_zone, *policy.ignore_regions)
        ),
    )
