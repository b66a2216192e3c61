"""Where the loop stands, what to do next, and how the review goes."""

from __future__ import annotations

import re
import time

import pandas as pd
import streamlit as st

from crossguard_app.presenters.comparison import headline
from crossguard_app.presenters.overview import next_step, recent_decisions, stages, type_rows
from crossguard_app.resources import current_project
from crossguard_app.views.parts import ago, job_line, stage_strip
from crossguard_app.views.people import people_part
from crossguard_app.views.training import VERDICTS
from curate.store import JobState
from curate.workflows.jobs import refresh_jobs
from curate.workflows.project import Project
from curate.workflows.status import ProjectStatus, project_status

_PAGES = {
    "curate app": ("Open the queue", "queue"),
    "curate scan": ("Scan", "train"),
    "curate retrain": ("Train", "train"),
    "curate prelabel": ("Prelabel", "train"),
}
"""What a command of the next step is called here, and the page that does it."""


def _next(status: ProjectStatus) -> None:
    sentence, command = next_step(status)
    with st.container(border=True, key="next-step"):
        text, action = st.columns([4, 1], vertical_alignment="center")
        with text:
            st.caption("NEXT STEP")
            # The buttons beside it say the commands' names.
            st.text(re.sub(r" \(curate [^)]*\)", "", sentence[:1].upper() + sentence[1:]))
            if command:
                st.code(command, language="bash")
        with action:
            spoken = f"{sentence} {command}"
            ways = [way for name, way in _PAGES.items() if name in spoken]
            for number, (label, page) in enumerate(ways):
                _go(label, page, first=number == 0)


def _go(label: str, page: str, *, first: bool) -> None:
    if st.button(label, type="primary" if first else "secondary", width="stretch"):
        st.switch_page(st.session_state["pages"][page])


@st.fragment(run_every=2)
def _jobs() -> None:
    project = current_project()
    refresh_jobs(project)
    for job in project.store.jobs(states=(JobState.QUEUED, JobState.RUNNING, JobState.LOST), limit=5):
        job_line(job)


def _detector(project: Project) -> None:
    """What the newest comparison says, in one line."""
    from curate.workflows.compare import comparisons

    records = comparisons(project)
    if not records:
        return
    comparison = records[0].comparison
    color, word, _ = VERDICTS.get(comparison.verdict, ("gray", comparison.verdict, ""))
    with st.container(border=True):
        words, action = st.columns([4, 1], vertical_alignment="center")
        with words:
            st.badge(word, color=color)  # type: ignore[arg-type]
            st.text(f"{records[0].title}: {headline(comparison)}")
        with action:
            if st.button("See the comparison", width="stretch"):
                target = st.session_state["pages"]["train"]
                st.switch_page(target, query_params={"comparison": records[0].id})


def _review(project: Project) -> None:
    st.subheader("Review so far", anchor=False)
    rows = type_rows(project.store)
    if not rows:
        st.caption("After a scan, the types of issues stand here with how right they were.")
        return
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        column_config={
            "Precision": st.column_config.ProgressColumn(
                "Precision", min_value=0, max_value=100, format="%.0f %%", help="Corrected among the decided"
            ),
            "Expected errors": st.column_config.NumberColumn(
                help="Sum of the calibrated probabilities of the open issues"
            ),
        },
    )


def _history(project: Project) -> None:
    st.subheader("Latest decisions", anchor=False)
    entries = recent_decisions(project.store)
    if not entries:
        st.caption("What you and others decide stands here.")
        return
    now = time.time()
    table = [{"When": ago(e.at, now), "Who": e.reviewer, "What": e.text} for e in entries]
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch")


def page() -> None:
    """Draw the page."""
    project = current_project()
    status = project_status(project)
    st.title(status.site, anchor=False)
    st.text(f"Camera {status.camera}", help=f"`{project.root}`")
    stage_strip(stages(project, status))
    _next(status)
    _jobs()
    _detector(project)
    if status.quarantined:
        with st.expander(f"{status.quarantined} files could not be taken in"):
            items = project.store.quarantined()
            table = [{"File": i.source, "Item": i.item, "Reason": i.reason} for i in items]
            st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch")
    left, right = st.columns([1.65, 1], gap="medium")
    with left:
        _review(project)
    with right:
        _history(project)
    people_part(project)
