"""The map of label crops: draw around some, relabel or delete them, see what is most alike."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.maps import (
    COLOURINGS,
    act_on,
    alike_crop_cards,
    crop_cards,
    map_figure,
    thinned,
)
from crossguard_app.resources import current_project
from crossguard_app.state import query, remember, reviewer, seed
from crossguard_app.views.map_parts import ALIKE, SHOWN, act, alike, chart, report, stamp, walk
from curate.annotations import Annotation, DecisionKind
from curate.workflows.embedding_store import Embedded
from curate.workflows.project import Project

__all__ = ["crops_part"]


@st.cache_data(max_entries=4, show_spinner="Laying out the map …")
def _points(root: str, stamp: str) -> pd.DataFrame:
    """The layout; `root` and `stamp` say when it is another one."""
    from curate.workflows.maps import embedding_map

    return embedding_map(current_project())


def crops_part(project: Project) -> bool:
    """Draw the map and what is selected on it; False when there is none yet."""
    points = _points(str(project.root), stamp(project, Embedded.CROP))
    if points.empty:
        return False
    seed("map-colour", query("colour") if query("colour") in COLOURINGS else "label")
    shown = thinned(points)
    head, note = st.columns([2, 3], vertical_alignment="center")
    with head:
        colouring = st.segmented_control(
            "Colour by",
            list(COLOURINGS),
            key="map-colour",
            format_func=COLOURINGS.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
    with note:
        part = "" if len(shown) == len(points) else f", {len(shown):,} of them drawn"
        st.caption(f"{len(points):,} labels{part}. Draw around some, or click one; double-click lets go.")
    remember(colour=None if colouring == "label" else colouring)
    report()
    _selection(project, chart("map", map_figure(shown, colouring or "label", project.config.classes)))
    return True


def _selection(project: Project, ids: list[str]) -> None:
    if not ids:
        return
    wanted = set(ids)
    source = project.config.labels.working
    found = [a for a in project.store.annotations(source=source) if a.id in wanted]
    if not found:
        st.caption("These labels are gone by now.")
        return
    frames = {frame.id: frame for frame in project.store.frames(ids={a.frame_id for a in found})}
    st.subheader(f"{len(found):,} label{'' if len(found) == 1 else 's'}", anchor=False)
    if len(found) > SHOWN:
        st.caption(f"The first {SHOWN} are shown and acted on; draw around fewer to reach the others.")
    shown = sorted(found, key=lambda a: (a.label, a.frame_id))[:SHOWN]
    actions = st.container()
    chosen = set(gallery("map-crops", crop_cards(project, shown, frames), mode="select", size=120))
    with actions:
        _actions(project, [annotation for annotation in shown if annotation.id in chosen])
    if len(chosen) == 1:
        alike("map-alike", alike_crop_cards(project, chosen.pop(), ALIKE), "walk", size=120)


def _actions(project: Project, chosen: list[Annotation]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("New class", project.config.classes, width=190)
        none = not chosen
        count = len(chosen)
        change = partial(act_on, project, chosen, reviewer=reviewer())
        st.button(
            f"Relabel {count}",
            type="primary",
            disabled=none,
            on_click=act,
            args=(partial(change, kind=DecisionKind.RELABEL, label=label), "label", f"now {label}"),
        )
        st.button(
            f"Delete {count}",
            disabled=none,
            on_click=act,
            args=(partial(change, kind=DecisionKind.DELETE_LABEL), "label", "deleted"),
        )
        st.button(
            f"Go through {count} in the editor",
            disabled=none,
            on_click=walk,
            args=("walk", [annotation.id for annotation in chosen]),
            icon=":material/checklist:",
        )
