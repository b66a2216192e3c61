"""The map of whole frames: draw around some, take them out or back in, see what is most alike."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.frame_map import (
    FRAME_COLOURINGS,
    alike_frame_cards,
    exclude,
    frame_figure,
    take_back,
)
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.presenters.maps import thinned
from crossguard_app.resources import current_project
from crossguard_app.state import query, remember, reviewer, seed
from crossguard_app.views.map_parts import ALIKE, SHOWN, act, alike, chart, report, stamp, walk
from curate.annotations import Frame
from curate.workflows.embedding_store import Embedded
from curate.workflows.project import Project

__all__ = ["frames_part"]


@st.cache_data(max_entries=4, show_spinner="Laying out the map …")
def _points(root: str, stamp: str) -> pd.DataFrame:
    """The layout; `root` and `stamp` say when it is another one."""
    from curate.workflows.maps import frame_map

    return frame_map(current_project())


def frames_part(project: Project) -> bool:
    """Draw the map and what is selected on it; False when there is none yet."""
    points = _points(str(project.root), stamp(project, Embedded.FRAME))
    if points.empty:
        return False
    seed("frame-map-colour", query("colour") if query("colour") in FRAME_COLOURINGS else "open_issues")
    shown = thinned(points, "open_issues")
    head, note = st.columns([2, 3], vertical_alignment="center")
    with head:
        colouring = st.segmented_control(
            "Colour by",
            list(FRAME_COLOURINGS),
            key="frame-map-colour",
            format_func=FRAME_COLOURINGS.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
    with note:
        part = "" if len(shown) == len(points) else f", {len(shown):,} of them drawn"
        out = int(points["excluded"].sum())
        crosses = f", {out:,} excluded (crosses)" if out else ""
        st.caption(
            f"{len(points):,} frames{crosses}{part}. Draw around some, or click one; double-click lets go."
        )
    remember(colour=None if colouring == "open_issues" else colouring)
    report()
    _selection(project, chart("frame-map", frame_figure(shown, colouring or "open_issues")))
    return True


def _selection(project: Project, ids: list[str]) -> None:
    if not ids:
        return
    found = project.store.frames(ids=ids)
    st.subheader(f"{len(found):,} frame{'' if len(found) == 1 else 's'}", anchor=False)
    if len(found) > SHOWN:
        st.caption(f"The first {SHOWN} are shown and acted on; draw around fewer to reach the others.")
    shown = found[:SHOWN]
    actions = st.container()
    cards = frame_cards(project, shown, project.config.labels.working)
    chosen = set(gallery("map-frames", cards, mode="select", size=190))
    with actions:
        _actions(project, [frame for frame in shown if frame.id in chosen])
    if len(chosen) == 1:
        alike("map-alike", alike_frame_cards(project, chosen.pop(), ALIKE), "walk-frames", size=190)


def _actions(project: Project, chosen: list[Frame]) -> None:
    out = [frame for frame in chosen if frame.excluded]
    counted = len(chosen) - len(out)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            f"Exclude {counted}",
            type="primary",
            disabled=not counted,
            on_click=act,
            args=(partial(exclude, project, chosen, reviewer()), "frame", "excluded"),
        )
        st.button(
            f"Take {len(out)} back in",
            disabled=not out,
            on_click=act,
            args=(partial(take_back, project, chosen, reviewer()), "exclusion", "taken back"),
        )
        st.button(
            f"Go through {len(chosen)} in the editor",
            disabled=not chosen,
            on_click=walk,
            args=("walk-frames", [frame.id for frame in chosen]),
            icon=":material/checklist:",
        )
