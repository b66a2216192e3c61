"""The map of whole frames: draw around some, take them out or back in, send them to the queue, see what is alike."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from crossguard_app.components.cloud import PackedCloud
from crossguard_app.components.gallery import Card
from crossguard_app.presenters.frame_map import alike_frame_cards, exclude, frame_cloud, take_back
from crossguard_app.presenters.frames import frame_cards
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
from curate.annotations import Frame
from curate.workflows.embedding_store import Embedded
from curate.workflows.picked import send_frames
from curate.workflows.project import Project

__all__ = ["frames_part"]


def _map(project: Project, version: str) -> tuple[pd.DataFrame, PackedCloud]:
    from curate.workflows.maps import frame_map

    def make(_: object) -> tuple[pd.DataFrame, PackedCloud]:
        points = frame_map(current_project())
        return points, frame_cloud(points).packed()

    return computed("frame-map", str(project.root), version, "Laying out the map of frames", make)


def frames_part(project: Project) -> bool:
    """Draw the map and what is chosen on it; False when there is none yet."""
    version = stamp(project, Embedded.FRAME)
    points, cloud = _map(project, version)
    if points.empty:
        return False
    left, right = st.columns([1.7, 1], gap="medium")
    with left:
        rows = chart("frame-map", cloud)
    with right, st.container(key="map-panel"):
        report()
        _panel(project, points["frame_id"].iloc[rows].tolist(), points)
    return True


def _panel(project: Project, ids: list[str], points: pd.DataFrame) -> None:
    if not ids:
        out = int(points["excluded"].sum())
        hint_panel(
            "Nothing chosen",
            "Draw around frames that you do not want to train on (rain on the lens, a parked truck in front): what "
            "you choose is listed here, to exclude, to take back in or to send to the queue.",
            [
                f"{len(points):,} frames, {out:,} of them excluded (crosses)",
                "Unlike the rest: dusk, rain, a moved camera",
            ],
        )
        return
    frames = {frame.id: frame for frame in project.store.frames(ids=ids)}
    ordered = [key for key in ids if key in frames]
    head = st.container()

    def cards(part: Sequence[str]) -> list[Card]:
        return frame_cards(project, [frames[key] for key in part], project.config.labels.working)

    kept = chosen_cards("frame-list", ordered, cards, size=150)
    with head:
        _actions(project, [frames[key] for key in ordered if key in kept], len(ordered))
    if len(kept) == 1:
        alike("map-alike", alike_frame_cards(project, kept.pop(), ALIKE), "walk-frames", size=150)


def _changes(project: Project, chosen: list[Frame]) -> None:
    out = [frame for frame in chosen if frame.excluded]
    counted = len(chosen) - len(out)
    if st.button("Exclude", type="primary", disabled=not counted, icon=":material/block:"):
        act("Excluding", lambda bar: exclude(project, chosen, reviewer(), bar), "frame", "excluded")
    if st.button("Take back in", disabled=not out, icon=":material/undo:"):
        act("Taking back in", lambda _: take_back(project, chosen, reviewer()), "exclusion", "taken back")
    if st.button("To the queue", disabled=not counted, icon=":material/checklist:"):
        send(lambda: send_frames(project, [f for f in chosen if not f.excluded], reviewer()), "frame")


def _actions(project: Project, chosen: list[Frame], total: int) -> None:
    count = len(chosen)
    st.subheader(f"{total:,} frame{'' if total == 1 else 's'} chosen", anchor=False)
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
            args=("walk-frames", [frame.id for frame in chosen]),
            icon=":material/edit:",
            help="Go through them in the editor.",
        )
