"""Coverage: place x time x light x class, where labels are thin, and which frames to label next."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.components.grid import count_grid
from crossguard_app.components.scene import PlaceLayer, PlaceMark, place_picture
from crossguard_app.presenters.coverage import (
    AXES,
    cell_frames,
    coverage_view,
    frame_counts,
    place_boxes,
    thin_cells,
)
from crossguard_app.presenters.frames import frame_cards
from crossguard_app.resources import current_project, image_url
from crossguard_app.state import among, query, remember, whole
from crossguard_app.views.map_parts import leave, walk
from crossguard_app.views.next_frames import choose_next
from crossguard_app.views.parts import empty_state, hint_panel, nothing_to_look_at
from crossguard_app.views.working import computed
from curate.workflows.project import Project
from curate.workflows.site_coverage import SiteCoverage, site_coverage

_SHOWN = 12
_EVERY = "All"
_SOURCES = {"working": "Working labels", "gold": "Gold objects"}


def page() -> None:
    """Draw the page."""
    leave()
    project = current_project()
    title, switch = st.columns([2, 1], vertical_alignment="center")
    with title:
        st.title("Coverage", anchor=False)
    if nothing_to_look_at(project):
        return
    coverage = computed(
        "coverage",
        str(project.root),
        _stamp(project),
        "Sorting labels by place, time and light",
        lambda bar: site_coverage(project, reporter=bar),
    )
    if coverage.labels.empty:
        empty_state(
            "No label counts",
            "All labels lie on excluded frames, on gold, or are left out by the labelling policy.",
            way=("Look at the frames", "frames"),
        )
        return
    with switch, st.container(horizontal=True, horizontal_alignment="right"):
        gold = _source() == "gold"
    st.caption(" · ".join(f"{count:,} frames {name}" for name, count in frame_counts(coverage).items()))
    rows, columns, only, least = _controls(coverage)
    left, right = st.columns([1.75, 1], gap="medium")
    with left:
        _grid(coverage, rows, columns, only, gold=gold, least=least)
    with right:
        _cell(project, coverage, rows, columns, only, gold=gold)
    _thin(coverage, least)
    st.subheader("Label next", anchor=False)
    choose_next(project)


def _stamp(project: Project) -> str:
    newest = project.store.decisions(limit=1)
    labels = [(entry.source, entry.labels) for entry in project.store.sources()]
    return f"{newest[0].sequence if newest else 0}-{labels}-{hash(project.config.model_dump_json())}"


def _source() -> str:
    of = st.segmented_control(
        "Count", list(_SOURCES), default=among("of", _SOURCES, "working"), key="coverage-of",
        format_func=_SOURCES.__getitem__, required=True, label_visibility="collapsed",
    )  # fmt: skip
    remember(of=None if of == "working" else of)
    return str(of)


def _controls(coverage: SiteCoverage) -> tuple[str, str, dict[str, str | None], int]:
    axes = list(AXES)
    with st.container(horizontal=True, vertical_alignment="bottom", key="coverage-controls"):
        rows = st.selectbox(
            "Rows", axes, axes.index(among("rows", axes, "place")), key="coverage-rows",
            format_func=AXES.__getitem__, width=130,
        )  # fmt: skip
        others = [axis for axis in axes if axis != rows]
        wanted = among("columns", others, "time" if "time" in others else others[0])
        columns = st.selectbox(
            "Columns", others, others.index(wanted), key="coverage-columns", format_func=AXES.__getitem__,
            width=130,
        )  # fmt: skip
        values = {
            "place": [name for name, _ in coverage.places],
            "time": list(coverage.times),
            "light": list(coverage.lights),
            "label": list(coverage.classes),
        }
        only: dict[str, str | None] = {}
        for axis in axes:
            if axis in (rows, columns):
                continue
            choices = [_EVERY, *values[axis]]
            at = choices.index(among(axis, values[axis], _EVERY))
            chosen = st.selectbox(AXES[axis], choices, at, key=f"coverage-only-{axis}", width=150)
            only[axis] = None if chosen == _EVERY else chosen
        first = whole(query("least"), 1, 1000) or 10
        least = st.number_input("Thin below", 1, 1000, first, key="coverage-least", width=120)
    if st.session_state.get("coverage-axes", (rows, columns)) != (rows, columns):
        remember(cell=None)  # it named a cell of the other grid
    st.session_state["coverage-axes"] = (rows, columns)
    remember(rows=None if rows == "place" else rows, columns=None if columns == "time" else columns)
    remember(least=None if least == 10 else str(least), **{axis: only.get(axis) for axis in axes})
    return str(rows), str(columns), only, int(least)


def _grid(
    coverage: SiteCoverage, rows: str, columns: str, only: Mapping[str, str | None], *, gold: bool, least: int
) -> None:
    view = coverage_view(coverage, rows, columns, only, gold=gold, least=least)

    def choose(cell: str) -> None:
        if cell:
            st.query_params["cell"] = cell
        elif "cell" in st.query_params:
            del st.query_params["cell"]

    count_grid(
        "coverage-grid",
        corner=AXES[rows],
        rows=view.rows,
        columns=view.columns,
        cells=view.cells,
        chosen=query("cell") or "",
        on_choose=choose,
    )
    st.caption(
        f"{view.thin} of {view.expected} cells are thin (outlined) or bare (dashed). Hatched: nothing to expect there. "
        "Click a cell to see its frames."
    )


def _chosen(coverage: SiteCoverage, rows: str, columns: str) -> dict[str, str | None] | None:
    """The two values that the chosen cell stands for."""
    parts = (query("cell") or "").split(",")
    values = {
        "place": [name for name, _ in coverage.places],
        "time": list(coverage.times),
        "light": list(coverage.lights),
        "label": list(coverage.classes),
    }
    if len(parts) != 2:
        return None
    row, column = (
        whole(part, 0, len(values[axis]) - 1) for part, axis in zip(parts, (rows, columns), strict=True)
    )
    if row is None or column is None:
        return None
    return {rows: values[rows][row], columns: values[columns][column]}


def _cell(
    project: Project,
    coverage: SiteCoverage,
    rows: str,
    columns: str,
    only: Mapping[str, str | None],
    *,
    gold: bool,
) -> None:
    chosen = _chosen(coverage, rows, columns)
    wanted = {**only, **(chosen or {})}
    _places(project, coverage, wanted, gold=gold)
    if chosen is None:
        hint_panel(
            "No cell chosen",
            "Click a cell of the grid: its frames come here, and those that wait for labels.",
        )
        return
    labelled, bare = cell_frames(coverage, wanted, gold=gold)
    st.text(" · ".join(str(value) for value in wanted.values() if value))
    with st.container(horizontal=True):
        st.button(
            f"Go through {len(labelled):,}",
            type="primary",
            disabled=not labelled or gold,
            icon=":material/edit:",
            on_click=walk,
            args=("walk-frames", labelled),
            help="In the editor, those with most labels of the cell first.",
        )
        st.button(
            f"Label {len(bare):,} bare frames",
            disabled=not bare,
            icon=":material/add_box:",
            on_click=walk,
            args=("walk-frames", bare),
            help="Frames of that time and light that nobody has labelled.",
        )
    frames = {frame.id: frame for frame in project.store.frames(ids=labelled[:_SHOWN])}
    shown = [frames[key] for key in labelled[:_SHOWN] if key in frames]
    source = "gold" if gold else project.config.labels.working
    gallery(
        "cell-frames",
        frame_cards(project, shown, source),
        mode="open",
        size=150,
        on_open=lambda frame_id: walk("walk-frames", [frame_id]),
    )


def _places(project: Project, coverage: SiteCoverage, only: Mapping[str, str | None], *, gold: bool) -> None:
    """Where the places lie in the picture, with their counts."""
    frames = project.store.frames()
    frame = frames[len(frames) // 2]
    counts = place_boxes(coverage, gold=gold, only=only)
    most = max(1, *(count for _, _, count in counts))
    marks = tuple(PlaceMark(box, count / most, f"{name}: {count:,}") for name, box, count in counts)
    layer = PlaceLayer("places", "Places", "", "#1a9485", marks)
    at = next((number for number, (name, _, _) in enumerate(counts) if name == only.get("place")), None)
    place_picture(
        "coverage-places", image=image_url(project, frame, width=640), size=(frame.width, frame.height), layer=layer,
        picked=at,
    )  # fmt: skip


def _thin(coverage: SiteCoverage, least: int) -> None:
    st.subheader("What is thin", anchor=False)
    found = thin_cells(coverage, least=least)
    if not found:
        st.caption(
            "Every class has its share of labels at every place, time and light where it can be expected."
        )
        return
    table = pd.DataFrame(
        [
            {
                "Class": cell.label,
                "Place": cell.place,
                "Time": cell.time,
                "Light": cell.light,
                "Labels": cell.labels,
                "Expected": round(cell.expected, 1),
                "Gold": cell.gold,
                "Bare frames": cell.unlabelled,
                "What to do": cell.says[:1].upper() + cell.says[1:],
            }
            for cell in found
        ]
    )
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        height=min(338, 38 + 35 * len(table)),
        column_config={"What to do": st.column_config.Column(width=330)},
    )
    st.caption(
        "Expected: as many as the same class has at the same place on the other frames, for that much footage."
    )
