"""Which frames to label next: what detectors doubt, on frames unlike those that are labelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from curate.annotations import Annotation, Frame, IssueState
from curate.embeddings import Reducer, duplicate_crops
from curate.errors import DataError
from curate.issues import FramePool, Objects, Pick, choose_varied, committee_doubt
from curate.store import Role
from curate.tables import Detections
from curate.types import BoolArray, FloatArray, IntArray
from curate.workflows.committee import committee_detections
from curate.workflows.coverage import covered_frames
from curate.workflows.dataset import working_frames
from curate.workflows.decided import standing_decisions
from curate.workflows.embedding_store import Embedded, crop_key, load_vectors, vectors_path
from curate.workflows.pictures import picture_health
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scene import background_plates, plates_digest
from curate.workflows.whole_frames import embed_frames

__all__ = ["NextFrame", "label_next"]

MOST_CANDIDATES = 2000
"""At most so many unlabelled frames are looked at, evenly spread: half an hour of CPU the first time."""
_GRID = (6, 4)
_REPEATED = 3.0
_LIGHT = 0.4


class NextFrame(NamedTuple):
    """A frame that is worth labelling, and why, in a sentence."""

    frame_id: str
    reason: str


def label_next(project: Project, count: int, *, reporter: Reporter | None = None) -> list[NextFrame]:
    """Choose the frames that teach most, best first: doubt of the detectors times coverage.

    Candidates are the frames on which the working source has not looked. Where it has looked at all, they are
    those on which no person has decided anything: a machine's labels are no reason to leave a frame alone.
    Frames that are gold or next to it, excluded, unfit (blurred, dark, frozen, offline, camera moved) or
    near-duplicates are left out. Pictures are measured, embedded and searched once each; later calls take what
    is there.

    Args:
        project: The project.
        count: How many frames, at least 1.
        reporter: Told how far it is: the first call looks at every candidate.

    Returns:
        At most `count`; fewer when there are no more different frames.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        DataError: `count` is below 1, or there are no working frames.
        Cancelled: The reporter asked to stop; what was computed is kept.
    """
    project.expect_role(Role.REVIEWER)
    if count < 1:
        raise DataError(f"ask for at least 1 frame, got {count}", item="count")
    every = working_frames(project)
    if not every:
        raise DataError("there are no working frames to choose from", hint="run `curate ingest` first")
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0)
    labels = project.store.annotations(source=project.config.labels.working)
    known, bare = _known_frames(project, every)
    frames = _thinned(every, known)
    view = _look(project, frames, progress)
    places = {frame.id: at for at, frame in enumerate(frames)}
    classes = set(project.config.classes)
    own = [
        label
        for label in labels
        if label.frame_id in places and label.frame_id in known and label.counts and label.label in classes
    ]
    seen = [(at, found) for at, per_frame in enumerate(view.detections) for found in per_frame[:1]]
    doubt = view.doubt if bare else np.fmax(view.doubt, _open_doubt(project, frames))
    pool = FramePool(
        labelled=np.array([frame.id in known for frame in frames], bool),
        allowed=view.fit,
        times=np.array([frame.captured_at for frame in frames], float),
        clips=_numbers([frame.clip for frame in frames]),
        repeats=view.repeats,
        doubt=doubt,
        vectors=view.vectors,
        span=project.config.split.block_seconds,
    )
    objects = _detected(seen, frames, view.light)
    labelled = _labelled(own, places, frames, view.light, project.config.classes, _novel_share(project, own))
    picks = choose_varied(pool, labelled, objects, count)
    progress.update(1.0, f"{len(picks)} frames chosen")
    rows = [(at, row, found) for at, found in seen for row in range(len(found))]
    return [_say(pick, frames, rows, project.config.classes, bare) for pick in picks]


@dataclass(frozen=True)
class _View:
    """What is known about F frames: see `FramePool`; detections by frame and detector."""

    vectors: FloatArray
    fit: BoolArray
    repeats: IntArray
    light: IntArray
    detections: list[list[Detections]]
    doubt: FloatArray


def _known_frames(project: Project, frames: Sequence[Frame]) -> tuple[set[str], bool]:
    """Frames that count as labelled, and whether frames without any labels are left to choose from."""
    covered = covered_frames(project, project.config.labels.working)
    if any(frame.id not in covered for frame in frames):
        return covered, True
    touched: set[str] = set()
    issues: set[str] = set()
    labels: dict[str, int] = {}
    for record in standing_decisions(project):
        issues.update(effect.issue_id for effect in record.effects.issues)
        labels.update({effect.annotation_id: effect.after for effect in record.effects.labels})
        if record.decision.frame_id is not None:
            touched.add(record.decision.frame_id)
    touched.update(status.issue.frame_id for status in project.store.issue_statuses(issues))
    touched.update(label.frame_id for label in project.store.exact_revisions(labels))
    return touched, False


def _thinned(frames: Sequence[Frame], known: set[str]) -> list[Frame]:
    """All known frames and at most `MOST_CANDIDATES` others, evenly spread over time."""
    others = [at for at, frame in enumerate(frames) if frame.id not in known]
    if len(others) > MOST_CANDIDATES:
        spread = np.unique(np.linspace(0, len(others) - 1, MOST_CANDIDATES).astype(int))
        others = [others[at] for at in spread.tolist()]
    keep = {*others, *(at for at, frame in enumerate(frames) if frame.id in known)}
    return [frame for at, frame in enumerate(frames) if at in keep]


def _look(project: Project, frames: Sequence[Frame], progress: SubReporter) -> _View:
    plates = background_plates(project, reporter=SubReporter(progress, 0.0, 0.05))
    health = picture_health(
        project, frames, plates, plates_digest(project), SubReporter(progress, 0.05, 0.25)
    )
    embed_frames(project, frames, SubReporter(progress, 0.25, 0.55))
    stored = load_vectors(vectors_path(project, Embedded.FRAME))
    table = np.stack([stored[frame.id] for frame in frames]).astype(np.float32)
    # The mean picture is what all frames of a fixed camera share: distances are taken without it.
    table = table - table.mean(0)
    vectors = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    found = committee_detections(project, frames, SubReporter(progress, 0.55, 0.98))
    verdicts = health.verdicts or ((),) * len(frames)
    brightness = np.ones(len(frames)) if health.brightness is None else health.brightness
    return _View(
        vectors=vectors,
        fit=np.array([not words for words in verdicts], bool),
        repeats=_groups(health.twin, health.twin_distance, len(frames)),
        light=np.floor(np.log(np.asarray(brightness, float) + 4) / _LIGHT).astype(np.int64),
        detections=found,
        doubt=_doubt(found),
    )


def _groups(twin: IntArray | None, distance: FloatArray | None, count: int) -> IntArray:
    """(F,) the earlier frame that each one repeats as far as anybody could see, or the frame itself."""
    own = np.arange(count)
    if twin is None or distance is None:
        return own
    return np.where((np.asarray(twin) >= 0) & (np.asarray(distance) <= _REPEATED), twin, own)


def _doubt(found: Sequence[Sequence[Detections]]) -> FloatArray:
    """(F,) of the committee; NaN throughout where no detector knows the classes."""
    rows = [(at, member, entry) for at, entries in enumerate(found) for member, entry in enumerate(entries)]
    if not rows:
        return np.full(len(found), np.nan)
    return committee_doubt(
        np.concatenate([np.full(len(entry), at) for at, _, entry in rows]),
        np.concatenate([entry.boxes for _, _, entry in rows]).reshape(-1, 4),
        np.concatenate([entry.scores for _, _, entry in rows]),
        np.concatenate([entry.classes for _, _, entry in rows]),
        np.concatenate([np.full(len(entry), member) for _, member, entry in rows]),
        len(found),
    )


def _open_doubt(project: Project, frames: Sequence[Frame]) -> FloatArray:
    """(F,) in [0, 1] from the errors that the queue expects on each frame."""
    expected: dict[str, float] = defaultdict(float)
    for status in project.store.issue_statuses(states=(IssueState.OPEN,)):
        expected[status.issue.frame_id] += status.issue.probability
    return np.asarray(1 - np.exp(-np.array([expected[frame.id] for frame in frames]) / 2))


def _numbers(names: Sequence[str]) -> IntArray:
    return np.asarray(np.unique(np.array(names, object).astype(str), return_inverse=True)[1].ravel())


def _cells(boxes: FloatArray, classes: IntArray, sizes: FloatArray, light: IntArray) -> IntArray:
    """(M, 3) cells of class and place, class and size, class and light.

    Place is the foot point on a grid of 6 x 4, size the area in octaves.
    """
    foot = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]]) / sizes
    column, row = (np.clip((foot * _GRID).astype(int), 0, np.array(_GRID) - 1)).T
    octave = np.round(np.log2(np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1))).astype(np.int64)
    kinds = np.asarray(classes, np.int64) * 1000
    return np.column_stack([kinds + row * _GRID[0] + column, kinds + octave, kinds + light])


def _detected(seen: Sequence[tuple[int, Detections]], frames: Sequence[Frame], light: IntArray) -> Objects:
    """Objects as the committee's first detector sees them."""
    at = np.repeat([at for at, _ in seen], [len(found) for _, found in seen]).astype(np.int64)
    boxes = np.concatenate([found.boxes for _, found in seen] or [np.zeros((0, 4))]).reshape(-1, 4)
    classes = np.concatenate([found.classes for _, found in seen] or [np.zeros(0, np.int64)])
    scores = np.concatenate([found.scores for _, found in seen] or [np.zeros(0)])
    sizes = np.array([(frame.width, frame.height) for frame in frames], float)
    return Objects(at, _cells(boxes, classes, sizes[at], light[at]), scores)


def _labelled(
    labels: Sequence[Annotation],
    places: Mapping[str, int],
    frames: Sequence[Frame],
    light: IntArray,
    classes: Sequence[str],
    weights: FloatArray,
) -> Objects:
    at = np.array([places[label.frame_id] for label in labels], np.int64)
    boxes = np.array([label.bbox_xyxy for label in labels], float).reshape(-1, 4)
    kinds = np.array([list(classes).index(label.label) for label in labels], np.int64)
    sizes = np.array([(frame.width, frame.height) for frame in frames], float)
    return Objects(at, _cells(boxes, kinds, sizes[at], light[at]), weights)


def _novel_share(project: Project, labels: Sequence[Annotation]) -> FloatArray:
    """(L,) what each label counts: the near-duplicates of one crop (a parked car on 100 frames) together count as one.

    One each where the last scan has not embedded all of them.
    """
    stored = load_vectors(vectors_path(project, Embedded.CROP))
    if len(labels) < 2 or any(crop_key(label) not in stored for label in labels):
        return np.ones(len(labels))
    vectors = np.stack([stored[crop_key(label)] for label in labels]).astype(np.float32)
    reduced = Reducer.fit(vectors).transform(vectors)
    heads = duplicate_crops(reduced, [label.frame_id for label in labels])
    return np.asarray(1 / np.bincount(heads, minlength=len(labels))[heads])


def _say(
    pick: Pick,
    frames: Sequence[Frame],
    rows: Sequence[tuple[int, int, Detections]],
    classes: Sequence[str],
    bare: bool,
) -> NextFrame:
    """The frame with what spoke for it, most telling first."""
    said = []
    if pick.novelty >= 0.5:
        what = "labelled" if bare else "reviewed"
        said.append((pick.novelty, f"unlike every frame {what} so far ({pick.novelty:.0%} of the farthest)"))
    if pick.doubt >= 0.2:
        said.append((pick.doubt, f"detectors are unsure of it ({pick.doubt:.0%})"))
    if pick.rarest >= 0 and pick.rarity >= 0.2:
        _, row, found = rows[pick.rarest]
        x1, y1, x2, y2 = found.boxes[row].tolist()
        name = classes[int(found.classes[row])]
        said.append(
            (
                pick.rarity,
                f"shows a {name} of {x2 - x1:.0f} x {y2 - y1:.0f} pixels at ({(x1 + x2) / 2:.0f}, {y2:.0f}), "
                f"where place, size or light has {pick.held:.0f} labels",
            )
        )
    text = "; ".join(part for _, part in sorted(said, key=lambda entry: -entry[0]))
    text = text or "the most different of the frames that are left"
    return NextFrame(frames[pick.row].id, text[0].upper() + text[1:] + ".")
