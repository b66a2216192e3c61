"""Who reviewed how much, and how far two people agree on what both judged."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from crossguard_app.presenters.overview import class_confusion, pair_rows, people_rows
from curate.review import Agreement, agreement_by_pair, reviewer_stats
from curate.workflows.project import Project

__all__ = ["people_part"]

_PERCENT = "%.0f %%"


def people_part(project: Project) -> None:
    """Draw it, once somebody has decided anything."""
    stats = reviewer_stats(project.store)
    if not stats:
        return
    st.subheader("People", anchor=False)
    st.dataframe(
        pd.DataFrame(people_rows(stats)),
        hide_index=True,
        width="stretch",
        column_config={
            "Agrees with others": st.column_config.NumberColumn(
                format=_PERCENT,
                help="Share of the issues judged twice on which both said error, or both no error",
            ),
            "Seconds each": st.column_config.NumberColumn(
                format="%.1f", help="Median time between two decisions, pauses left out"
            ),
        },
    )
    pairs = agreement_by_pair(project.store)
    if pairs:
        _pairs(pairs)
    elif len(stats) > 1:
        st.caption(
            "Nobody has judged the same issue as somebody else yet: `curate review second` gives out a share for that."
        )


def _pairs(pairs: Mapping[tuple[str, str], Agreement]) -> None:
    left, right = st.columns([1.65, 1], gap="medium")
    with left:
        st.markdown("**Agreement by pair**")
        st.dataframe(
            pd.DataFrame(pair_rows(pairs)),
            hide_index=True,
            width="stretch",
            column_config={
                "Same verdict": st.column_config.NumberColumn(format=_PERCENT),
                "Error or not": st.column_config.NumberColumn(
                    format=_PERCENT, help="Both said that it is an error, or both that it is none"
                ),
                "Kappa": st.column_config.NumberColumn(
                    format="%.2f", help="Of error or not (Cohen): 1 is perfect, 0 no better than chance"
                ),
                "Mean IoU": st.column_config.NumberColumn(
                    format="%.2f", help="Overlap of the boxes that both leave, where both are known"
                ),
                "Boxes": st.column_config.NumberColumn(
                    help="So many pairs of boxes stand behind the mean IoU"
                ),
            },
        )
    with right:
        names = list(pairs)
        chosen = names[0]
        if len(names) > 1:
            chosen = st.selectbox(
                "Pair", names, format_func=lambda pair: f"{pair[0]} and {pair[1]}", key="people-pair"
            )
        st.markdown("**What stands there by each**")
        table = class_confusion(pairs[chosen])
        # Names come from people: shown as they are, no column is read as anything else.
        table.insert(0, f"{chosen[0]} ↓  {chosen[1]} →", table.index)
        st.dataframe(table, hide_index=True, width="stretch")
