"""The embedding map of frames: points, frames that look alike, and taking many frames out or back in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from crossguard_app.components.cloud import PointCloud
from crossguard_app.components.gallery import Card
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.presenters.maps import (
    category_layer,
    cloud_token,
    fold_layer,
    hover_pictures,
    scale_layer,
)
from curate.annotations import Decision, DecisionKind, Frame
from curate.errors import NotFoundError
from curate.review import decide
from curate.workflows.maps import similar_frames
from curate.workflows.progress import Quiet, Reporter
from curate.workflows.project import Project

__all__ = ["alike_frame_cards", "exclude", "frame_cloud", "take_back"]

_PAGE = 1000


def frame_cloud(points: pd.DataFrame) -> PointCloud:
    """The map of frames; the excluded are crosses."""
    issues = points["open_issues"].to_numpy(float)
    layers = (
        scale_layer("issues", "Open issues", issues, 0, max(1.0, float(issues.max(initial=0))), whole=True),
        scale_layer("outlier", "Unlike the rest", points["outlier"], 0.0, 1.0),
        category_layer("clip", "Recording", points["clip"], {}),
        category_layer("source", "Labelled by", points["labelled_by"], {}, nothing="Nobody yet"),
        fold_layer(points["fold"]),
    )
    return PointCloud(
        token=cloud_token(points["frame_id"]),
        xy=points[["x", "y"]].to_numpy(float),
        layers=layers,
        crossed=points["excluded"].to_numpy(bool),
        noun="frame",
        hover=hover_pictures(points["frame_id"]),
    )


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


def exclude(
    project: Project, frames: Sequence[Frame], reviewer: str, reporter: Reporter | None = None
) -> list[str]:
    """Take those of the frames that still count out of training and scanning: all of them, or none.

    Returns:
        The decisions' ids, in order.

    Raises:
        ConflictError: One of them was excluded in the meantime.
    """
    report = reporter or Quiet()
    made = []
    with project.store.begin():
        for done, frame in enumerate(frames):
            if frame.excluded:
                continue
            report.update(done / len(frames), f"frame {done + 1} of {len(frames)}")
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
