"""Results of runs on gold, side by side: figures, precision and recall, confusion, error kinds, slices, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import altair as alt
import streamlit as st

from crossguard_app.presenters.runs import (
    ERROR_WORDS,
    confusion_table,
    curve_rows,
    error_rows,
    figure_rows,
    subset_rows,
)
from crossguard_app.state import among, remember
from crossguard_app.views.charts import run_color, show, tooltip
from crossguard_app.views.parts import empty_state
from crossguard_app.views.run_jobs import judge_again
from crossguard_app.views.working import computed
from curate.errors import CurateError
from curate.evaluation import SubsetResult
from curate.store import RunRecord
from curate.workflows.project import Project
from curate.workflows.run_history import JudgedRun, judged_runs, place_results

__all__ = ["results_part"]

_WAYS = {"recall": "Recall", "ap50": "Box AP50"}


def results_part(project: Project, runs: Sequence[RunRecord]) -> None:
    """Draw everything that is known about the runs on the newest gold set."""
    wanted = {run.id for run in runs}
    judged = [entry for entry in judged_runs(project) if entry.run.id in wanted]
    judge_again(project, judged, runs)
    judged = [entry for entry in judged if entry.result is not None]
    if not judged:
        empty_state(
            "None of these runs was judged on the gold set",
            "Judge them here, or let `curate retrain` do it for every training:",
            "curate evaluate",
        )
        return
    st.dataframe(figure_rows(judged), hide_index=True, width="stretch")
    names = [run.id for run in runs]
    classes = list(project.config.classes)
    left, right = st.columns(2, gap="large")
    with left:
        _precision_recall(judged, names, classes)
    with right:
        _errors(judged, names)
    left, right = st.columns(2, gap="large")
    with left:
        _confusion(judged)
    with right:
        _subsets(project, judged, names)


def _precision_recall(judged: Sequence[JudgedRun], names: Sequence[str], classes: list[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Precision and recall", anchor=False)
        label = st.selectbox(
            "Class", classes, classes.index(among("class", classes, classes[0])), key="results-class",
            label_visibility="collapsed", width=150,
        )  # fmt: skip
    remember(**{"class": None if label == classes[0] else label})
    table = curve_rows(judged, str(label))
    if table.empty:
        st.caption("No run found an object of this class, or gold holds none.")
        return
    chart = (
        alt.Chart(table)
        .mark_line(strokeWidth=2, interpolate="step-after")
        .encode(
            x=alt.X("recall:Q", title="Recall", scale=alt.Scale(domain=[0, 1])),
            y=alt.Y("precision:Q", title="Precision", scale=alt.Scale(domain=[0, 1])),
            color=run_color(names),
            order="recall:Q",
            tooltip=tooltip(
                run="Run", recall="Recall|.3f", precision="Precision|.3f", score="Score|.2f",
                alarms="False alarms a frame|.2f",
            ),
        )
    )  # fmt: skip
    show(chart, height=330)


def _errors(judged: Sequence[JudgedRun], names: Sequence[str]) -> None:
    st.subheader("Kinds of error", anchor=False)
    table = error_rows(judged)
    chart = (
        alt.Chart(table)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("kind:N", title=None, sort=list(ERROR_WORDS.values()), axis=alt.Axis(labelLimit=200)),
            yOffset=alt.YOffset("run:N", sort=names),
            x=alt.X("count:Q", title="Errors on gold"),
            color=run_color(names),
            tooltip=tooltip(
                run="Run", kind="Kind", tide="In TIDE's words", count="Errors",
                gain="AP50 to be gained by repairing them|.3f",
            ),
        )
    )  # fmt: skip
    show(chart, height=330)
    score = next((e.result.at_score.score for e in judged if e.result is not None), 0.3)
    st.caption(f"At score {score:g}, kinds as TIDE tells them apart (Bolya et al. 2020).")


def _confusion(judged: Sequence[JudgedRun]) -> None:
    ids = [entry.run.id for entry in judged]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Confusion", anchor=False)
        chosen = st.selectbox(
            "Run", ids, len(ids) - 1, key="results-confusion", label_visibility="collapsed", width=240
        )
    result = next(entry.result for entry in judged if entry.run.id == chosen)
    if result is None:
        return
    table = confusion_table(result)
    order = [*result.classes, "nothing"]
    base = alt.Chart(table).encode(
        x=alt.X("detected:N", title="Detected as", sort=order, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("gold:N", title="Gold", sort=order),
        tooltip=tooltip(
            gold="Gold", detected="Detected as", count="Objects", share="Share of the gold class|.1%"
        ),
    )
    cells = base.mark_rect(cornerRadius=4).encode(
        color=alt.Color(
            "share:Q", scale=alt.Scale(range=["#1a948514", "#1a9485"], domain=[0, 1]), legend=None
        )
    )
    st.caption("Row: what is there. Column: what was seen. “nothing”: missed, or seen where nothing is.")
    show(
        cells
        + base.mark_text(fontSize=14, fontWeight=600).encode(
            text="count:Q",
            # White on full cells, grey on those that let the page's ground through, be it light or dark.
            color=alt.when("datum.share > 0.45").then(alt.value("#ffffff")).otherwise(alt.value("#7f8995")),
        ),
        height=280,
    )


def _subsets(project: Project, judged: Sequence[JudgedRun], names: Sequence[str]) -> None:
    kinds = ["Places", "Moving and parked", *(["Slices"] if project.config.slices else [])]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Where it fails", anchor=False)
        by = st.selectbox("By", kinds, key="results-by", label_visibility="collapsed", width=190)
        ways = list(_WAYS)
        figure = st.selectbox(
            "Figure", ways, ways.index("recall"), key="results-figure", format_func=_WAYS.__getitem__,
            label_visibility="collapsed", width=120,
        )  # fmt: skip
    named = _named(project, judged, str(by))
    table = subset_rows(named)
    table = table[table["objects"] > 0]
    if table.empty:
        st.caption("No gold object lies in any of them.")
        return
    subsets = list(dict.fromkeys(table["subset"]))
    chart = (
        alt.Chart(table)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("subset:N", title=None, sort=subsets),
            yOffset=alt.YOffset("run:N", sort=list(named)),
            x=alt.X(f"{figure}:Q", title=_WAYS[str(figure)], scale=alt.Scale(domain=[0, 1])),
            color=run_color(names),
            tooltip=tooltip(
                run="Run", subset="Where", objects="Gold objects", recall="Recall|.3f", ap50="Box AP50|.3f",
                missed="Missed",
            ),
        )
    )  # fmt: skip
    st.caption("Hover for the number of gold objects: a bar over five objects says little.")
    show(chart, height=max(280, 12 * len(subsets) * (1 + len(named)) + 40))


def _named(
    project: Project, judged: Sequence[JudgedRun], by: str
) -> Mapping[str, Mapping[str, SubsetResult]]:
    results = {entry.run.id: entry.result for entry in judged if entry.result is not None}
    if by == "Slices":
        return {run_id: result.slices for run_id, result in results.items()}
    if by == "Moving and parked":
        return {run_id: result.motion for run_id, result in results.items()}
    named: dict[str, Mapping[str, SubsetResult]] = {}
    for entry in judged:
        stamp = f"{results[entry.run.id].gold_hash}-{hash(project.config.model_dump_json())}"
        try:
            named[entry.run.id] = computed(
                f"places:{entry.run.id}",
                str(project.root),
                stamp,
                f"Scoring {entry.run.id} by place",
                lambda _, run=entry.run: place_results(project, run),  # type: ignore[misc]
            )
        except CurateError as error:
            st.text(f"{entry.run.id}: {error}")
    return named
