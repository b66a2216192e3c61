"""The same gold frames as several runs see them, where they differ most first."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.runs import frame_errors, run_cards
from crossguard_app.state import among, remember
from crossguard_app.views.parts import empty_state
from crossguard_app.views.run_jobs import judge_again
from curate.store import RunRecord
from curate.workflows.compare import run_detections
from curate.workflows.gold import frozen_gold
from curate.workflows.project import Project
from curate.workflows.run_history import judged_runs

__all__ = ["frames_part"]

_ORDERS = {"wins": "Wins first", "losses": "Losses first", "errors": "Most errors first"}
_PER_PAGE = 6


def frames_part(project: Project, runs: Sequence[RunRecord]) -> None:
    """Draw the frames side by side."""
    wanted = {run.id for run in runs}
    judged = [entry for entry in judged_runs(project) if entry.run.id in wanted]
    judge_again(project, judged, runs)
    judged = [entry for entry in judged if entry.result is not None]
    gold = frozen_gold(project)
    if not judged or gold is None:
        empty_state("None of these runs was judged on the gold set", "Judge them first:", "curate evaluate")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = st.segmented_control(
            "Order", list(_ORDERS), default=among("order", _ORDERS, "wins"), key="frames-order",
            format_func=_ORDERS.__getitem__, required=True,
        )  # fmt: skip
        score = st.slider(
            "Detections from score", 0.05, 0.95, project.config.evaluation.score, key="frames-score",
            step=0.05, width=220,
        )  # fmt: skip
    remember(order=None if order == "wins" else order)
    errors = frame_errors(judged, str(order))
    better = sum(entry.change < 0 for entry in errors)
    worse = sum(entry.change > 0 for entry in errors)
    first, last = judged[0].run.id, judged[-1].run.id
    if len(judged) > 1:
        st.caption(
            f"{last} against {first} on {len(errors)} gold frames: fewer errors on {better}, more on {worse}. "
            f"Errors are counted at score {project.config.evaluation.score:g}. Dashed white: gold."
        )
    pages = -(-len(errors) // _PER_PAGE)
    number = (st.pagination(pages, key=f"run-frames-{order}") or 1) if pages > 1 else 1
    part = errors[(number - 1) * _PER_PAGE : number * _PER_PAGE]
    ids = [entry.frame_id for entry in part]
    frames = {frame.id: frame for frame in gold.frames}
    sides = [
        (entry.run.id, dict(zip(ids, run_detections(project, entry.run.id, gold.gold.id, ids), strict=True)))
        for entry in judged
    ]
    labels = [annotation for annotation in gold.annotations if annotation.frame_id in set(ids)]
    cards = run_cards(project, part, labels, sides, frames, float(score))
    gallery(
        f"run-frames-gallery-{len(sides)}",
        cards,
        size=380 if len(sides) == 1 else min(1100, 360 * len(sides)),
    )
