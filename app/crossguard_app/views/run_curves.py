"""Learning curves: smoothing, axis, filter, scale."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import altair as alt
import streamlit as st

from crossguard_app.presenters.curves import AXES, CurveOptions, curve_scale, curve_table, matching_metrics
from crossguard_app.state import among, query, remember
from crossguard_app.views.charts import run_color, show, tooltip
from crossguard_app.views.parts import hint_panel
from curate.store import RunRecord
from curate.workflows.project import Project
from curate.workflows.run_history import RunCurves, run_curves

__all__ = ["curves_part"]

_X_TITLES = {"step": "Step", "relative": "Seconds of training", "wall": "Time (UTC)"}


def _number(text: str | None, otherwise: float) -> float:
    try:
        value = float(text or otherwise)
    except ValueError:
        return otherwise
    return min(0.99, max(0.0, value)) if math.isfinite(value) else otherwise


def _options() -> tuple[CurveOptions, str]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pattern = st.text_input(
            "Filter", query("filter") or "", key="curves-filter", placeholder="loss|validation", width=180,
            help="A regular expression; metrics in whose name it is found are shown.",
        )  # fmt: skip
        axis = st.segmented_control(
            "Axis", list(AXES), default=among("axis", AXES, "step"), key="curves-axis",
            format_func=AXES.__getitem__, required=True,
        )  # fmt: skip
        smoothing = st.slider(
            "Smoothing", 0.0, 0.99, _number(query("smooth"), 0.6), key="curves-smooth", step=0.01, width=160,
            help="Weight of the past in the running mean; the pale line is what was written.",
        )  # fmt: skip
        log = st.toggle("Log scale", query("log") == "1", key="curves-log")
        outliers = st.toggle(
            "Leave outliers out",
            query("outliers") != "shown",
            key="curves-outliers",
            help="The scale goes by 98 % of the values; nothing is dropped.",
        )
    remember(
        filter=pattern or None,
        axis=None if axis == "step" else axis,
        smooth=None if smoothing == 0.6 else f"{smoothing:g}",
        log="1" if log else None,
        outliers=None if outliers else "shown",
    )
    return CurveOptions(str(axis), float(smoothing), bool(log), bool(outliers)), pattern


def curves_part(project: Project, runs: Sequence[RunRecord]) -> None:
    """Draw a chart for each metric that passes the filter."""
    options, pattern = _options()
    curves = [curve for run in runs if (curve := run_curves(project, run)).values]
    if not curves:
        hint_panel("No curves", "None of these runs was trained here. Choose a trained one above.")
        return
    try:
        metrics = matching_metrics(curves, pattern)
    except re.error as error:
        st.warning(f"`{pattern}` is no regular expression: {error}.", icon=":material/warning:")
        return
    if not metrics:
        st.caption("No metric has such a name. Take the filter away to see all.")
        return
    columns = st.columns(2, gap="medium")
    for number, metric in enumerate(metrics):
        with columns[number % 2]:
            _chart(curves, [run.id for run in runs], metric, options)


def _chart(curves: Sequence[RunCurves], names: Sequence[str], metric: str, options: CurveOptions) -> None:
    table = curve_table(curves, metric, options)
    ends = curve_scale(table, options)
    st.markdown(f"**{metric}**")
    if ends is None:
        st.caption("Nothing to draw on this scale.")
        return
    color = run_color(names)
    kind = "T" if options.axis == "wall" else "Q"
    x = alt.X(f"at:{kind}", title=_X_TITLES[options.axis])
    scale = alt.Scale(
        type="log" if options.log else "linear", domain=list(ends), clamp=False, nice=False, zero=False
    )

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", title=None, scale=scale)

    base = alt.Chart(table)
    raw = base.mark_line(opacity=0.22, strokeWidth=1, clip=True).encode(x=x, y=y("value"), color=color)
    line = base.mark_line(strokeWidth=2, clip=True, interpolate="monotone").encode(
        x=x, y=y("smooth"), color=color,
        tooltip=tooltip(run="Run", step="Step", smooth="Smoothed|.4f", value="Written|.4f"),
    )  # fmt: skip
    few = base.mark_point(filled=True, size=28, clip=True).encode(x=x, y=y("smooth"), color=color)
    layers = raw + line + few if len(table) < 30 * len(names) else raw + line
    show(layers.interactive(bind_y=False), height=230, key=f"curve-{metric}")
