"""Gold objects that no training has seen: what a detector of one camera is worth on things that are new to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from curate.annotations import Annotation
from curate.evaluation import moving_objects
from curate.geometry import box_iou
from curate.store import RunRecord
from curate.types import BoolArray, FloatArray, IntArray
from curate.versions import get_version, load_version_annotations
from curate.workflows.gold import GoldContent
from curate.workflows.project import Project

__all__ = ["NEW_OBJECTS", "new_objects_slice", "unseen"]

NEW_OBJECTS = "new objects"
"""Name of the slice."""
_SAME_PLACE = 0.5


def unseen(
    gold: Sequence[Annotation],
    gold_clips: Sequence[str],
    moving: IntArray,
    trained: Sequence[Annotation],
    trained_clips: Sequence[str],
    trained_moving: IntArray,
) -> BoolArray:
    """(G,) gold objects that are in no training label.

    An object was seen when a training label of its recording has its track, or when it stands (moving 0) where a
    standing training label of its class is (IoU .5 and more). One that moves and shares no track is new: it may look
    like others, but it is not one of them.

    Args:
        gold: G labels.
        gold_clips: Recording of each.
        moving: (G,) 1, 0, or -1 for unknown; unknown counts as moving.
        trained: T labels.
        trained_clips: Recording of each.
        trained_moving: (T,) likewise.
    """
    tracks = {(clip, a.track_id) for clip, a in zip(trained_clips, trained, strict=True) if a.track_id}
    new = np.array([(clip, a.track_id) not in tracks for clip, a in zip(gold_clips, gold, strict=True)], bool)
    for label in {annotation.label for annotation in gold}:
        mine = np.array([a.label == label for a in gold], bool) & (moving == 0)
        theirs = np.array([a.label == label for a in trained], bool) & (trained_moving == 0)
        if mine.any() and theirs.any():
            new[mine] &= box_iou(_boxes(gold, mine), _boxes(trained, theirs)).max(1) < _SAME_PLACE
    return new


def _boxes(annotations: Sequence[Annotation], chosen: BoolArray) -> FloatArray:
    rows = [annotation.bbox_xyxy for annotation, keep in zip(annotations, chosen, strict=True) if keep]
    return np.asarray(rows, float)


def new_objects_slice(
    project: Project,
    runs: Sequence[RunRecord],
    gold: GoldContent,
    annotations: Sequence[Annotation],
    moving: IntArray,
) -> Mapping[str, BoolArray]:
    """The slice of gold objects that none of the runs has been trained on; none where no run was trained here.

    Args:
        project: The project.
        runs: Runs whose versions count.
        gold: The gold set.
        annotations: Its G labels.
        moving: (G,) as `moving_objects` gives it.
    """
    versions = {str(run.version_id) for run in runs if run.version_id is not None}
    if not versions:
        return {}
    new = np.ones(len(annotations), bool)
    clips = {frame.id: frame.clip for frame in gold.frames}
    for version_id in sorted(versions):
        version = get_version(project.store, version_id)
        trained = load_version_annotations(project.store, version)
        frames = project.store.frames(ids=list(version.manifest.splits))
        where = {frame.id: frame.clip for frame in frames}
        trained = [annotation for annotation in trained if annotation.frame_id in where]
        new &= unseen(
            annotations,
            [clips[annotation.frame_id] for annotation in annotations],
            moving,
            trained,
            [where[annotation.frame_id] for annotation in trained],
            moving_objects(frames, trained),
        )
    return {NEW_OBJECTS: new}
