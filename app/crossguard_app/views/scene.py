"""The scene: the empty picture, regions in which nothing counts, recurring places, sizes, the camera's health."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import altair as alt
import pandas as pd
import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.components.scene import SceneRegion, scene_board
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.presenters.maps import crop_cards
from crossguard_app.presenters.scene import (
    camera_rows,
    camera_state,
    place_cards,
    place_layers,
    place_sentence,
    plate_picture,
    plate_title,
    region_list,
    size_lines,
    size_points,
    stored_form,
    unusual,
)
from crossguard_app.presenters.shapes import class_colors
from crossguard_app.resources import current_project
from crossguard_app.state import among, may_change, query, remember, reviewer, whole
from crossguard_app.views.charts import show, tooltip
from crossguard_app.views.map_parts import leave, walk
from crossguard_app.views.parts import empty_state, hint_panel, nothing_to_look_at
from crossguard_app.views.working import computed
from curate.errors import CurateError
from curate.scene.plate import Plate
from curate.workflows.gold import GOLD_SOURCE
from curate.workflows.progress import Reporter
from curate.workflows.project import Project
from curate.workflows.regions import (
    can_undo,
    current_regions,
    labels_left_out,
    regions_history,
    set_regions,
    undo_regions,
)
from curate.workflows.site_scene import (
    Place,
    camera_health,
    ghost_places,
    scene_sizes,
    standing_places,
    stored_plates,
)

_SHOWN = 24


@dataclass(frozen=True)
class _Places:
    ghosts: list[Place]
    standing: list[Place]
    problem: str = ""

    def find(self, name: str) -> Place | None:
        """The place behind "ghosts:3"."""
        layer, _, number = name.partition(":")
        places = {"ghosts": self.ghosts, "standing": self.standing}.get(layer, [])
        at = whole(number, 0, len(places) - 1)
        return None if at is None else places[at]


def _stamp(project: Project) -> str:
    """Changes with every scan and every decision."""
    newest = project.store.decisions(limit=1)
    state = project.store.artifact("scan", "state")
    site = project.config.model_dump_json()
    return f"{newest[0].sequence if newest else 0}-{state.created_at if state else 0}-{hash(site)}"


def page() -> None:
    """Draw the page."""
    leave()
    project = current_project()
    title, switch = st.columns([1, 2], vertical_alignment="center")
    with title:
        st.title("Scene", anchor=False)
    plates = stored_plates(project)
    if not plates and nothing_to_look_at(project):
        return
    if not plates:
        empty_state(
            "The empty scene is not known yet",
            "A scan learns what the camera sees when nothing is there, how large things are at each place, and where "
            "its detectors see ghosts.",
            "curate scan",
            way=("Start a scan", "train"),
        )
        return
    with switch, st.container(horizontal=True, horizontal_alignment="right"):
        plate = _choose(plates)
    root, stamp = str(project.root), _stamp(project)
    places = computed(
        "scene-places",
        root,
        stamp,
        "Looking for places where things recur",
        lambda bar: _places(project, bar),
    )
    left, right = st.columns([1.75, 1], gap="medium")
    with left:
        drawn = _board(project, plate, places)
    with right, st.container(key="scene-panel"):
        _regions(project, drawn)
        _picked(project, places)
    _more(project, places, stamp)


def _places(project: Project, bar: Reporter) -> _Places:
    standing = standing_places(project)
    try:
        return _Places(ghost_places(project, reporter=bar), standing)
    except CurateError as error:
        return _Places([], standing, str(error))


def _choose(plates: list[Plate]) -> Plate:
    numbers = [str(number) for number in range(len(plates))]
    if len(plates) == 1:
        st.caption(plate_title(plates[0], 0).partition(": ")[2].capitalize(), width="content")
        return plates[0]
    number = st.selectbox(
        "Light",
        numbers,
        numbers.index(among("light", numbers, "0")),
        key="scene-light",
        format_func=lambda n: plate_title(plates[int(n)], int(n)),
        label_visibility="collapsed",
        width=320,
    )
    remember(light=None if number == "0" else number)
    return plates[int(number or 0)]


def _token(regions: tuple[SceneRegion, ...]) -> str:
    # Saving and discarding begin a new drawing, even of the same regions.
    return f"{hash(regions)}-{st.session_state.get('scene-drawing', 0)}"


def _new_drawing() -> None:
    st.session_state["scene-drawing"] = st.session_state.get("scene-drawing", 0) + 1


def _pick(name: str) -> None:
    st.query_params["place"] = name


def _board(project: Project, plate: Plate, places: _Places) -> tuple[SceneRegion, ...] | None:
    stored = region_list(current_regions(project))
    return scene_board(
        "scene-board",
        token=_token(stored),
        image=plate_picture(plate),
        size=plate.size,
        regions=stored,
        layers=place_layers(places.ghosts, places.standing),
        picked=query("place") or "",
        on_pick=_pick,
        editable=may_change(),
    )


def _regions(project: Project, drawn: tuple[SceneRegion, ...] | None) -> None:
    st.subheader("Regions where nothing counts", anchor=False)
    now = current_regions(project)
    changed = drawn is not None and stored_form(drawn) != now
    shown = stored_form(drawn) if drawn is not None and changed else now
    counts = labels_left_out(project, shown)
    total = len(shown.ignore_regions) + len(shown.far_zone)
    working = project.config.labels.working
    if total:
        st.caption(
            f"{total} region{'' if total == 1 else 's'}. Left out of training, scoring and scanning alike: "
            f"{counts[working]:,} labels of {working} and {counts[GOLD_SOURCE]:,} gold objects that stand there."
        )
    else:
        st.caption(
            "None yet. Draw around a reflection, a screen or a far hedge: what stands there is left out of training, "
            "scoring and scanning alike."
        )
    if changed:
        st.badge("Not saved yet", color="orange", icon=":material/edit:")
    if not may_change():
        return
    with st.container(horizontal=True):
        if st.button("Save regions", type="primary", disabled=not changed) and drawn is not None:
            _store(lambda: set_regions(project, stored_form(drawn), reviewer(), seen=now))
        if st.button("Discard", disabled=not changed):
            _new_drawing()
            st.rerun()
        history = regions_history(project)
        if st.button(
            "Undo the last save", disabled=changed or not can_undo(history, now), icon=":material/undo:"
        ):
            _store(lambda: undo_regions(project, reviewer()))
    if problem := st.session_state.pop("scene-problem", None):
        st.error("The regions were not changed.", icon=":material/error:")
        st.text(problem)


def _store(change: Callable[[], object]) -> None:
    try:
        change()
    except CurateError as error:
        st.session_state["scene-problem"] = str(error)
    else:
        st.toast("Saved in site.yaml. The next scan, training and comparison go by it.")
    _new_drawing()
    st.rerun()


def _picked(project: Project, places: _Places) -> None:
    name = query("place") or ""
    place = places.find(name)
    if place is None:
        facts = [
            f"{len(places.ghosts)} places where the detectors see something that nobody labelled",
            f"{len(places.standing)} places where labelled things stand for long",
        ]
        hint_panel(
            "No place chosen", "Click a box on the scene to see its frames and to go through them.", facts
        )
        return
    with st.container(border=True):
        st.text(place_sentence(place))
        with st.container(horizontal=True):
            st.button(
                f"Go through {len(place.frames)} frames",
                type="primary",
                icon=":material/edit:",
                on_click=walk,
                args=("walk-frames", list(place.frames)),
            )
            if st.button("Close", icon=":material/close:"):
                remember(place=None)
                st.rerun()
    step = max(1, len(place.frames) // 4)
    frames = project.store.frames(ids=place.frames[::step][:4])
    gallery(
        "place-frames",
        frame_cards(project, frames, project.config.labels.working),
        mode="open",
        size=150,
        on_open=lambda frame_id: walk("walk-frames", [frame_id]),
    )


def _more(project: Project, places: _Places, stamp: str) -> None:
    camera, ghosts, standing, sizes = st.tabs(
        [
            "Camera",
            f"Unlabelled places ({len(places.ghosts)})",
            f"Standing things ({len(places.standing)})",
            "Sizes by place",
        ]
    )
    with camera:
        _camera(project, stamp)
    for tab, key, found, nothing in (
        (ghosts, "ghosts", places.ghosts, places.problem or "Every recurring detection has a label."),
        (standing, "standing", places.standing, "No labelled thing stands at one place for long."),
    ):
        with tab:
            if found:
                gallery(
                    f"{key}-cards",
                    place_cards(project, found[:_SHOWN], key),
                    mode="open",
                    size=140,
                    on_open=_pick,
                )
            else:
                st.caption(nothing)
    with sizes:
        _sizes(project, stamp)


def _camera(project: Project, stamp: str) -> None:
    notes = computed(
        "scene-camera",
        str(project.root),
        stamp,
        "Reading the camera's health",
        lambda _: camera_health(project),
    )
    state = camera_state(notes)
    (st.success if state.good else st.warning)(
        state.text, icon=":material/check_circle:" if state.good else ":material/warning:"
    )
    if not notes:
        return
    rows = camera_rows(notes)
    base = alt.Chart(rows).encode(x=alt.X("number:Q", title="Frame, in order of time"))
    lines = tooltip(
        name="Frame", time="Time", shift="Moved by (pixels)|.2f", brightness="Brightness|.0f", faults="Faults"
    )
    shift = base.mark_line(color="#1a9485").encode(
        y=alt.Y("shift:Q", title="Moved by, pixels"), tooltip=lines
    )
    dots = base.mark_point(filled=True, size=46, color="#ff4d4d").encode(y="shift:Q", tooltip=lines)
    limit = (
        alt.Chart(pd.DataFrame({"limit": [2]}))
        .mark_rule(strokeDash=[5, 4], color="#d9534f")
        .encode(y="limit:Q")
    )
    show(shift + limit + dots.transform_filter("datum.faults != 'none'"), height=190)
    st.caption(
        "Dashed: from 2 pixels on a frame counts as moved, and its evidence against the empty scene is void."
    )
    if state.frames:
        shown = [note.frame for note in state.frames[:_SHOWN]]
        cards = frame_cards(project, shown, project.config.labels.working)
        gallery("camera-frames", cards, mode="open", size=170, on_open=lambda f: walk("walk-frames", [f]))


def _sizes(project: Project, stamp: str) -> None:
    sizes = computed(
        "scene-sizes", str(project.root), stamp, "Fitting sizes by place", lambda _: scene_sizes(project)
    )
    if not sizes.prior.models:
        st.caption("Too few labels yet: eight of a class are needed to know how large it is at each place.")
        return
    classes = project.config.classes
    colors = class_colors(classes)
    scale = alt.Scale(domain=list(classes), range=[colors[name] for name in classes])
    color = alt.Color("label:N", scale=scale, title=None)
    points = (
        alt.Chart(size_points(sizes))
        .mark_circle(opacity=0.55)
        .encode(
            x=alt.X(
                "foot:Q", title="Lower edge of the box, pixels from the top", scale=alt.Scale(zero=False)
            ),
            y=alt.Y("height:Q", title="Height of the box, pixels"),
            size=alt.condition("abs(datum.deviation) > 3", alt.value(90), alt.value(28)),
            color=color,
            tooltip=tooltip(
                label="Class",
                height="Height|.0f",
                foot="Lower edge|.0f",
                deviation="Deviations from usual|.1f",
            ),
        )
    )
    lines = size_lines(sizes, classes)
    band = alt.Chart(lines).mark_area(opacity=0.16).encode(x="foot:Q", y="low:Q", y2="high:Q", color=color)
    usual = alt.Chart(lines).mark_line(strokeWidth=2).encode(x="foot:Q", y="usual:Q", color=color)
    show(band + points + usual, height=330)
    odd = unusual(sizes)
    if not odd:
        st.caption("No label is more than three deviations from the usual size of its class at its place.")
        return
    total = sum(entry.count for entry in odd)
    st.caption(
        f"{total:,} labels are far from usual (large dots), at {len(odd):,} places; the farthest first. "
        "Click one to edit it."
    )
    part = odd[:_SHOWN]
    shown = [entry.annotation for entry in part]
    frames = {frame.id: frame for frame in project.store.frames(ids={a.frame_id for a in shown})}
    cards = [
        replace(card, note=entry.says)
        for card, entry in zip(crop_cards(project, shown, frames), part, strict=True)
    ]
    gallery(
        "size-crops",
        cards,
        mode="open",
        size=120,
        on_open=lambda label_id: walk("walk", [label_id, *(a.id for a in shown if a.id != label_id)]),
    )
