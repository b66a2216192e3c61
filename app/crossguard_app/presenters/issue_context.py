"""What lies around an issue: before and proposed shape, its place a moment earlier and later, what is alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crossguard_app.presenters.shapes import class_colors, mask_values
from crossguard_app.resources import image_url
from curate.annotations import Annotation, Frame, Issue, ProposalKind
from curate.types import BoxTuple
from curate.workflows.maps import similar_crops
from curate.workflows.project import Project

__all__ = ["issue_context"]

_NEIGHBOURS = 2
_ALIKE = 5
_WIDTH = 160
_AROUND = 2.2
"""Side of the film's crops as a multiple of the place's longer side."""
_AROUND_ALIKE = 1.25
_SMALLEST = 64.0

Crop = tuple[int, int, int, int]


def issue_context(project: Project, issue_id: str) -> dict[str, Any]:
    """Small pictures with shapes, as plain values; shapes are in pixels of the frame, like the crop.

    Raises:
        NotFoundError: No such issue.
    """
    store = project.store
    issue = store.issue(issue_id)
    frame = store.frame(issue.frame_id)
    crop = None if issue.bbox_xyxy is None else _square(issue.bbox_xyxy, frame, _AROUND)
    before, after = store.frames_around(frame, _NEIGHBOURS)
    film = [*before, frame, *after]
    labels = _labels(project, film)
    colors = class_colors(project.config.classes)
    return {
        "change": _change(project, issue, frame, crop, labels[frame.id], colors),
        "film": [
            _picture(
                project,
                shown,
                crop,
                [_shape(label, colors) for label in labels[shown.id]],
                _moment(frame, shown),
            )
            | {"now": shown.id == frame.id}
            for shown in film
        ],
        # A label that was deleted since has no crop any more.
        "alike": _alike(project, issue, colors)
        if any(label.id == issue.annotation_id for label in labels[frame.id])
        else [],
    }


def _labels(project: Project, frames: Sequence[Frame]) -> dict[str, list[Annotation]]:
    found: dict[str, list[Annotation]] = {frame.id: [] for frame in frames}
    for label in project.store.annotations(project.config.labels.working, list(found)):
        found[label.frame_id].append(label)
    return found


def _square(box: BoxTuple, frame: Frame, factor: float) -> Crop:
    """A square around a box, inside the frame where it fits."""
    side = max(_SMALLEST, factor * max(box[2] - box[0], box[3] - box[1]))
    side = min(side, frame.width, frame.height)
    left = min(max((box[0] + box[2] - side) / 2, 0.0), frame.width - side)
    top = min(max((box[1] + box[3] - side) / 2, 0.0), frame.height - side)
    return int(left), int(top), int(left + side), int(top + side)


def _picture(
    project: Project, frame: Frame, crop: Crop | None, shapes: list[dict[str, Any]], text: str
) -> dict[str, Any]:
    return {
        "url": image_url(project, frame, width=_WIDTH, box=crop),
        "view": list(crop or (0, 0, frame.width, frame.height)),
        "shapes": shapes,
        "text": text,
        "frame_id": frame.id,
    }


def _shape(label: Annotation, colors: dict[str, str]) -> dict[str, Any]:
    return {
        "id": label.id,
        "box": list(label.bbox_xyxy),
        "mask": mask_values(label.mask),
        "color": colors.get(label.label, "#9aa4b2"),
    }


def _moment(here: Frame, other: Frame) -> str:
    seconds = other.captured_at - here.captured_at
    if other.id == here.id:
        return "now"
    return f"{seconds:+.0f} s" if abs(seconds) >= 10 else f"{seconds:+.1f} s"


def _change(
    project: Project,
    issue: Issue,
    frame: Frame,
    crop: Crop | None,
    labels: Sequence[Annotation],
    colors: dict[str, str],
) -> list[dict[str, Any]]:
    """The label as it is and as it would be; empty where applying changes no shape."""
    proposal = issue.proposal
    if proposal.kind in (ProposalKind.NONE, ProposalKind.EXCLUDE_FRAME) or crop is None:
        return []
    own = [_shape(label, colors) for label in labels if label.id == issue.annotation_id]
    name = proposal.label or issue.label or ""
    if proposal.kind is ProposalKind.DELETE_LABEL:
        after, text = [], "without it"
    elif proposal.kind is ProposalKind.RELABEL:
        after, text = [shape | {"color": colors.get(name, "#9aa4b2")} for shape in own], name
    else:
        box = proposal.bbox_xyxy
        shape = {"id": "proposal", "box": None if box is None else list(box), "color": "#39d98a"}
        after, text = [shape | {"mask": mask_values(proposal.mask)}], "proposed"
    return [
        _picture(project, frame, crop, own, issue.label or "as it is" if own else "nothing"),
        _picture(project, frame, crop, after, text),
    ]


def _alike(project: Project, issue: Issue, colors: dict[str, str]) -> list[dict[str, Any]]:
    """The labels whose crops are nearest, best first; empty for one that was never scanned as it is now."""
    pictures = []
    for entry in similar_crops(project, str(issue.annotation_id), _ALIKE):
        label = project.store.annotation(entry.id)
        frame = project.store.frame(label.frame_id)
        crop = _square(label.bbox_xyxy, frame, _AROUND_ALIKE)
        pictures.append(
            _picture(project, frame, crop, [], f"{label.label} {entry.similarity:.2f}")
            | {"color": colors.get(label.label, "#9aa4b2"), "other": label.label != issue.label}
        )
    return pictures
