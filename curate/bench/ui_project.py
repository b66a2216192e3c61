"""Projects to measure the app on: 1280x720 frames of a rendered street, and a queue of any length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from curate.annotations import (
    Annotation,
    Frame,
    Issue,
    IssueType,
    Polygon,
    Proposal,
    ProposalKind,
    replace,
)
from curate.synth import SceneConfig, SyntheticScene, render_scene
from curate.types import BoxTuple
from curate.workflows.ingest import ingest
from curate.workflows.project import Project

__all__ = ["SIZE", "crowded_project", "place_of", "queue_project", "walkers"]

SIZE = (1280, 720)
_PICTURES = 48
_LABELS_PER_FRAME = 10
_CORNERS = 12
_JPEG_QUALITY = 90
_KINDS = (
    (IssueType.SPURIOUS, Proposal(ProposalKind.DELETE_LABEL)),
    (IssueType.BAD_LOCATION, None),
    (IssueType.WRONG_CLASS, Proposal(ProposalKind.RELABEL, "car")),
    (IssueType.INACCURATE_MASK, None),
    (IssueType.OUTLIER, Proposal(ProposalKind.DELETE_LABEL)),
)


def queue_project(folder: Path, issues: int) -> Project:
    """A project whose queue holds so many issues, each about a label of its own; kept for the next time.

    The frames beyond the first 48 are rows that share those pictures: what is measured is the queue, not the disk.

    Args:
        folder: Where the project is, or will be.
        issues: Length of the queue.
    """
    project = _project(folder)
    counts = sum(count.count for count in project.store.issue_counts())
    if counts == issues:
        return project
    frames = _frames(project, -(-issues // _LABELS_PER_FRAME))
    project.store.add_annotations(_labels(frames, issues), "bench")
    project.store.upsert_issues(_issues(frames, issues))
    return project


def crowded_project(folder: Path, shapes: tuple[int, ...]) -> tuple[Project, dict[int, Frame]]:
    """A project with one frame for each of the numbers, which holds so many polygons.

    Returns:
        The project, and the frame for each number.
    """
    project = _project(folder)
    frames = dict(zip(shapes, _frames(project, len(shapes)), strict=True))
    for count, frame in frames.items():
        labels = [_label(f"crowd-{count}-{at}", frame.id, at, count) for at in range(count)]
        project.store.add_annotations(labels, "bench")
    return project, frames


def walkers(frame: Frame) -> list[tuple[float, float]]:
    """Middles of the people on one of the 48 pictures, in its pixels."""
    index = int(frame.name.removesuffix(".jpg").rpartition("_")[2])
    found = _street().annotations_of(index, frame.id)
    boxes = [label.bbox_xyxy for label in found if label.label == "person" and not label.ignore]
    return [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes]


def _street() -> SyntheticScene:
    return render_scene(SceneConfig(seed=7, frames=_PICTURES, size=SIZE, persons=6, cars=2))


def _project(folder: Path) -> Project:
    if (folder / "site.yaml").is_file():
        return Project.open(folder)
    project = Project.create(folder, ["person", "car"])
    images = folder.parent / f"{folder.name}-images"
    images.mkdir(exist_ok=True)
    scene = _street()
    for index, pixels in enumerate(scene.frames):
        Image.fromarray(pixels).save(images / f"street_{index:04d}.jpg", quality=_JPEG_QUALITY)
    ingest(project, [images])
    return project


def _frames(project: Project, wanted: int) -> list[Frame]:
    pictures = sorted(project.store.frames(), key=lambda frame: frame.name)[:_PICTURES]
    more = [
        replace(
            pictures[at % _PICTURES],
            id=hashlib.sha256(f"bench {at}".encode()).hexdigest()[:32],
            name=f"more_{at:07d}.jpg",
            clip=f"recording {at // 3600}",
            index=at,
            captured_at=at / 2,
        )
        for at in range(_PICTURES, wanted)
    ]
    project.store.add_frames(more)
    return [*pictures, *more][:wanted]


def place_of(at: int, count: int) -> tuple[float, float]:
    """Middle of one of so many shapes of a crowded frame."""
    x1, y1, x2, y2 = _box(at, count)
    return (x1 + x2) / 2, (y1 + y2) / 2


def _box(at: int, count: int) -> BoxTuple:
    """A grid of places, so that shapes neither hide each other nor leave the frame."""
    columns = max(1, round((count * SIZE[0] / SIZE[1]) ** 0.5))
    wide, high = SIZE[0] / columns, SIZE[1] / -(-count // columns)
    left, top = (at % columns) * wide, (at // columns) * high
    return (left + 0.1 * wide, top + 0.1 * high, left + 0.9 * wide, top + 0.9 * high)


def _outline(box: BoxTuple, shrink: float = 1.0) -> Polygon:
    middle = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    half = np.array([(box[2] - box[0]) / 2, (box[3] - box[1]) / 2]) * shrink
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    points = middle + half * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Polygon(tuple((float(x), float(y)) for x, y in points))


def _label(label_id: str, frame_id: str, at: int, count: int) -> Annotation:
    box = _box(at, count)
    return Annotation(label_id, frame_id, "person", box, mask=(_outline(box),), source="cheap")


def _labels(frames: list[Frame], count: int) -> Iterator[Annotation]:
    for number in range(count):
        at = number % _LABELS_PER_FRAME
        frame = frames[number // _LABELS_PER_FRAME]
        yield _label(f"label-{number:08d}", frame.id, at, _LABELS_PER_FRAME)


def _issues(frames: list[Frame], count: int) -> Iterator[Issue]:
    """Ranked in an order that has nothing to do with the frames': each step of the queue is another picture."""
    ranks = np.random.default_rng(5).permutation(count)
    for number in range(count):
        box = _box(number % _LABELS_PER_FRAME, _LABELS_PER_FRAME)
        kind, proposal = _KINDS[number % len(_KINDS)]
        share = 1 - float(ranks[number]) / count
        grouped = number % 20 < 2
        yield Issue(
            id=f"{number:032x}",
            type=kind,
            frame_id=frames[number // _LABELS_PER_FRAME].id,
            annotation_id=f"label-{number:08d}",
            bbox_xyxy=box,
            label="person",
            severity=share,
            probability=0.9 * share,
            explanation=f"The detector that never saw this label gives it {0.3 * share:.2f}; its neighbours agree.",
            evidence={"score": 0.3 * share, "agreement": 0.4, "foreground": 0.1},
            proposal=proposal or _redrawn(box),
            group_id=f"place {number // 20}" if grouped else None,
        )


def _redrawn(box: BoxTuple) -> Proposal:
    outline = _outline(box, 0.9)
    points = np.asarray(outline.exterior, float)
    low, high = points.min(axis=0), points.max(axis=0)
    tight = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    return Proposal(ProposalKind.EDIT, None, tight, (outline,))
