"""What is known about the fixed scene, read from what scans left: plates, camera health, sizes, recurring places."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.geometry.boxes import box_iou
from curate.scene.health import judge_frames
from curate.scene.places import PlaceMap, recurring_places
from curate.scene.plate import Plate, load_plate
from curate.scene.sizes import SizePrior
from curate.types import BoxTuple, FloatArray, IntArray
from curate.workflows.dataset import working_frames
from curate.workflows.frame_evidence import FrameEvidence, load_evidence
from curate.workflows.pictures import stored_numbers
from curate.workflows.policy import apply_policy
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project
from curate.workflows.scene import plates_digest

__all__ = [
    "FrameNote",
    "Place",
    "SceneSizes",
    "camera_health",
    "ghost_places",
    "scene_sizes",
    "standing_places",
    "stored_plates",
]

_MOST_FRAMES = 3000
"""Places are looked for on so many frames, spread evenly over the footage: what recurs shows on any sample."""
_NEAR = 0.3
"""A detection that overlaps a label by this much is explained by it."""
_LEAST_FRAMES = 3


@dataclass(frozen=True)
class FrameNote:
    """Health of one frame.

    Attributes:
        frame: The frame.
        brightness: Median grey level, 0..255.
        shift: Pixels by which the picture has moved against the plate; None without a plate.
        faults: See `curate.scene.FrameVerdict`.
        reason: One sentence; empty for a good frame.
    """

    frame: Frame
    brightness: float
    shift: float | None
    faults: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Place:
    """A place at which boxes recur.

    Attributes:
        box: Median box.
        label: Most frequent class there.
        frames: Ids of the frames on which it is taken, in order of time.
        share: Of the frames looked at, in [0, 1].
        score: Mean score of the detections; None for labels.
        foreground: Mean share of the box that differs from the empty scene; None for labels.
        stillness: In [0, 1], see `curate.scene.PlaceMap`.
    """

    box: BoxTuple
    label: str
    frames: tuple[str, ...]
    share: float
    score: float | None
    foreground: float | None
    stillness: float


@dataclass(frozen=True)
class SceneSizes:
    """Labels against the size prior; L labels that count.

    Attributes:
        prior: Fitted on these labels.
        annotations: L labels.
        foot: (L,) row of the lower edge, pixels.
        height: (L,) pixels.
        deviation: (L,) signed deviation of log height from what is usual there, in robust standard deviations.
    """

    prior: SizePrior
    annotations: tuple[Annotation, ...]
    foot: FloatArray
    height: FloatArray
    deviation: FloatArray


def stored_plates(project: Project) -> list[Plate]:
    """The empty scene by light, commonest first, as the last scan made it; empty before the first scan.

    Raises:
        DataError: A plate is broken.
    """
    known = project.store.artifacts("plates")
    paths = [project.root / known[key].path for key in sorted(known)]
    return [load_plate(path) for path in paths if path.exists()]


def camera_health(project: Project) -> list[FrameNote]:
    """The working frames that the last scan measured, judged together, in order of clip and time."""
    numbers = stored_numbers(project, plates_digest(project))
    frames = [frame for frame in project.store.frames() if frame.id in numbers]
    verdicts = judge_frames([numbers[frame.id] for frame in frames])
    return [
        FrameNote(
            frame, verdict.numbers.brightness, verdict.numbers.plate_shift, verdict.faults, verdict.reason
        )
        for frame, verdict in zip(frames, verdicts, strict=True)
    ]


def scene_sizes(project: Project) -> SceneSizes:
    """Working labels that count, and how large each is for its place."""
    source, classes = project.config.labels.working, project.config.classes
    known = apply_policy(project.store.annotations(source=source, masks=False), project.config)
    annotations = tuple(annotation for annotation in known if annotation.counts)
    boxes = np.array([annotation.bbox_xyxy for annotation in annotations], float).reshape(-1, 4)
    labels = np.array([classes.index(annotation.label) for annotation in annotations], np.int64)
    sizes = {(frame.width, frame.height) for frame in project.store.frames()}
    prior = SizePrior.fit(boxes, labels, frame_size=next(iter(sizes)) if len(sizes) == 1 else None)
    deviation = prior.z_scores(boxes, labels)[:, 0]
    return SceneSizes(prior, annotations, boxes[:, 3], boxes[:, 3] - boxes[:, 1], deviation)


def standing_places(project: Project) -> list[Place]:
    """Where labelled things stand for long, most frequent first: parked cars, a person who waits."""
    frames = {frame.id: frame for frame in working_frames(project, source=project.config.labels.working)}
    labels = [
        annotation
        for annotation in project.store.annotations(source=project.config.labels.working, masks=False)
        if annotation.frame_id in frames
    ]
    if not labels:
        return []
    boxes = np.array([annotation.bbox_xyxy for annotation in labels])
    found = _Boxes(
        boxes,
        [annotation.frame_id for annotation in labels],
        [annotation.label for annotation in labels],
        list(frames.values()),
    )
    places = found.places()
    return [found.place(places, number) for number in places.standing().tolist()]


def ghost_places(project: Project, *, reporter: Reporter | None = None) -> list[Place]:
    """Where the out-of-fold detectors see something again and again that nobody labelled, most frequent first.

    Low foreground says that nothing is there (a ghost); high foreground that labels are missing. Empty before the
    first scan. At most 3,000 frames are looked at, spread evenly.

    Raises:
        DataError: What the last scan left cannot be read any more.
    """
    report = reporter or Quiet()
    known = project.store.artifacts("evidence")
    frames = [f for f in working_frames(project, source=project.config.labels.working) if f.id in known]
    frames = frames[:: max(1, -(-len(frames) // _MOST_FRAMES))]
    labels: dict[str, list[BoxTuple]] = defaultdict(list)
    for annotation in project.store.annotations(
        source=project.config.labels.working, frame_ids=[frame.id for frame in frames], masks=False
    ):
        labels[annotation.frame_id].append(annotation.bbox_xyxy)
    rows: list[tuple[str, FloatArray, float, float, str]] = []
    read = 0
    for number, frame in enumerate(frames):
        report.update(number / len(frames), f"frame {number + 1} of {len(frames)}")
        evidence = load_evidence(project.root / known[frame.id].path)
        if evidence is not None:
            read += 1
            rows += _unexplained(project, frame.id, evidence, labels[frame.id])
    if frames and not read:
        raise DataError(
            "what the last scan left is of another release, or damaged", hint="scan again: `curate scan`"
        )
    if not rows:
        return []
    found = _Boxes(
        np.stack([row[1] for row in rows]),
        [row[0] for row in rows],
        [row[4] for row in rows],
        frames,
        np.array([row[2] for row in rows]),
        np.array([row[3] for row in rows]),
    )
    places = found.places()
    return [found.place(places, n) for n in range(len(places)) if places.frames[n] >= _LEAST_FRAMES]


def _unexplained(
    project: Project, frame_id: str, evidence: FrameEvidence, labels: Sequence[BoxTuple]
) -> list[tuple[str, FloatArray, float, float, str]]:
    """Detections of a frame at the operating point that no label explains."""
    found, classes = evidence.detections, project.config.classes
    near = np.zeros(len(found.boxes))
    if labels and len(found.boxes):
        near = box_iou(np.asarray(found.boxes, float), np.array(labels)).max(1)
    keep = (np.asarray(found.scores) >= project.config.evaluation.score) & (near < _NEAR)
    return [
        (
            frame_id,
            np.asarray(found.boxes[row], float),
            float(found.scores[row]),
            float(evidence.detection_foreground[row]),
            classes[int(found.classes[row])],
        )
        for row in np.flatnonzero(keep).tolist()
        if int(found.classes[row]) < len(classes)
    ]


@dataclass(frozen=True)
class _Boxes:
    """N boxes with what is known about each, to be grouped by place."""

    boxes: FloatArray
    frame_ids: Sequence[str]
    labels: Sequence[str]
    frames: Sequence[Frame]
    scores: FloatArray | None = None
    foreground: FloatArray | None = None

    def places(self) -> PlaceMap:
        """The groups.

        Raises:
            DataError: A box is of a frame that is not in `frames`.
        """
        order = {frame.id: number for number, frame in enumerate(self.frames)}
        if not set(self.frame_ids) <= set(order):
            raise DataError("a box lies on a frame that was not looked at")
        index: IntArray = np.array([order[frame_id] for frame_id in self.frame_ids], np.int64)
        times = np.array([frame.captured_at for frame in self.frames], float)[index]
        return recurring_places(self.boxes, index, times, frame_count=len(self.frames))

    def place(self, places: PlaceMap, number: int) -> Place:
        """One group."""
        members = np.flatnonzero(places.place == number)
        names = [self.labels[row] for row in members.tolist()]
        x1, y1, x2, y2 = (float(side) for side in places.boxes[number])
        return Place(
            box=(x1, y1, x2, y2),
            label=max(sorted(set(names)), key=names.count),
            frames=tuple(dict.fromkeys(self.frame_ids[row] for row in members.tolist())),
            share=float(places.share[number]),
            score=None if self.scores is None else float(self.scores[members].mean()),
            foreground=None if self.foreground is None else float(self.foreground[members].mean()),
            stillness=float(places.stillness[number]),
        )
