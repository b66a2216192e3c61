"""Which frames to label next: the search in a worker process, and the way into the editor with what it found."""

from __future__ import annotations

import time
from dataclasses import replace

import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.state import may_change
from crossguard_app.views.map_parts import walk
from crossguard_app.views.parts import ago, job_line
from crossguard_app.views.run_jobs import ACTIVE, wait_for
from curate.store import Job, JobState
from curate.workflows.jobs import start_job
from curate.workflows.project import Project

__all__ = ["choose_next", "is_choosing", "reasons_to_label"]

_NEXT = "label_next"


def reasons_to_label(project: Project) -> dict[str, str]:
    """Frame id -> why it was chosen by the last search; empty when there was none."""
    jobs = project.store.jobs(kinds=(_NEXT,), limit=1)
    return dict((jobs[0].result or {}).get("frames", ())) if jobs else {}


def is_choosing(project: Project) -> bool:
    """Whether the search is at work."""
    jobs = project.store.jobs(kinds=(_NEXT,), limit=1)
    return bool(jobs) and jobs[0].state in ACTIVE


def choose_next(project: Project) -> None:
    """The button that starts the search, its progress, and what it found: to go through in the editor."""
    jobs = project.store.jobs(kinds=(_NEXT,), limit=1)
    if is_choosing(project):
        wait_for(jobs[0], "label next")
        return
    if may_change():
        with st.container(horizontal=True, vertical_alignment="bottom"):
            count = st.number_input("Frames", 1, 500, 24, width=110, key="next-count")
            if st.button("Choose frames to label next", type="primary", icon=":material/auto_awesome:"):
                start_job(project, _NEXT, {"count": int(count)})
                st.rerun()
    st.caption(
        "What the detectors doubt, on frames unlike those that people have looked at. The first search looks at all."
    )
    if not jobs:
        return
    if jobs[0].state is not JobState.DONE or not jobs[0].result:
        job_line(replace(jobs[0], kind="label next"))
        return
    _proposed(project, jobs[0])


def _proposed(project: Project, job: Job) -> None:
    found = [(str(key), str(reason)) for key, reason in (job.result or {}).get("frames", ())]
    frames = {frame.id: frame for frame in project.store.frames(ids=[key for key, _ in found])}
    reasons = {key: reason for key, reason in found if key in frames}
    if not reasons:
        st.caption("No frame is left that would teach anything new.")
        return
    st.button(
        f"Go through {len(reasons)} frames",
        icon=":material/edit:",
        on_click=walk,
        args=("walk-frames", list(reasons)),
    )
    st.caption(f"Chosen {ago(job.finished_at or job.created_at, time.time())}, the most useful first.")
    cards = frame_cards(project, [frames[key] for key in reasons], project.config.labels.working)
    gallery(
        "next-frames",
        [replace(card, note=reasons[card.key]) for card in cards],
        mode="open",
        size=190,
        on_open=lambda key: walk("walk-frames", [key, *(other for other in reasons if other != key)]),
    )
