"""The queue: one issue after the other, decided by one key each."""

from __future__ import annotations

import streamlit as st

from crossguard_app.presenters.queue import queue_data
from crossguard_app.presenters.queue_filter import QueueFilter
from crossguard_app.resources import current_project
from crossguard_app.state import query, remember, reviewer
from crossguard_app.views.editing import Editing
from crossguard_app.views.queue_filters import queue_filter
from crossguard_app.views.working import computed
from curate.workflows.issue_table import issue_table, table_stamp

_KEY = "queue-editor"


def _bench(queue: QueueFilter) -> None:
    project = current_project()
    editing = Editing(project, _KEY)
    reopened = editing.reopened()
    if reopened:
        st.session_state["queue-token"] = f"{queue.token}#{reopened}#{st.session_state.get('queue-turn', 0)}"
        st.session_state["queue-turn"] = st.session_state.get("queue-turn", 0) + 1
    elif str(st.session_state.get("queue-token", "")).partition("#")[0] != queue.token:
        st.session_state["queue-token"] = queue.token
        st.session_state["queue-wanted"] = query("issue")
    wanted = reopened or st.session_state.get("queue-wanted")
    current = editing.current
    if current:
        remember(issue=current)
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
        queue = queue_filter(project)
    if queue.reads_all:  # Here, so that the page says what it waits for; the presenter finds it made.
        computed(
            "issue-table",
            str(project.root),
            table_stamp(project),
            "Reading the issues for this filter",
            lambda report: issue_table(project, report),
        )
    _bench(queue)
