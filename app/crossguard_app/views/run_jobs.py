"""Jobs that a page waits for; judging and comparing runs from the Runs page, in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from crossguard_app.resources import current_project
from crossguard_app.state import may_change, remember
from crossguard_app.views.parts import job_line, plain_text
from curate.store import Job, JobState, RunRecord
from curate.workflows.gold import frozen_gold
from curate.workflows.jobs import cancel_job, refresh_jobs, start_job
from curate.workflows.project import Project
from curate.workflows.run_history import JudgedRun

__all__ = ["ACTIVE", "judge_again", "wait_for"]

ACTIVE = (JobState.QUEUED, JobState.RUNNING, JobState.LOST)


def _cancel(job_id: str) -> None:
    cancel_job(current_project(), job_id)


@st.fragment(run_every=1)
def wait_for(job: Job, title: str = "") -> None:
    """A job at work with its progress, under its kind or a title; the page is drawn again when it ends."""
    project = current_project()
    refresh_jobs(project)
    now = project.store.job(job.id)
    if now.state not in ACTIVE:
        st.rerun()
    line, action = st.columns([8, 1], vertical_alignment="center")
    with line:
        job_line(replace(now, kind=title or now.kind))
    if not may_change():
        return
    with action:
        st.button(
            "Cancel",
            key=f"cancel-{job.id}",
            type="tertiary",
            disabled=now.cancel_requested,
            on_click=_cancel,
            args=(job.id,),
        )


def judge_again(project: Project, judged: Sequence[JudgedRun], runs: Sequence[RunRecord]) -> None:
    """What keeps a run from being shown as it would be judged today, with the way out; and a fair comparison."""
    jobs = project.store.jobs(kinds=("evaluate", "compare"), limit=1)
    if jobs and jobs[0].state in ACTIVE:
        wait_for(jobs[0])
        return
    if jobs and jobs[0].state is JobState.FAILED:
        job_line(jobs[0])
    if (
        jobs
        and jobs[0].kind == "compare"
        and jobs[0].state is JobState.DONE
        and st.session_state.pop("await-comparison", None)
    ):
        remember(comparison=str((jobs[0].result or {}).get("comparison", "")))
        st.switch_page(
            st.session_state["pages"]["train"],
            query_params={"comparison": str((jobs[0].result or {})["comparison"])},
        )
    if not may_change():
        return
    stale = [entry for entry in judged if not entry.fresh]
    if stale and frozen_gold(project) is not None:
        names = "; ".join(f"{entry.run.id}: {entry.note}" for entry in stale)
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/info: {plain_text(names)}")
            if st.button("Judge again", icon=":material/gavel:", type="primary"):
                start_job(project, "evaluate", {"runs": [entry.run.id for entry in stale]})
                st.rerun()
    done = [run for run in runs if run.state == "done"]
    if (
        len(done) == 2
        and not stale
        and st.button(
            "Compare the two with intervals",
            icon=":material/balance:",
            help=f"{done[0].id} before, {done[1].id} after; opens on the Train and compare page.",
        )
    ):
        title = f"{done[0].id} against {done[1].id}"
        st.session_state["await-comparison"] = True
        start_job(project, "compare", {"before": [done[0].id], "after": [done[1].id], "title": title})
        st.rerun()
