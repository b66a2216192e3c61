"""Embedding map: labels or frames that look alike lie together; draw around some and act on them."""

from __future__ import annotations

import streamlit as st

from crossguard_app.resources import current_project
from crossguard_app.state import among, remember
from crossguard_app.views.map_crops import crops_part
from crossguard_app.views.map_frames import frames_part
from crossguard_app.views.map_parts import leave
from crossguard_app.views.parts import empty_state, nothing_to_look_at

_PARTS = {"crops": "Crops", "frames": "Frames"}


def page() -> None:
    """Draw the page."""
    leave()
    project = current_project()
    title, switch = st.columns([4, 1], vertical_alignment="center")
    with title:
        st.title("Embedding map", anchor=False)
    with switch, st.container(horizontal=True, horizontal_alignment="right"):
        of = st.segmented_control(
            "Map of",
            list(_PARTS),
            default=among("of", _PARTS, "crops"),
            key="map-of",
            format_func=_PARTS.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
    remember(of=None if of == "crops" else of)
    if nothing_to_look_at(project):
        return
    drawn = frames_part(project) if of == "frames" else crops_part(project)
    if not drawn:
        empty_state(
            "No map yet",
            "A scan looks at every label's crop and every frame; those that look alike lie together on the map.",
            "curate scan",
            way=("Start a scan", "train"),
        )
