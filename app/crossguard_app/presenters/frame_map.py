"""The embedding map of frames: points, frames that look alike, and taking many frames out or back in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from crossguard_app.components.gallery import Card
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.presenters.maps import map_layout, map_trace
from crossguard_app.presenters.shapes import PALETTE
from curate.annotations import Decision, DecisionKind, Frame
from curate.errors import NotFoundError
from curate.review import decide
from curate.workflows.maps import similar_frames
from curate.workflows.project import Project

__all__ = ["FRAME_COLOURINGS", "alike_frame_cards", "exclude", "frame_figure", "take_back"]

FRAME_COLOURINGS = {"open_issues": "Open issues", "clip": "Recording", "outlier": "Unlike the rest"}
_SCALE = ((0.0, "#7d8b99"), (0.45, "#ff9f45"), (1.0, "#ff4d4d"))
"""Grey where nothing is to be done; every step can be seen on dark and on light ground."""
_UNKNOWN = "#8a94a0"
_PAGE = 1000


def frame_figure(points: pd.DataFrame, colouring: str) -> go.Figure:
    """A scatter plot of frames: one trace per recording, or one in the colours of a number; excluded are crosses."""
    figure = go.Figure()
    if colouring == "clip":
        for index, clip in enumerate(sorted(set(points["clip"]))):
            part = points[points["clip"] == clip]
            figure.add_trace(_frames(part, {"color": PALETTE[index % len(PALETTE)]}, str(clip)))
        return map_layout(figure, colouring)
    known = points[points[colouring].notna()]
    unknown = points[points[colouring].isna()]
    if not unknown.empty:
        figure.add_trace(_frames(unknown, {"color": _UNKNOWN}, "Too few to compare with"))
    if not known.empty:
        scale: dict[str, Any] = {
            "color": known[colouring],
            "colorscale": _SCALE,
            "showscale": True,
            # Leaves the corner to the buttons of the plot.
            "colorbar": {"thickness": 12, "len": 0.86, "y": 0.43},
            "cmin": 0,
            "cmax": 1 if colouring == "outlier" else max(1, int(known[colouring].max())),
        }
        figure.add_trace(_frames(known, scale, FRAME_COLOURINGS[colouring]))
    return map_layout(figure, colouring).update_layout(showlegend=not unknown.empty)


def _frames(points: pd.DataFrame, marker: dict[str, Any], title: str) -> go.Scattergl:
    symbols = ["x" if excluded else "circle" for excluded in points["excluded"]]
    return map_trace(
        points, points["frame_id"], _texts(points), {"symbol": symbols, "size": 9, **marker}, title
    )


def _texts(points: pd.DataFrame) -> list[str]:
    columns = zip(points["name"], points["labels"], points["open_issues"], points["excluded"], strict=True)
    return [
        f"{name} · {labels} labels · {issues} open issues{' · excluded' if excluded else ''}"
        for name, labels, issues, excluded in columns
    ]


def alike_frame_cards(project: Project, frame_id: str, count: int) -> list[Card]:
    """Thumbnails of the frames most alike to this one, with their similarity; empty when it was not scanned."""
    similar = similar_frames(project, frame_id, count)
    frames = project.store.frames(ids=[alike.id for alike in similar])
    cards = {card.key: card for card in frame_cards(project, frames, project.config.labels.working)}
    words = {alike.id: f"{alike.similarity:.2f}" for alike in similar}
    return [
        # Whether it counts matters more than the second decimal.
        card if (card := cards[key]).badge else replace(card, badge=text)
        for key, text in words.items()
        if key in cards
    ]


def exclude(project: Project, frames: Sequence[Frame], reviewer: str) -> list[str]:
    """Take those of the frames that still count out of training and scanning: all of them, or none.

    Returns:
        The decisions' ids, in order.

    Raises:
        ConflictError: One of them was excluded in the meantime.
    """
    made = []
    with project.store.begin():
        for frame in frames:
            if frame.excluded:
                continue
            decision = Decision(
                uuid.uuid4().hex,
                DecisionKind.EXCLUDE_FRAME,
                reviewer,
                frame_id=frame.id,
                note="embedding map",
            )
            decide(project.store, decision)
            made.append(decision.id)
    return made


def take_back(project: Project, frames: Sequence[Frame], reviewer: str) -> list[str]:
    """Undo the decisions that took these frames out: all of them, or none.

    Returns:
        The ids of the undos, in order: one for each decision, which may have taken several frames out.

    Raises:
        NotFoundError: No decision took one of the frames out.
        ConflictError: Somebody built on one of the decisions since.
    """
    wanted = {frame.id for frame in frames if frame.excluded}
    made = []
    with project.store.begin():
        for decision_id in _that_excluded(project, wanted):
            undo = Decision(
                uuid.uuid4().hex, DecisionKind.UNDO, reviewer, undoes=decision_id, note="embedding map"
            )
            decide(project.store, undo)
            made.append(undo.id)
    return made


def _that_excluded(project: Project, frame_ids: set[str]) -> list[str]:
    """The standing decisions that took the frames out, newest first."""
    left, result = set(frame_ids), []
    after: int | None = None
    while left and (page := project.store.decisions(limit=_PAGE, after=after)):
        for record in page:
            taken_out = {effect.frame_id for effect in record.effects.frames if effect.after}
            # An undo that was undone is no decision of its own: the one at the bottom stands again.
            if record.decision.kind is DecisionKind.UNDO or record.undone_by or not taken_out & left:
                continue
            left -= taken_out
            result.append(record.decision.id)
        after = page[-1].sequence
    if left:
        raise NotFoundError("no decision took this frame out", item=f"frame {min(left)}")
    return result
