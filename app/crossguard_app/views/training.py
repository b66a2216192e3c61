"""Train and compare: the button, its progress, and what it brought."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.comparison import change_cards, headline, main_figures, metric_rows
from crossguard_app.resources import current_project
from crossguard_app.state import among, may_change, remember
from crossguard_app.views.parts import ago, empty_state, job_line
from curate.store import GoldState, Job, JobState
from curate.workflows.jobs import cancel_job, refresh_jobs, start_job
from curate.workflows.project import Project

if TYPE_CHECKING:
    from curate.workflows.compare import ComparisonRecord

_ACTIVE = (JobState.QUEUED, JobState.RUNNING, JobState.LOST)
VERDICTS = {
    "better": ("green", "Better", "The interval excludes no change."),
    "worse": (
        "red",
        "Worse",
        "The interval excludes no change. Look at the losses below before you label on.",
    ),
    "no clear difference": (
        "gray",
        "No clear difference",
        "What is seen may be chance: more gold blocks tell more.",
    ),
    "indicative": (
        "orange",
        "Indicative only",
        "Too little stands behind it: train five seeds a side, and set more blocks of time aside as gold.",
    ),
    "unknown": ("gray", "Unknown", "There is no such figure on one of the sides."),
}
"""Colour, word, and what it means for a person, of each verdict."""
_SCOPES = {
    "Overall": ("all",),
    "Classes": ("class",),
    "Sizes": ("size",),
    "Slices": ("slice",),
    "Places and light": ("place", "light"),
    "Approaches": ("approach",),
    "Moving and parked": ("motion",),
}
_PICTURES = 8


def _missing(project: Project) -> tuple[str, str, str] | None:
    """What must be there before a training can start."""
    store = project.store
    if not store.frames():
        return "No frames yet", "Take frames from a recording first:", "curate ingest VIDEO_OR_FOLDER"
    golds = store.gold_sets()
    if not golds:
        return (
            "No gold test set",
            "Before and after are judged on frames that were set aside and checked by eye:",
            "curate gold create",
        )
    if golds[-1].state is not GoldState.FROZEN:
        return (
            "The gold test set is still a draft",
            "Check its labels; then freeze it, so that every run is judged on the same:",
            "curate gold freeze",
        )
    if not store.annotations(source=project.config.labels.working):
        return (
            f"No labels of source {project.config.labels.working}",
            "Let the bundled detector write first ones, or import your own:",
            "curate prelabel",
        )
    return None


def _start(kind: str, **params: int) -> None:
    start_job(current_project(), kind, params)


def _cancel(job_id: str) -> None:
    cancel_job(current_project(), job_id)


def _buttons(project: Project) -> None:
    missing = _missing(project)
    if missing:
        empty_state(*missing)
    if not may_change():
        st.caption("Your role is to look: scans and trainings are started by reviewers.")
        return
    labelled = any(
        entry.labels for entry in project.store.sources() if entry.source == project.config.labels.working
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        seeds = st.number_input(
            "Training seeds a side",
            1,
            20,
            1,
            width=170,
            help="One is quick and its verdict only indicative; five tell more.",
        )
        st.button(
            "Retrain and compare",
            type="primary",
            icon=":material/model_training:",
            disabled=missing is not None,
            on_click=lambda: _start("retrain", seeds=int(seeds)),
            help="Fixes the labels as a version, trains on it and compares with the version before on gold.",
        )
        st.button(
            "Scan for label errors",
            icon=":material/troubleshoot:",
            disabled=not labelled,
            on_click=lambda: _start("scan"),
            help="Only what changed since the last scan is looked at again.",
        )
        st.button(
            "Prelabel new frames",
            icon=":material/auto_awesome:",
            disabled=not project.store.frames(),
            on_click=lambda: _start("prelabel"),
            help="The bundled detector writes labels on frames that have none of the working source.",
        )


@st.fragment(run_every=1)
def _jobs() -> None:
    project = current_project()
    refresh_jobs(project)
    jobs = project.store.jobs(limit=6)
    active = [job for job in jobs if job.state in _ACTIVE]
    for job in active:
        line, action = st.columns([8, 1], vertical_alignment="center")
        with line:
            job_line(job)
        with action:
            if not may_change():
                continue
            st.button(
                "Stopping" if job.cancel_requested else "Cancel",
                key=f"cancel-{job.id}",
                disabled=job.cancel_requested,
                on_click=_cancel,
                args=(job.id,),
                type="tertiary",
            )
    ended = [job for job in jobs if job.state not in _ACTIVE]
    if ended and not active:
        _last(ended[0])
    # What a job brought stands outside of this fragment: the whole page is drawn again when one ends.
    before = st.session_state.get("jobs-active")
    st.session_state["jobs-active"] = sorted(job.id for job in active)
    if before and set(before) - set(st.session_state["jobs-active"]):
        remember(comparison=None)
        st.rerun()


def _last(job: Job) -> None:
    if job.state is JobState.FAILED:
        job_line(job)
        return
    taken = f" in {job.finished_at - job.started_at:.0f} s" if job.finished_at and job.started_at else ""
    words = {JobState.DONE: f"done{taken}", JobState.CANCELLED: "cancelled; what was finished is kept"}
    when = ago(job.finished_at or job.created_at, time.time())
    st.caption(f"Last job: {job.kind}, {words.get(job.state, job.state.value)}, {when}")


def _choose(records: list[ComparisonRecord]) -> ComparisonRecord:
    by_id = {record.id: record for record in records}
    # The newest one against the version before tells most; against the generic detector when it is the first.
    newest = next((r for r in records if r.title.startswith("version")), records[0])
    if newest.created_at < records[0].created_at - 3600:
        newest = records[0]
    chosen = st.selectbox(
        "Comparison",
        list(by_id),
        list(by_id).index(among("comparison", by_id, newest.id)),
        key=f"comparison-{records[0].id}",  # once there is another one, the choice begins anew
        format_func=lambda key: f"{by_id[key].title}  ({ago(by_id[key].created_at, time.time())})",
    )
    remember(comparison=chosen)
    return by_id[chosen]


def _verdict(record: ComparisonRecord) -> None:
    comparison = record.comparison
    color, word, means = VERDICTS.get(comparison.verdict, ("gray", comparison.verdict, ""))
    with st.container(border=True, key="verdict"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(word, color=color)  # type: ignore[arg-type]
            st.caption(means)
        st.text(headline(comparison))
        for column, figure in zip(st.columns(4), main_figures(comparison), strict=False):
            column.metric(
                figure.title,
                figure.after,
                figure.change,
                # Green and red only for what can be believed.
                delta_color="off"
                if not figure.believed
                else "normal"
                if figure.higher_is_better
                else "inverse",
                help=f"Before {figure.before}; 95 % interval of the change {figure.interval}.",
            )
        before, after = comparison.before, comparison.after
        times = [
            (f"{side.ms_per_frame:.0f} ms per frame" if side.ms_per_frame else "not timed")
            + (f", {side.memory_mb:.0f} MB" if side.memory_mb else "")
            for side in (before, after)
        ]
        st.caption(
            f"{comparison.frames} gold frames in {comparison.blocks} time blocks, {comparison.tracks} tracks · "
            f"{before.seeds} and {after.seeds} training seeds · before {times[0]}, after {times[1]}"
        )
        for note in comparison.notes:
            st.text(note)


def _table(record: ComparisonRecord) -> None:
    tabs = st.tabs(list(_SCOPES))
    for tab, kinds in zip(tabs, _SCOPES.values(), strict=True):
        with tab:
            rows = metric_rows(record.comparison, kinds)
            if not rows:
                st.caption("There is no such figure in this comparison.")
                continue
            table = pd.DataFrame([asdict(row) for row in rows])
            table.columns = [
                "Scope",
                "Figure",
                "Before",
                "After",
                "Change",
                "95 % interval",
                "Verdict",
                "Behind it",
            ]
            if table["Scope"].nunique() == 1:
                table = table.drop(columns="Scope")
            st.dataframe(
                table,
                hide_index=True,
                width="stretch",
                height=min(640, 38 + 35 * len(table)),
                column_config={"Figure": st.column_config.TextColumn(width=270)},
            )


def _pictures(project: Project, record: ComparisonRecord) -> None:
    comparison = record.comparison
    wins, losses = comparison.wins[:_PICTURES], comparison.losses[:_PICTURES]
    changes = [*wins, *losses]
    if not changes:
        st.caption("Both sides make the same number of errors on every frame.")
        return
    ids = [change.frame_id for change in changes]
    frames = {frame.id: frame for frame in project.store.frames(ids=ids)}
    from curate.workflows.compare import run_detections

    sides = tuple(
        dict(zip(ids, run_detections(project, side[0], comparison.gold_id, ids), strict=True))
        for side in (record.before, record.after)
    )
    score = comparison.settings.score
    st.caption(f"Dashed white: gold. Coloured: detections with a score of at least {score:g}.")
    for title, part in (("Wins", wins), ("Losses", losses)):
        cards = change_cards(project, part, frames, (sides[0], sides[1]), score)
        total = len(comparison.wins if title == "Wins" else comparison.losses)
        st.subheader(f"{title}: {total} frame{'' if total == 1 else 's'}", anchor=False)
        if not cards:
            st.caption("None.")
            continue
        if total > len(cards):
            st.caption(f"The {len(cards)} that changed most; all of them stand under *Runs*, frame by frame.")
        gallery(f"pictures-{title}-{record.id}", cards, size=560)


def page() -> None:
    """Draw the page."""
    project = current_project()
    st.title("Train and compare", anchor=False)
    _buttons(project)
    _jobs()
    from curate.workflows.compare import comparisons

    records = comparisons(project)
    if not records:
        if not _missing(project):
            empty_state(
                "Nothing to compare yet",
                "The button trains a detector on the labels as they are now and compares it with the generic "
                "one, later with the version before. From a terminal:",
                "curate retrain",
            )
        return
    record = _choose(records)
    _verdict(record)
    _table(record)
    _pictures(project, record)
