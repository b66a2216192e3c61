"""The row of filters above the queue; what is set stands in the address of the page."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from crossguard_app.presenters.queue_filter import QueueFilter, author_names, slice_names
from crossguard_app.presenters.wording import TITLES
from crossguard_app.state import query, remember, seed
from curate.annotations import IssueState, IssueType
from curate.workflows.project import Project

__all__ = ["queue_filter"]

_STATES = {"open": IssueState.OPEN, "skipped": IssueState.SKIPPED, "decided": IssueState.DECIDED}
_HIDDEN: Literal["collapsed"] = "collapsed"
_KEYS = ("queue-clip", "queue-slice", "queue-author", "queue-probability")


def queue_filter(project: Project) -> QueueFilter:
    """Draw the filters; what is chosen."""
    _seed(project)
    columns = st.columns([1.6, 1.7, 1.4, 0.95], vertical_alignment="bottom")
    with columns[0]:
        state = st.segmented_control(
            "State",
            list(_STATES),
            key="queue-state",
            format_func=str.capitalize,
            required=True,
            label_visibility=_HIDDEN,
        )
    with columns[1]:
        types = st.multiselect(
            "Types",
            [kind.value for kind in IssueType],
            key="queue-types",
            format_func=lambda name: TITLES[IssueType(name)],
            placeholder="All types of issues",
            label_visibility=_HIDDEN,
        )
    with columns[2]:
        labels = st.multiselect(
            "Classes",
            project.config.classes,
            key="queue-classes",
            placeholder="All classes",
            label_visibility=_HIDDEN,
        )
    with columns[3]:
        clip, part, author, low, high = _more(project)
    remember(state=None if state == "open" else state, type=",".join(types) or None)
    remember(**{"class": ",".join(labels) or None}, clip=clip, slice=part, by=author)
    remember(p=None if (low, high) == (0, 100) else f"{low}-{high}")
    return QueueFilter(
        _STATES[state or "open"],
        tuple(IssueType(name) for name in types),
        tuple(labels),
        clip,
        (low / 100, high / 100),
        part,
        author,
    )


def _seed(project: Project) -> None:
    known = [kind.value for kind in IssueType]
    seed("queue-state", query("state") if query("state") in _STATES else "open")
    seed("queue-types", [name for name in (query("type") or "").split(",") if name in known])
    classes = project.config.classes
    seed("queue-classes", [name for name in (query("class") or "").split(",") if name in classes])
    seed("queue-clip", query("clip"))
    seed("queue-slice", query("slice") if query("slice") in slice_names(project) else None)
    seed("queue-author", query("by") if query("by") in author_names(project) else None)
    seed("queue-probability", _percents(query("p")))


def _percents(text: str | None) -> tuple[int, int]:
    low, _, high = (text or "").partition("-")
    if low.isdecimal() and high.isdecimal() and 0 <= int(low) <= int(high) <= 100:
        return int(low), int(high)
    return 0, 100


def _more(project: Project) -> tuple[str | None, str | None, str | None, int, int]:
    """Recording, slice, author and probability, behind one button that says how many of them are set."""
    state = st.session_state
    number = sum(state[key] is not None for key in ("queue-clip", "queue-slice", "queue-author"))
    number += tuple(state["queue-probability"]) != (0, 100)
    with st.popover(f"More filters ({number})" if number else "More filters", width="stretch"):
        clips = project.store.clips()
        if state["queue-clip"] not in clips:
            state["queue-clip"] = None
        clip = st.selectbox("Recording", clips, key="queue-clip", placeholder="All recordings")
        names = slice_names(project)
        part = None
        if names:
            part = st.selectbox(
                "Slice",
                names,
                key="queue-slice",
                placeholder="Everywhere",
                help="Slices of site.yaml.",
            )
        else:
            st.caption("`slices` of site.yaml would stand here: parts of the place, small or hidden objects.")
        authors = author_names(project)
        if state["queue-author"] not in authors:
            state["queue-author"] = None
        author = st.selectbox(
            "Label as written by",
            authors,
            key="queue-author",
            placeholder="Anybody",
            help="The label source, or the person who changed it last.",
        )
        st.slider("Probability of an error, %", 0, 100, key="queue-probability")
        st.button("Clear", on_click=_clear, disabled=not number)
    low, high = state["queue-probability"]
    return clip, part, author, int(low), int(high)


def _clear() -> None:
    for key in _KEYS:
        st.session_state[key] = (0, 100) if key == "queue-probability" else None
