"""The row of filters above the queue; what is set stands in the address of the page."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from crossguard_app.presenters.queue_filter import QueueFilter, author_names, slice_names
from crossguard_app.presenters.wording import TITLES
from crossguard_app.state import among, index_of, query, remember, several, whole
from curate.annotations import IssueState, IssueType
from curate.workflows.project import Project

__all__ = ["queue_filter"]

_STATES = {"open": IssueState.OPEN, "skipped": IssueState.SKIPPED, "decided": IssueState.DECIDED}
_HIDDEN: Literal["collapsed"] = "collapsed"
_CLEARED = "queue-filters-cleared"


def queue_filter(project: Project) -> QueueFilter:
    """Draw the filters; what is chosen."""
    kinds = [kind.value for kind in IssueType]
    classes = project.config.classes
    columns = st.columns([1.6, 1.7, 1.4, 0.95], vertical_alignment="bottom")
    with columns[0]:
        state = st.segmented_control(
            "State",
            list(_STATES),
            default=among("state", _STATES, "open"),
            key="queue-state",
            format_func=str.capitalize,
            required=True,
            label_visibility=_HIDDEN,
        )
    with columns[1]:
        types = st.multiselect(
            "Types",
            kinds,
            several("type", kinds),
            key="queue-types",
            format_func=lambda name: TITLES[IssueType(name)],
            placeholder="All types of issues",
            label_visibility=_HIDDEN,
        )
    with columns[2]:
        labels = st.multiselect(
            "Classes",
            classes,
            several("class", classes),
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


def _percents(text: str | None) -> tuple[int, int]:
    first, _, last = (text or "").partition("-")
    low, high = whole(first, 0, 100), whole(last, 0, 100)
    return (low, high) if low is not None and high is not None and low <= high else (0, 100)


def _more(project: Project) -> tuple[str | None, str | None, str | None, int, int]:
    """Recording, slice, author and probability, behind one button that says how many of them are set."""
    clips, names, authors = project.store.clips(), slice_names(project), author_names(project)
    lists = {"clip": clips, "slice": names, "author": authors}
    addresses = {"clip": "clip", "slice": "slice", "author": "by"}
    turn = st.session_state.get(_CLEARED, 0)  # cleared filters are other widgets: the browser cannot hold on
    keys = {name: f"queue-{name}-{turn}" for name in (*lists, "probability")}
    first = {name: index_of(lists[name], query(addresses[name])) for name in lists}
    state = st.session_state
    chosen = [state.get(keys[name], first[name]) for name in lists]
    number = sum(value is not None for value in chosen)
    number += tuple(state.get(keys["probability"], _percents(query("p")))) != (0, 100)
    with st.popover(f"More filters ({number})" if number else "More filters", width="stretch"):
        clip = st.selectbox("Recording", clips, first["clip"], key=keys["clip"], placeholder="All recordings")
        part = None
        if names:
            part = st.selectbox(
                "Slice",
                names,
                first["slice"],
                key=keys["slice"],
                placeholder="Everywhere",
                help="Slices of site.yaml.",
            )
        else:
            st.caption("`slices` of site.yaml would stand here: parts of the place, small or hidden objects.")
        author = st.selectbox(
            "Label as written by",
            authors,
            first["author"],
            key=keys["author"],
            placeholder="Anybody",
            help="The label source, or the person who changed it last.",
        )
        low, high = st.slider(
            "Probability of an error, %", 0, 100, _percents(query("p")), key=keys["probability"]
        )
        st.button("Clear", on_click=_clear, disabled=not number)
    return clip, part, author, int(low), int(high)


def _clear() -> None:
    st.session_state[_CLEARED] = st.session_state.get(_CLEARED, 0) + 1
    remember(clip=None, slice=None, by=None, p=None)
