"""What all charts share: made for the width of their place, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import altair as alt
import streamlit as st

__all__ = ["SERIES", "run_color", "run_legend", "show", "tooltip"]

SERIES = (
    "#1a9485",
    "#e2903a",
    "#4c8fe0",
    "#c259b5",
    "#b8a11f",
    "#8a6fe0",
    "#d9534f",
    "#5aa84f",
    "#9a7b5f",
    "#5f8fa8",
)
"""Colours of curves: each can be told from the others on light and on dark ground."""


def run_color(names: Sequence[str]) -> alt.Color:
    """Colours of runs in their order; the legend is drawn once for all charts of a page (`run_legend`)."""
    return alt.Color(
        "run:N", scale=alt.Scale(domain=list(names), range=list(SERIES[: len(names)])), legend=None
    )


def run_legend(names: Sequence[str]) -> None:
    """Which colour is which run."""
    parts = "".join(
        f'<span><i style="background:{color}"></i>{escape(name)}</span>'
        for name, color in zip(names, SERIES, strict=False)
    )
    st.html(f'<div class="cg-legend">{parts}</div>')


def show(chart: Any, *, height: int, key: str | None = None) -> None:
    """Draw a chart over the whole width of its place."""
    sized = chart.properties(height=height).configure_view(strokeWidth=0)
    st.altair_chart(sized.configure_axis(labelFontSize=12, titleFontSize=12), width="stretch", key=key)


def tooltip(**fields: str) -> list[alt.Tooltip]:
    """Tooltip lines: field=title, a format after a bar (`value="AP|.3f"`)."""
    lines = []
    for name, text in fields.items():
        title, _, form = text.partition("|")
        lines.append(alt.Tooltip(name, title=title, format=form) if form else alt.Tooltip(name, title=title))
    return lines
