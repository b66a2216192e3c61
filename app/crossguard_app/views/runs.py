"""Runs: learning curves, results on gold side by side, the same frames seen by several runs."""

from __future__ import annotations

import streamlit as st

from crossguard_app.presenters.runs import run_title
from crossguard_app.resources import current_project
from crossguard_app.state import among, remember, several
from crossguard_app.views.charts import run_legend
from crossguard_app.views.map_parts import leave
from crossguard_app.views.parts import empty_state, nothing_to_look_at
from crossguard_app.views.run_curves import curves_part
from crossguard_app.views.run_frames import frames_part
from crossguard_app.views.run_results import results_part
from curate.store import RunRecord
from curate.workflows.project import Project

_VIEWS = {"curves": "Learning curves", "results": "Results on gold", "frames": "Frame by frame"}
_MOST = 6
"""So many runs can be told apart by their colours, and fit side by side."""


def page() -> None:
    """Draw the page."""
    leave()
    project = current_project()
    title, switch = st.columns([1, 2], vertical_alignment="center")
    with title:
        st.title("Runs", anchor=False)
    runs = project.store.runs()
    if not runs and nothing_to_look_at(project):
        return
    if not runs:
        empty_state(
            "No runs yet",
            "A run is one training, with its curves and its results on gold.",
            "curate retrain",
            way=("Train a first detector", "train"),
        )
        return
    with switch, st.container(horizontal=True, horizontal_alignment="right"):
        view = st.segmented_control(
            "View", list(_VIEWS), default=among("view", _VIEWS, "curves"), key="runs-view",
            format_func=_VIEWS.__getitem__, required=True, label_visibility="collapsed",
        )  # fmt: skip
    remember(view=None if view == "curves" else view)
    chosen = _choose(project, runs)
    if not chosen:
        st.caption("Choose at least one run above.")
        return
    run_legend([run.id for run in chosen])
    {"curves": curves_part, "results": results_part, "frames": frames_part}[str(view)](project, chosen)


def _choose(project: Project, runs: list[RunRecord]) -> list[RunRecord]:
    """The runs to look at, oldest first; the newest trained ones when nothing was chosen."""
    by_id = {run.id: run for run in runs}
    versions = {record.id: record for record in project.store.versions()}
    asked = several("runs", by_id)
    trained = [run.id for run in runs if run.kind == "train"] or list(by_id)
    ids = st.multiselect(
        "Runs",
        list(by_id),
        (asked or trained[-3:])[:_MOST],
        key="runs-chosen",
        format_func=lambda run_id: run_title(by_id[run_id], versions),
        max_selections=_MOST,
        label_visibility="collapsed",
        placeholder="Choose runs",
    )
    remember(runs=",".join(ids) or None)
    return [run for run in runs if run.id in set(ids)]
