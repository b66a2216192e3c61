"""The embedding map of crops: points, the crops behind a selection, and acting on many labels at once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from crossguard_app.components.cloud import UNKNOWN, Category, Hover, Layer, PointCloud
from crossguard_app.components.gallery import Card, Picture, Shape
from crossguard_app.presenters.shapes import PALETTE, class_colors
from crossguard_app.presenters.wording import TITLES
from crossguard_app.resources import image_url
from curate.annotations import Annotation, Decision, DecisionKind, Frame, IssueType
from curate.review import decide
from curate.types import BoxTuple, FloatArray, IntArray
from curate.workflows.maps import similar_crops
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = [
    "QUIET",
    "SCALE",
    "act_on",
    "alike_crop_cards",
    "category_layer",
    "chosen_labels",
    "cloud_token",
    "crop_cards",
    "crop_cloud",
    "fold_layer",
    "hover_pictures",
    "scale_layer",
    "undo_all",
]

QUIET = "#8a94a0"
SCALE = ("#7d8b99", "#ff9f45", "#ff4d4d")
"""Grey where nothing is to be done; every step can be seen on dark and on light ground."""
_SCORE = ("#5b5bd6", "#2fa7a0", "#ffd24d")
_MARGIN = 0.25
"""Share of the box's size that a crop shows around it."""


def crop_cloud(project: Project, points: pd.DataFrame) -> PointCloud:
    """The map of labels, coloured by class, open issue, source, fold and score of the source."""
    colors = class_colors(project.config.classes)
    titles = {kind.value: TITLES[kind] for kind in IssueType}
    issue_colors = {kind.value: PALETTE[at % len(PALETTE)] for at, kind in enumerate(IssueType)}
    layers = (
        category_layer("label", "Class", points["label"], colors),
        category_layer("issue", "Open issue", points["issue_type"], issue_colors, titles, "No open issue"),
        category_layer("source", "Source", points["source"], {}),
        fold_layer(points["fold"]),
        scale_layer("score", "Score", points["score"], 0.0, 1.0, _SCORE),
    )
    boxes = points[["x1", "y1", "x2", "y2"]].to_numpy(float)
    return PointCloud(
        token=cloud_token(points["annotation_id"]),
        xy=points[["x", "y"]].to_numpy(float),
        layers=layers,
        crossed=np.zeros(len(points), bool),
        noun="label",
        hover=hover_pictures(points["frame_id"], boxes),
    )


def chosen_labels(points: pd.DataFrame, rows: IntArray, source: str) -> list[Annotation]:
    """The labels behind rows of the map, without their masks, by class and frame: no database is asked."""
    columns = ("annotation_id", "frame_id", "label", "x1", "y1", "x2", "y2", "revision")
    part = points.iloc[rows][list(columns)].sort_values(["label", "frame_id", "annotation_id"])
    return [
        Annotation(str(key), str(frame), str(label), (x1, y1, x2, y2), source=source, revision=int(revision))
        for key, frame, label, x1, y1, x2, y2, revision in part.itertuples(index=False, name=None)
    ]


def cloud_token(ids: Iterable[str]) -> str:
    """Digest of which points there are, in their order."""
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]


def category_layer(
    key: str,
    title: str,
    values: Iterable[str],
    colors: dict[str, str],
    titles: dict[str, str] | None = None,
    nothing: str = "none",
) -> Layer:
    """A layer of names. Known colours are kept; names without one take theirs from the palette in order.

    Args:
        key: See `Layer`.
        title: See `Layer`.
        values: (N,) name of each point, "" for none.
        colors: Name -> colour, in the order of the legend.
        titles: Name -> what a person reads.
        nothing: What "" is called; it is grey.
    """
    found, unique = pd.factorize(np.asarray(values, object))
    present = {str(name) for name in unique}
    names = [name for name in colors if name in present]
    names += sorted(present - set(names) - {""})
    free = [color for color in PALETTE if color not in colors.values()] or list(PALETTE)
    unnamed = [name for name in names if name not in colors]
    chosen = colors | {name: free[at % len(free)] for at, name in enumerate(unnamed)}
    categories = [Category((titles or {}).get(name, name), chosen[name]) for name in names]
    code = {name: at for at, name in enumerate(names)}
    if "" in present or not names:
        code[""] = len(categories)
        categories.append(Category(nothing, QUIET))
    codes = np.array([code[str(name)] for name in unique], np.int64)[found]
    return Layer(key, title, codes, tuple(categories))


def fold_layer(folds: Iterable[int]) -> Layer:
    """The folds of the scan, counted from 1 for a person."""
    numbers, unique = pd.factorize(np.asarray(folds, np.int64))
    names = np.array(["" if fold < 0 else f"Fold {fold + 1}" for fold in unique.tolist()], object)
    return category_layer("fold", "Fold", names[numbers], {}, nothing="In no fold")


def scale_layer(
    key: str,
    title: str,
    values: Iterable[float],
    least: float,
    most: float,
    stops: tuple[str, ...] = SCALE,
    *,
    whole: bool = False,
) -> Layer:
    """A layer of numbers, NaN for unknown."""
    numbers = np.asarray(values, float)
    known = np.isfinite(numbers)
    share = np.clip((np.where(known, numbers, least) - least) / max(most - least, 1e-9), 0, 1)
    codes = np.where(known, np.round(share * 254), UNKNOWN).astype(np.int64)
    return Layer(key, title, codes, stops=stops, least=least, most=most, whole=whole)


def hover_pictures(
    frame_ids: Sequence[str] | pd.Series[str], boxes: FloatArray | None = None
) -> Hover | None:
    """What shows under the pointer."""
    codes, ids = pd.factorize(np.asarray(frame_ids, object))
    return Hover(tuple(str(frame_id) for frame_id in ids), codes, boxes) if len(ids) else None


def crop_cards(project: Project, annotations: Sequence[Annotation], frames: dict[str, Frame]) -> list[Card]:
    """A cut-out of each label with a little around it."""
    colors = class_colors(project.config.classes)
    cards = []
    for annotation in annotations:
        frame = frames[annotation.frame_id]
        left, top, right, bottom = _around(annotation.bbox_xyxy, frame)
        x1, y1, x2, y2 = annotation.bbox_xyxy
        shape = Shape((x1 - left, y1 - top, x2 - left, y2 - top), colors.get(annotation.label, QUIET))
        url = image_url(project, frame, width=240, box=(left, top, right, bottom))
        picture = Picture(url, right - left, bottom - top, (shape,))
        cards.append(Card(annotation.id, annotation.label, (picture,), note=frame.name))
    return cards


def alike_crop_cards(project: Project, annotation_id: str, count: int) -> list[Card]:
    """Cut-outs of the labels most alike to this one, with their similarity; empty when it was not scanned."""
    similar = similar_crops(project, annotation_id, count)
    wanted = {alike.id for alike in similar}
    found = [a for a in project.store.annotations(source=project.config.labels.working) if a.id in wanted]
    frames = {frame.id: frame for frame in project.store.frames(ids={a.frame_id for a in found})}
    cards = {card.key: card for card in crop_cards(project, found, frames)}
    return [
        replace(cards[alike.id], badge=f"{alike.similarity:.2f}") for alike in similar if alike.id in cards
    ]


def _around(box: BoxTuple, frame: Frame) -> tuple[int, int, int, int]:
    """A square around the box, inside the frame."""
    x1, y1, x2, y2 = box
    side = max(x2 - x1, y2 - y1) * (1 + 2 * _MARGIN)
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, int(cx - side / 2)), max(0, int(cy - side / 2))
    right, bottom = min(frame.width, int(cx + side / 2) + 1), min(frame.height, int(cy + side / 2) + 1)
    return left, top, right, bottom


def act_on(
    project: Project,
    annotations: Sequence[Annotation],
    kind: DecisionKind,
    reviewer: str,
    label: str | None = None,
    reporter: Reporter | None = None,
) -> list[str]:
    """Relabel or delete many labels: all of them, or none when one is refused.

    Returns:
        The decisions' ids, in order.

    Raises:
        ConflictError: One of them was changed in the meantime.
    """
    report = reporter or Quiet()
    made = []
    with project.store.begin():
        for done, annotation in enumerate(annotations):
            if kind is DecisionKind.RELABEL and annotation.label == label:
                continue
            decision = Decision(
                uuid.uuid4().hex,
                kind,
                reviewer,
                annotation_id=annotation.id,
                label=label,
                expected_revision=annotation.revision,
                note="embedding map",
            )
            decide(project.store, decision, classes=project.config.classes)
            made.append(decision.id)
            report.update((done + 1) / len(annotations), f"label {done + 1} of {len(annotations)}")
    return made


def undo_all(
    project: Project, decision_ids: Sequence[str], reviewer: str, reporter: Reporter | None = None
) -> None:
    """Take decisions back, the last one first; all or none.

    Raises:
        ConflictError: Somebody built on one of them since.
    """
    report = reporter or Quiet()
    with project.store.begin():
        for done, decision_id in enumerate(reversed(decision_ids)):
            decide(project.store, Decision(uuid.uuid4().hex, DecisionKind.UNDO, reviewer, undoes=decision_id))
            report.update((done + 1) / len(decision_ids), f"{done + 1} of {len(decision_ids)} taken back")
