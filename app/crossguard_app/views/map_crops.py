"""The map of label crops: draw around some, relabel or delete them, send them to the queue, see what is alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pandas as pd
import streamlit as st

from crossguard_app.components.cloud import PackedCloud
from crossguard_app.components.gallery import Card
from crossguard_app.presenters.maps import act_on, alike_crop_cards, chosen_labels, crop_cards, crop_cloud
from crossguard_app.resources import current_project
from crossguard_app.state import may_change, reviewer
from crossguard_app.views.map_parts import (
    ALIKE,
    act,
    alike,
    chart,
    chosen_cards,
    report,
    send,
    stamp,
    walk,
)
from crossguard_app.views.parts import hint_panel
from crossguard_app.views.working import computed
from curate.annotations import Annotation, DecisionKind
from curate.types import IntArray
from curate.workflows.crop_map import CropMap, map_now
from curate.workflows.embedding_store import Embedded
from curate.workflows.picked import send_labels
from curate.workflows.project import Project

__all__ = ["crops_part"]

_known: dict[str, CropMap] = {}


def _map(project: Project, version: str) -> tuple[pd.DataFrame, PackedCloud]:
    def make(_: object) -> tuple[pd.DataFrame, PackedCloud]:
        # One at a time, as `computed` has it; after a decision only what it changed is read.
        where = project.store.where
        _known[where] = map_now(current_project(), _known.get(where))
        points = _known[where].points
        return points, crop_cloud(project, points).packed()

    return computed("crop-map", str(project.root), version, "Laying out the map of labels", make)


def crops_part(project: Project) -> bool:
    """Draw the map and what is chosen on it; False when there is none yet."""
    version = stamp(project, Embedded.CROP)
    points, cloud = _map(project, version)
    if points.empty:
        return False
    left, right = st.columns([1.7, 1], gap="medium")
    with left:
        rows = chart("crop-map", cloud)
    with right, st.container(key="map-panel"):
        report()
        _panel(project, rows, points)
    return True


def _panel(project: Project, rows: IntArray, points: pd.DataFrame) -> None:
    if not len(rows):
        flagged = int((points["issue_type"] != "").sum())
        hint_panel(
            "Nothing chosen",
            "Draw around a group that looks wrong: what you choose is listed here, to relabel, to delete or to "
            "send to the queue. Everything can be undone.",
            [
                f"{len(points):,} labels, {flagged:,} of them with an open issue",
                "Far from its own colour: look there first",
            ],
        )
        return
    found = {a.id: a for a in chosen_labels(points, rows, project.config.labels.working)}
    ordered = list(found)
    head = st.container()

    def cards(part: Sequence[str]) -> list[Card]:
        shown = [found[key] for key in part]
        frames = {frame.id: frame for frame in project.store.frames(ids={a.frame_id for a in shown})}
        return crop_cards(project, shown, frames)

    kept = chosen_cards("crop-list", ordered, cards, size=96)
    with head:
        _actions(project, [found[key] for key in ordered if key in kept], len(ordered))
    if len(kept) == 1:
        alike("map-alike", alike_crop_cards(project, kept.pop(), ALIKE), "walk", size=110)


def _changes(project: Project, chosen: list[Annotation]) -> None:
    none = not chosen
    change = partial(act_on, project, chosen, reviewer=reviewer())
    label = st.selectbox("New class", project.config.classes, width=130, label_visibility="collapsed")
    if st.button("Relabel", type="primary", disabled=none, icon=":material/sell:"):
        act(
            "Relabelling",
            lambda report: change(kind=DecisionKind.RELABEL, label=label, reporter=report),
            "label",
            f"now {label}",
        )
    if st.button(
        "Delete",
        disabled=none,
        icon=":material/delete:",
        help="Deletes the labels; Undo brings them back.",
    ):
        act(
            "Deleting",
            lambda report: change(kind=DecisionKind.DELETE_LABEL, reporter=report),
            "label",
            "deleted",
        )
    if st.button("To the queue", disabled=none, icon=":material/checklist:"):
        send(lambda: send_labels(project, chosen, reviewer()), "label")


def _actions(project: Project, chosen: list[Annotation], total: int) -> None:
    count = len(chosen)
    st.subheader(f"{total:,} label{'' if total == 1 else 's'} chosen", anchor=False)
    st.caption(
        "Click a picture to leave it out."
        if count == total
        else f"{total - count} left out, {count:,} to act on."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if may_change():
            _changes(project, chosen)
        st.button(
            "Edit" if may_change() else "Look",
            disabled=not chosen,
            on_click=walk,
            args=("walk", [annotation.id for annotation in chosen]),
            icon=":material/edit:",
            help="Go through them in the editor.",
        )
