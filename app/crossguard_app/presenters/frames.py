"""Frames to browse, and a frame with its neighbours for the editor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crossguard_app.components.gallery import Card, Picture, Shape
from crossguard_app.presenters.queue import editor_base
from crossguard_app.presenters.shapes import class_colors, frame_values, when_taken
from crossguard_app.presenters.sync import SyncResult
from crossguard_app.resources import image_url
from curate.annotations import Annotation, Frame
from curate.workflows.project import Project

__all__ = ["FrameFilter", "frame_cards", "frames_data", "matching_frames", "walk_data"]

BEFORE, AFTER = 4, 8
"""Neighbours sent along, so that the next and the previous frame are there at once."""


@dataclass(frozen=True)
class FrameFilter:
    """Which frames.

    Attributes:
        text: Part of the name.
        clip: Recording, None for all.
        label: Only frames with a label of this class.
        kind: "all", "labelled", "empty", "excluded" or "gold" (of the newest gold set).
        source: Label source to show and edit.
    """

    text: str = ""
    clip: str | None = None
    label: str | None = None
    kind: str = "all"
    source: str = ""


def matching_frames(project: Project, wanted: FrameFilter) -> list[Frame]:
    """The frames in their order. Labels are looked at only where the filter asks for them: this runs at every edit."""
    store = project.store
    frames = store.frames(clip=wanted.clip)
    labelled: set[str] = set()
    if wanted.label or wanted.kind in ("labelled", "empty"):
        labelled = store.labelled_frame_ids(wanted.source, wanted.label)
    if wanted.label:
        frames = [frame for frame in frames if frame.id in labelled]
    if wanted.text:
        part = wanted.text.casefold()
        frames = [frame for frame in frames if part in frame.name.casefold()]
    if wanted.kind == "labelled":
        frames = [frame for frame in frames if frame.id in labelled]
    elif wanted.kind == "empty":
        frames = [frame for frame in frames if frame.id not in labelled]
    elif wanted.kind == "gold":
        golds = store.gold_sets()
        held = set(golds[-1].manifest.get("frames", ())) if golds else set()
        frames = [frame for frame in frames if frame.id in held]
    elif wanted.kind == "excluded":
        frames = [frame for frame in frames if frame.excluded]
    return frames


def frame_cards(project: Project, frames: list[Frame], source: str) -> list[Card]:
    """Thumbnails with the labels' boxes."""
    colors = class_colors(project.config.classes)
    shapes: dict[str, list[Shape]] = {frame.id: [] for frame in frames}
    for annotation in project.store.annotations(source=source, frame_ids=list(shapes)):
        color = colors.get(annotation.label, "#9aa4b2")
        shapes[annotation.frame_id].append(Shape(annotation.bbox_xyxy, color, text=annotation.label))
    return [
        Card(
            key=frame.id,
            title=frame.name,
            pictures=(
                Picture(
                    image_url(project, frame, width=320), frame.width, frame.height, tuple(shapes[frame.id])
                ),
            ),
            note=f"{when_taken(frame)} · {len(shapes[frame.id])} labels",
            badge="excluded" if frame.excluded else "",
            tone="bad" if frame.excluded else "",
        )
        for frame in frames
    ]


def frames_data(
    project: Project,
    frames: list[Frame],
    source: str,
    sync: SyncResult,
    *,
    current: str,
    wanted: str,
    token: str,
    reviewer: str,
    notes: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """All that the editor needs to show a frame and to go on from there.

    Args:
        project: The project.
        frames: Those that pass the filter, in order.
        source: Label source to edit.
        sync: What came of the browser's outbox.
        current: The frame that the browser shows.
        wanted: The frame to begin with.
        token: The browser goes to `wanted` when this changes.
        reviewer: Who decides.
        notes: Frame id -> why it was chosen; suggestions are shown at once on frames that were.
    """
    ids = [frame.id for frame in frames]
    window = _around(ids, current)
    items = [{"key": frame_id, "frame_id": frame_id, "issue": None} for frame_id in window]
    data = _data(project, items, source, sync, wanted=wanted, token=token, reviewer=reviewer)
    for frame_id, frame in data["frames"].items():
        if notes and frame_id in notes:
            frame["note"] = notes[frame_id]
    return data | {"suggest": bool(notes)}


def walk_data(
    project: Project,
    annotations: list[Annotation],
    source: str,
    sync: SyncResult,
    *,
    current: str,
    token: str,
    reviewer: str,
) -> dict[str, Any]:
    """The same for a list of labels to go through, each selected and zoomed to in its frame."""
    by_id = {annotation.id: annotation for annotation in annotations}
    ids = list(by_id)
    items = [
        {"key": label_id, "frame_id": by_id[label_id].frame_id, "issue": None, "select": label_id}
        for label_id in _around(ids, current)
        if label_id in by_id
    ]
    wanted = ids[0] if ids else ""
    return _data(project, items, source, sync, wanted=wanted, token=token, reviewer=reviewer)


def _around(ids: list[str], current: str) -> list[str]:
    at = ids.index(current) if current in ids else 0
    window = ids[max(0, at - BEFORE) : at + AFTER + 1]
    return window if current in window else [current, *window]


def _data(
    project: Project,
    items: list[dict[str, Any]],
    source: str,
    sync: SyncResult,
    *,
    wanted: str,
    token: str,
    reviewer: str,
) -> dict[str, Any]:
    return editor_base(project, sync, reviewer, source) | {
        "mode": "frames",
        "items": items,
        "frames": frame_values(project, (item["frame_id"] for item in items), source),
        "cursor": {"key": wanted, "token": token},
        "empty": {
            "title": "Nothing to show",
            "text": "Go back to the list and choose another frame.",
            "command": "",
            "ways": [("All frames", "frames")],
        },
    }
