"""Embedding map: labels that look alike lie together; draw around some and act on them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.maps import COLOURINGS, act_on, crop_cards, map_figure, thinned, undo_all
from crossguard_app.resources import current_project
from crossguard_app.state import query, remember, reviewer, seed
from crossguard_app.views.parts import empty_state
from curate.annotations import Annotation, DecisionKind
from curate.errors import CurateError
from curate.workflows.project import Project

_SHOWN = 96
_DONE = "map-done"


@st.cache_data(max_entries=4, show_spinner="Laying out the map …")
def _points(root: str, stamp: str) -> pd.DataFrame:
    """The layout; `root` and `stamp` say when it is another one."""
    from curate.workflows.maps import embedding_map

    return embedding_map(current_project())


def _stamp(project: Project) -> str:
    newest = project.store.decisions(limit=1)
    vectors = project.cache_dir / "embeddings" / "crops.npz"
    return f"{newest[0].sequence if newest else 0}-{vectors.stat().st_mtime_ns if vectors.exists() else 0}"


def _selected(event: Any) -> list[str]:
    points = event.get("selection", {}).get("points", []) if event else []
    ids = [point.get("customdata") for point in points]
    flat = [entry[0] if isinstance(entry, list) else entry for entry in ids]
    return list(dict.fromkeys(str(entry) for entry in flat if entry))


def _report() -> None:
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


def _act(annotations: list[Annotation], kind: DecisionKind, label: str | None, words: str) -> None:
    try:
        made = act_on(current_project(), annotations, kind, reviewer(), label)
    except CurateError as error:
        st.session_state[_DONE] = {"text": f"Nothing was changed: {error}", "decisions": []}
        return
    noun = "label" if len(made) == 1 else "labels"
    st.session_state[_DONE] = {"text": f"{len(made)} {noun} {words}.", "decisions": made}


def _walk(annotations: list[Annotation]) -> None:
    st.session_state["walk"] = [annotation.id for annotation in annotations]
    st.session_state["go-to"] = "frames"


def _actions(project: Project, chosen: list[Annotation]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox("New class", project.config.classes, width=190)
        none = not chosen
        count = len(chosen)
        st.button(
            f"Relabel {count}",
            type="primary",
            disabled=none,
            on_click=_act,
            args=(chosen, DecisionKind.RELABEL, label, f"now {label}"),
        )
        st.button(
            f"Delete {count}",
            disabled=none,
            on_click=_act,
            args=(chosen, DecisionKind.DELETE_LABEL, None, "deleted"),
        )
        st.button(
            f"Go through {count} in the editor",
            disabled=none,
            on_click=_walk,
            args=(chosen,),
            icon=":material/checklist:",
        )


def page() -> None:
    """Draw the page."""
    if st.session_state.pop("go-to", None) == "frames":
        st.switch_page(st.session_state["pages"]["frames"])
    project = current_project()
    st.title("Embedding map", anchor=False)
    points = _points(str(project.root), _stamp(project))
    if points.empty:
        empty_state(
            "No embeddings yet",
            "A scan looks at every label's crop and lays the map out. Start it on the Train and compare page, or:",
            "curate scan",
        )
        return
    seed("map-colour", query("colour") if query("colour") in COLOURINGS else "label")
    shown = thinned(points)
    head, note = st.columns([2, 3], vertical_alignment="bottom")
    with head:
        colouring = st.segmented_control(
            "Colour by",
            list(COLOURINGS),
            key="map-colour",
            format_func=COLOURINGS.__getitem__,
            required=True,
            label_visibility="collapsed",
        )
    with note:
        part = "" if len(shown) == len(points) else f", {len(shown):,} of them drawn"
        st.caption(f"{len(points):,} labels{part}. Draw around some to see them; double-click lets go.")
    remember(colour=None if colouring == "label" else colouring)
    _report()
    figure = map_figure(shown, colouring or "label", project.config.classes)
    event = st.plotly_chart(
        figure,
        key="map",
        on_select="rerun",
        selection_mode=("lasso", "box", "points"),
        config={"displaylogo": False, "scrollZoom": True},
    )
    _selection(project, _selected(event))


def _selection(project: Project, ids: list[str]) -> None:
    if not ids:
        return
    wanted = set(ids)
    source = project.config.labels.working
    found = [a for a in project.store.annotations(source=source) if a.id in wanted]
    if not found:
        st.caption("These labels are gone by now.")
        return
    frames = {frame.id: frame for frame in project.store.frames(ids={a.frame_id for a in found})}
    st.subheader(f"{len(found):,} labels", anchor=False)
    if len(found) > _SHOWN:
        st.caption(f"The first {_SHOWN} are shown and acted on; draw around fewer to reach the others.")
    shown = sorted(found, key=lambda a: (a.label, a.frame_id))[:_SHOWN]
    actions = st.container()
    chosen = set(gallery("map-crops", crop_cards(project, shown, frames), mode="select", size=120))
    with actions:
        _actions(project, [annotation for annotation in shown if annotation.id in chosen])
