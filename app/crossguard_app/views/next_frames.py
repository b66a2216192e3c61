"""Which frames to label next: the search in a worker process, and the way into the editor with what it found."""

from __future__ import annotations

import time
from dataclasses import replace

import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.resources import current_project
from crossguard_app.views.map_parts import walk
from crossguard_app.views.parts import ago, job_line
from curate.store import Job, JobState
from curate.workflows.jobs import cancel_job, refresh_jobs, start_job
from curate.workflows.project import Project

__all__ = ["choose_next", "is_choosing", "reasons_to_label"]

_NEXT = "label_next"
_ACTIVE = (JobState.QUEUED, JobState.RUNNING, JobState.LOST)


def reasons_to_label(project: Project) -> dict[str, str]:
    """Frame id -> why it was chosen by the last search; empty when there was none."""
    jobs = project.store.jobs(kinds=(_NEXT,), limit=1)
    return dict((jobs[0].result or {}).get("frames", ())) if jobs else {}


def is_choosing(project: Project) -> bool:
    """Whether the search is at work."""
    jobs = project.store.jobs(kinds=(_NEXT,), limit=1)
    return bool(jobs) and jobs[0].state in _ACTIVE


def _cancel(job_id: str) -> None:
    cancel_job(current_project(), job_id)


@st.fragment(run_every=1)
def _waiting(job: Job) -> None:
    """The running search, until it ends; then the page is drawn again with what it found."""
    project = current_project()
    refresh_jobs(project)
    now = project.store.job(job.id)
    if now.state not in _ACTIVE:
        st.rerun()
    line, action = st.columns([8, 1], vertical_alignment="center")
    with line:
        job_line(replace(now, kind="label next"))
    with action:
        st.button(
            "Cancel",
            type="tertiary",
            disabled=now.cancel_requested,
            on_click=_cancel,
            args=(job.id,),
        )


def choose_next(project: Project) -> None:
    """The button that starts the search, its progress, and what it found: to go through in the editor."""
    jobs = project.store.jobs(kinds=(_NEXT,), limit=1)
    if is_choosing(project):
        _waiting(jobs[0])
        return
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
