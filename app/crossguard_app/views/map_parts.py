"""What the maps of crops and of frames share on their page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import plotly.graph_objects as go
import streamlit as st

from crossguard_app.components.gallery import Card, gallery
from crossguard_app.presenters.maps import undo_all
from crossguard_app.resources import current_project
from crossguard_app.state import reviewer
from curate.errors import CurateError
from curate.workflows.embedding_store import Embedded, vectors_path
from curate.workflows.project import Project

__all__ = ["ALIKE", "SHOWN", "act", "alike", "chart", "leave", "report", "stamp", "walk"]

SHOWN = 96
"""So many of a selection are shown and acted on."""
ALIKE = 8
_DONE = "map-done"


def stamp(project: Project, what: Embedded) -> str:
    """Changes when a scan or a decision may have changed the map."""
    newest = project.store.decisions(limit=1)
    state = project.store.artifact("scan", "state")
    vectors = vectors_path(project, what)
    written = vectors.stat().st_mtime_ns if vectors.exists() else 0
    return f"{newest[0].sequence if newest else 0}-{state.input_hash if state else ''}-{written}"


def chart(key: str, figure: go.Figure) -> list[str]:
    """Draw the map; the ids of the selected points."""
    event: Any = st.plotly_chart(
        figure,
        key=key,
        on_select="rerun",
        selection_mode=("lasso", "box", "points"),
        config={"displaylogo": False, "scrollZoom": True},
    )
    points = event.get("selection", {}).get("points", []) if event else []
    ids = [point.get("customdata") for point in points]
    flat = [entry[0] if isinstance(entry, list) else entry for entry in ids]
    return list(dict.fromkeys(str(entry) for entry in flat if entry))


def act(run: Callable[[], list[str]], noun: str, words: str) -> None:
    """Carry an action out and note what it did: `run` gives the ids of its decisions."""
    try:
        made = run()
    except CurateError as error:
        st.session_state[_DONE] = {"text": f"Nothing was changed: {error}", "decisions": []}
        return
    plural = "" if len(made) == 1 else "s"
    st.session_state[_DONE] = {"text": f"{len(made)} {noun}{plural} {words}.", "decisions": made}


def report() -> None:
    """What the last action did, with its way back."""
    done = st.session_state.get(_DONE)
    if not done:
        return
    text, action = st.columns([6, 1], vertical_alignment="center")
    with text:
        st.success(done["text"])
    with action:
        if st.button("Undo", width="stretch") and done["decisions"]:
            try:
                undo_all(current_project(), done["decisions"], reviewer())
            except CurateError as error:
                st.error(str(error))
                return
            st.session_state.pop(_DONE)
            st.rerun()


def walk(what: Literal["walk", "walk-frames"], ids: Sequence[str]) -> None:
    """Go through labels or frames in the editor, at the next run of the page."""
    for key in ("walk", "walk-frames"):
        st.session_state.pop(key, None)
    st.session_state[what] = list(ids)
    st.session_state["go-to"] = "frames"


def leave() -> None:
    """Go to the editor when `walk` was called; a callback cannot change the page itself."""
    if st.session_state.pop("go-to", None) == "frames":
        st.switch_page(st.session_state["pages"]["frames"])


def alike(key: str, cards: Sequence[Card], what: Literal["walk", "walk-frames"], *, size: int) -> None:
    """The strip of what is most alike; a click goes through it in the editor, beginning there."""
    st.subheader("Most alike", anchor=False)
    if not cards:
        st.caption("Changed since the last scan: scan again to find what is alike.")
        return
    st.caption("Nearest first, with their cosine similarity. Click one to open it in the editor.")
    keys = [card.key for card in cards]

    def opened(chosen: str) -> None:
        walk(what, [chosen, *(other for other in keys if other != chosen)])

    gallery(key, cards, mode="open", size=size, on_open=opened)
