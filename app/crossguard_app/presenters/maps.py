"""The embedding map of crops: points, the crops behind a selection, and acting on many labels at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from crossguard_app.components.gallery import Card, Picture, Shape
from crossguard_app.presenters.shapes import PALETTE, class_colors
from crossguard_app.presenters.wording import TITLES
from crossguard_app.resources import image_url
from curate.annotations import Annotation, Decision, DecisionKind, Frame, IssueType
from curate.review import decide
from curate.types import BoxTuple
from curate.workflows.maps import similar_crops
from curate.workflows.project import Project

__all__ = [
    "COLOURINGS",
    "act_on",
    "alike_crop_cards",
    "crop_cards",
    "map_figure",
    "map_layout",
    "map_trace",
    "thinned",
    "undo_all",
]

COLOURINGS = {"label": "Class", "issue_type": "Issue", "score": "Score of the source"}
MAX_POINTS = 5000
"""More than this and the browser's lasso is no longer fluid."""
_QUIET = "#8a94a0"
_MARGIN = 0.25
"""Share of the box's size that a crop shows around it."""


def thinned(points: pd.DataFrame, issues: str = "issue_type") -> pd.DataFrame:
    """At most `MAX_POINTS` rows: those with an issue first, the rest drawn at random but always the same.

    Args:
        points: The map.
        issues: The column that says whether there is an issue.
    """
    if len(points) <= MAX_POINTS:
        return points
    order = np.random.default_rng(0).random(len(points)) - points[issues].astype(bool).to_numpy() * 2.0
    return points.iloc[np.sort(np.argsort(order, kind="stable")[:MAX_POINTS])]


def map_figure(points: pd.DataFrame, colouring: str, classes: Sequence[str]) -> go.Figure:
    """A scatter plot: one trace per class or type of issue, or one in the colours of the score."""
    figure = go.Figure()
    if colouring == "score":
        figure.add_trace(
            _crops(points, {"color": points["score"], "colorscale": "Viridis", "showscale": True})
        )
    else:
        values = points[colouring].astype(str)
        names = list(classes) if colouring == "label" else []
        names += sorted(set(values) - set(names))
        for index, name in enumerate(names):
            part = points[values == name]
            if not part.empty:
                color = PALETTE[index % len(PALETTE)] if name else _QUIET
                figure.add_trace(_crops(part, {"color": color}, _value_title(colouring, name)))
    return map_layout(figure, colouring)


def map_layout(figure: go.Figure, revision: str) -> go.Figure:
    """The look that the maps share; zoom and pan stay while `revision` does."""
    axis = {"visible": False}
    figure.update_layout(
        xaxis=axis,
        yaxis=axis | {"scaleanchor": "x"},
        dragmode="lasso",
        height=620,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        uirevision=revision,
    )
    return figure


def _crops(points: pd.DataFrame, marker: dict[str, Any], title: str = "") -> go.Scattergl:
    return map_trace(points, points["annotation_id"], points["label"].astype(str), marker, title)


def map_trace(
    points: pd.DataFrame,
    ids: Iterable[str],
    texts: Iterable[str],
    marker: dict[str, Any],
    title: str = "",
) -> go.Scattergl:
    """Points of the map with what a selection gives back (`ids`) and what is read over them (`texts`)."""
    return go.Scattergl(
        x=points["x"],
        y=points["y"],
        mode="markers",
        # Plotly reads some HTML in names and hover texts.
        name=_plain(title),
        customdata=list(ids),
        text=[_plain(text) for text in texts],
        hovertemplate="%{text}<extra></extra>",
        marker={"size": 6, "opacity": 0.78, **marker},
    )


def _value_title(colouring: str, name: str) -> str:
    if colouring != "issue_type":
        return name
    return TITLES[IssueType(name)] if name else "No open issue"


def _plain(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def crop_cards(project: Project, annotations: Sequence[Annotation], frames: dict[str, Frame]) -> list[Card]:
    """A cut-out of each label with a little around it."""
    colors = class_colors(project.config.classes)
    cards = []
    for annotation in annotations:
        frame = frames[annotation.frame_id]
        left, top, right, bottom = _around(annotation.bbox_xyxy, frame)
        x1, y1, x2, y2 = annotation.bbox_xyxy
        shape = Shape((x1 - left, y1 - top, x2 - left, y2 - top), colors.get(annotation.label, _QUIET))
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
) -> list[str]:
    """Relabel or delete many labels: all of them, or none when one is refused.

    Returns:
        The decisions' ids, in order.

    Raises:
        ConflictError: One of them was changed in the meantime.
    """
    made = []
    with project.store.begin():
        for annotation in annotations:
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
    return made


def undo_all(project: Project, decision_ids: Sequence[str], reviewer: str) -> None:
    """Take decisions back, the last one first; all or none."""
    with project.store.begin():
        for decision_id in reversed(decision_ids):
            decide(project.store, Decision(uuid.uuid4().hex, DecisionKind.UNDO, reviewer, undoes=decision_id))
