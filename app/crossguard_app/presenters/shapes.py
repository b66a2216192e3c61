"""Frames, labels and issues as the plain values that the editor draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from crossguard_app.resources import assist_token, image_url
from curate.annotations import Annotation, Frame, Mask, Rle
from curate.geometry.polygons import mask_to_polygons
from curate.geometry.rle import rle_to_mask
from curate.store.serialize import mask_to_dict
from curate.workflows.coverage import looked_at
from curate.workflows.project import Project

__all__ = ["PALETTE", "class_colors", "frame_values", "label_values", "mask_values", "when_taken"]

PALETTE = (
    "#ff9f45",
    "#4cc3ff",
    "#f062c0",
    "#ffe14d",
    "#a98bff",
    "#ff6b6b",
    "#5be0c8",
    "#c7d94a",
    "#d8a27a",
    "#9fb6ff",
)
"""Bright enough for dark video; green is left to proposals."""
_FOLLOWING = 10
"""Later frames that a label can be propagated to at once."""
_TRACE_TOLERANCE = 0.7
"""Pixels by which a run-length mask is simplified for the editor: few enough points to drag."""


def class_colors(classes: Sequence[str]) -> dict[str, str]:
    """Class -> colour, by its place in site.yaml."""
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(classes)}


@lru_cache(maxsize=4096)
def _traced(rle: Rle) -> dict[str, Any]:
    return mask_to_dict(mask_to_polygons(rle_to_mask(rle), tolerance=_TRACE_TOLERANCE))


def mask_values(mask: Mask | None) -> dict[str, Any] | None:
    """A mask as polygons, whichever kind it is; None when there is none."""
    if not mask:
        return None
    return _traced(mask) if isinstance(mask, Rle) else mask_to_dict(mask)


def label_values(annotation: Annotation) -> dict[str, Any]:
    """One label."""
    flags = ("iscrowd", "occluded", "difficult", "ignore")
    return {
        "id": annotation.id,
        "label": annotation.label,
        "bbox_xyxy": list(annotation.bbox_xyxy),
        "mask": mask_values(annotation.mask),
        "revision": annotation.revision,
        **({"track_id": annotation.track_id} if annotation.track_id else {}),
        **{flag: True for flag in flags if getattr(annotation, flag)},
    }


def when_taken(frame: Frame) -> str:
    """The time of a frame for a person."""
    if frame.wall_time:
        return datetime.fromtimestamp(frame.captured_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    minutes, seconds = divmod(frame.captured_at, 60)
    return f"{int(minutes)}:{seconds:05.2f}"


def frame_values(project: Project, frame_ids: Iterable[str], source: str) -> dict[str, dict[str, Any]]:
    """Frames with the labels of one source, by frame id."""
    ids = list(dict.fromkeys(frame_ids))
    labels: dict[str, list[Annotation]] = {frame_id: [] for frame_id in ids}
    for annotation in project.store.annotations(source=source, frame_ids=ids):
        labels[annotation.frame_id].append(annotation)
    seen = looked_at(project, source, ids)
    return {
        frame.id: {
            "id": frame.id,
            "name": frame.name,
            "url": image_url(project, frame),
            "width": frame.width,
            "height": frame.height,
            "excluded": frame.excluded,
            "seen": frame.id in seen,
            "token": assist_token(project, frame.id),
            "following": project.store.frames_after(frame.id, _FOLLOWING),
            "facts": [["Recording", frame.clip], ["Time", when_taken(frame)], ["Labels of", source]],
            "labels": [label_values(annotation) for annotation in labels[frame.id]],
        }
        for frame in project.store.frames(ids=ids)
    }
