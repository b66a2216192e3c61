"""Dataset versions: what there is, what changed between two, and a new one."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from crossguard_app.presenters.quality import FIGURES, quality_rows, version_steps
from crossguard_app.presenters.versions import change_rows, class_rows, version_rows, version_title
from crossguard_app.resources import current_project
from crossguard_app.state import among, may_change, remember, reviewer
from crossguard_app.views.charts import SERIES, show, tooltip
from crossguard_app.views.parts import empty_state
from crossguard_app.views.working import computed
from curate.errors import CurateError
from curate.store import VersionRecord
from curate.versions import VersionDiff, diff_versions, get_version, list_versions
from curate.workflows.project import Project
from curate.workflows.run_history import judged_runs, version_quality


def _create(project: Project) -> None:
    if not may_change():
        return
    with st.form("new-version", border=True):
        note, action = st.columns([4, 1], vertical_alignment="bottom")
        with note:
            text = st.text_input(
                "New version of the labels as they are now", placeholder="What changed, and why"
            )
        with action:
            pressed = st.form_submit_button("Create version", type="primary", width="stretch")
    if not pressed:
        return
    # Asked for here, so that a server in which nobody makes a version never loads what training needs.
    from curate.workflows.snapshot import snapshot

    known = {record.id for record in list_versions(project.store)}
    try:
        version = snapshot(project, note=text, created_by=reviewer())
    except CurateError as error:
        st.error("No version was made.", icon=":material/error:")
        st.text(str(error))
        return
    if version.id in known:
        st.info(f"Nothing has changed: version {version.id[:8]} holds exactly these labels.")
    else:
        st.success(f"Version {version.id[:8]} was made.")


def _diff(project: Project, records: list[VersionRecord]) -> None:
    st.subheader("What changed", anchor=False)
    by_id = {record.id: record for record in records}
    ids = list(by_id)
    left, right = st.columns(2)
    with left:
        before = st.selectbox(
            "From", ids, ids.index(among("before", ids, ids[-2])), key="version-before",
            format_func=lambda key: version_title(by_id[key]),
        )  # fmt: skip
    with right:
        after = st.selectbox(
            "To", ids, ids.index(among("after", ids, ids[-1])), key="version-after",
            format_func=lambda key: version_title(by_id[key]),
        )  # fmt: skip
    remember(before=before, after=after)
    diff = diff_versions(project.store, get_version(project.store, before), get_version(project.store, after))
    if diff.is_empty:
        st.caption("These two hold the same.")
        return
    _numbers(diff)
    st.dataframe(pd.DataFrame(class_rows(diff)), hide_index=True, width="stretch")
    with st.expander("Every label that differs"):
        st.dataframe(pd.DataFrame(change_rows(diff)), hide_index=True, width="stretch")


def _numbers(diff: VersionDiff) -> None:
    numbers = {
        "Labels added": len(diff.added),
        "Labels removed": len(diff.removed),
        "Labels changed": len(diff.changed),
        "Frames added": len(diff.frames_added),
        "Frames removed": len(diff.frames_removed),
    }
    for column, (name, count) in zip(st.columns(len(numbers)), numbers.items(), strict=True):
        column.metric(name, f"{count:,}")
    if diff.classes_changed:
        st.warning("The class lists differ.", icon=":material/warning:")
    if diff.policy_changed:
        st.warning("The labelling policies differ.", icon=":material/warning:")


def _quality(project: Project) -> None:
    """The line: how good the detector of each version was, and what changed in it."""
    st.subheader("Quality over the versions", anchor=False)
    evaluations = project.store.evaluations()
    newest = max((entry.created_at for entry in evaluations), default=0.0)
    versions = computed(
        "version-quality",
        str(project.root),
        f"{len(project.store.versions())}-{len(evaluations)}-{newest}-{hash(project.config.model_dump_json())}",
        "Comparing the versions",
        lambda bar: version_quality(project, judged_runs(project), reporter=bar),
    )
    if not versions:
        st.caption("After a training, every version stands here with the figures of its detector on gold.")
        return
    figures = list(FIGURES)
    figure = st.selectbox(
        "Figure", figures, figures.index(among("figure", figures, "box_ap50")), key="quality-figure",
        format_func=FIGURES.__getitem__, width=330, label_visibility="collapsed",
    )  # fmt: skip
    remember(figure=None if figure == "box_ap50" else figure)
    steps = version_steps(versions, str(figure))
    table = quality_rows(steps)
    if table.empty:
        st.caption("No run has this figure.")
        return
    lines = tooltip(
        name="Version",
        title="Holds",
        changed="Changed",
        mean="Mean|.1f",
        low="Lowest|.1f",
        high="Highest|.1f",
    )
    base = alt.Chart(table).encode(
        x=alt.X("name:N", title=None, sort=None, axis=alt.Axis(labelAngle=0, labelLimit=160)), tooltip=lines
    )
    title = FIGURES[str(figure)] + ("" if figure == "alarms" else ", per cent")
    y = alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False, padding=12))
    line = base.mark_line(color=SERIES[0], strokeWidth=2.5).encode(y=y)
    dots = base.mark_point(color=SERIES[0], filled=True, size=110, opacity=1).encode(y=y)
    seeds = base.mark_rule(color=SERIES[0], strokeWidth=2, opacity=0.5).encode(y="low:Q", y2="high:Q")
    show(line + seeds + dots, height=260)
    rows = [
        {
            "Version": f"{step.number}. {step.version}",
            "Figure": "–"
            if step.mean is None
            else f"{step.mean:.2f}"
            if figure == "alarms"
            else f"{step.mean:.1f}",
            "Seeds": step.seeds,
            "What changed": step.changed,
            "Holds": step.title,
        }
        for step in reversed(steps)
    ]
    widths = {"Version": 105, "Figure": 65, "Seeds": 60, "What changed": 375, "Holds": 365}
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        width="stretch",
        column_config={name: st.column_config.Column(width=width) for name, width in widths.items()},
    )
    st.caption(
        "Bars span the training seeds. Whether a difference can be believed, the Train and compare page tells."
    )


def page() -> None:
    """Draw the page."""
    project = current_project()
    st.title("Versions", anchor=False)
    _create(project)
    records = list_versions(project.store)
    if not records:
        empty_state(
            "No versions yet",
            "A version fixes frames and labels for good, so that a training can be repeated. Retraining makes one "
            "by itself; from a terminal:",
            "curate version create",
        )
        return
    _quality(project)
    st.subheader("All versions", anchor=False)
    st.dataframe(pd.DataFrame(version_rows(records)), hide_index=True, width="stretch")
    if len(records) > 1:
        _diff(project, records)
    else:
        st.caption("With a second version, this page shows what changed.")
