"""The queue: one issue after the other, decided by one key each."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from crossguard_app.presenters.queue import QueueFilter, queue_data
from crossguard_app.presenters.wording import TITLES
from crossguard_app.resources import current_project
from crossguard_app.state import query, remember, reviewer, seed
from crossguard_app.views.editing import Editing
from curate.annotations import IssueState, IssueType
from curate.review import review_progress
from curate.workflows.project import Project

_KEY = "queue-editor"
_STATES = {"open": IssueState.OPEN, "skipped": IssueState.SKIPPED, "decided": IssueState.DECIDED}


def _filters(project: Project) -> QueueFilter:
    known = [kind.value for kind in IssueType]
    seed("queue-state", query("state") if query("state") in _STATES else "open")
    seed("queue-types", [name for name in (query("type") or "").split(",") if name in known])
    classes_known = project.config.classes
    seed("queue-classes", [name for name in (query("class") or "").split(",") if name in classes_known])
    state_column, type_column, label_column = st.columns([1.2, 2, 2], vertical_alignment="bottom")
    hidden: Literal["collapsed"] = "collapsed"
    with state_column:
        state = st.segmented_control(
            "State",
            list(_STATES),
            key="queue-state",
            format_func=str.capitalize,
            required=True,
            label_visibility=hidden,
        )
    with type_column:
        types = st.multiselect(
            "Types",
            known,
            key="queue-types",
            format_func=lambda name: TITLES[IssueType(name)],
            placeholder="All types of issues",
            label_visibility=hidden,
        )
    with label_column:
        classes = st.multiselect(
            "Classes",
            classes_known,
            key="queue-classes",
            placeholder="All classes",
            label_visibility=hidden,
        )
    remember(state=None if state == "open" else state, type=",".join(types) or None)
    remember(**{"class": ",".join(classes) or None})
    return QueueFilter(_STATES[state or "open"], tuple(IssueType(name) for name in types), tuple(classes))


def _progress(project: Project) -> None:
    progress = review_progress(project.store, reviewer())
    done = progress.corrected + progress.kept
    parts = [f"**{progress.open}** open", f"**{done}** decided"]
    parts.append(f"about **{progress.expected:.0f}** errors left")
    if progress.precision is not None:
        parts.append(f"**{progress.precision:.0%}** of the decided were errors")
    if progress.seconds_per_decision:
        parts.append(f"{progress.seconds_per_decision:.1f} s per decision")
    st.markdown(" &nbsp;·&nbsp; ".join(parts))


def _bench(queue: QueueFilter) -> None:
    project = current_project()
    editing = Editing(project, _KEY)
    reopened = editing.reopened()
    if reopened:
        st.session_state["queue-token"] = f"{queue.token}#{reopened}#{st.session_state.get('queue-turn', 0)}"
        st.session_state["queue-turn"] = st.session_state.get("queue-turn", 0) + 1
    elif not str(st.session_state.get("queue-token", "")).startswith(queue.token):
        st.session_state["queue-token"] = queue.token
        st.session_state["queue-wanted"] = query("issue")
    wanted = reopened or st.session_state.get("queue-wanted")
    current = editing.current
    if current:
        remember(issue=current)
    with st.container(key="progress-line"):
        _progress(project)
    editing.show(
        lambda sync: queue_data(
            project,
            queue,
            sync,
            current=current,
            wanted=wanted,
            token=st.session_state["queue-token"],
            reviewer=reviewer(),
        )
    )


def page() -> None:
    """Draw the page."""
    project = current_project()
    with st.container(key="filters"):
        queue = _filters(project)
    _bench(queue)
