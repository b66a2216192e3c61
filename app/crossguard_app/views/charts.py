"""What all charts share: made for the width of their place, in the colours of the page."""

from __future__ import annotations

from typing import Any

import altair as alt
import streamlit as st

__all__ = ["SERIES", "show", "tooltip"]

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
