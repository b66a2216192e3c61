"""Frames and labels: browse and filter, then one frame in the editor."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from crossguard_app.components.gallery import gallery
from crossguard_app.presenters.frames import FrameFilter, frame_cards, frames_data, matching_frames, walk_data
from crossguard_app.resources import current_project
from crossguard_app.state import among, index_of, query, remember, reviewer
from crossguard_app.views.editing import Editing
from crossguard_app.views.next_frames import choose_next, is_choosing, reasons_to_label
from crossguard_app.views.parts import empty_state
from curate.workflows.gold import GOLD_SOURCE
from curate.workflows.project import Project

_KEY = "frame-editor"
_WALK_KEY = "walk-editor"
_FRAME_WALK_KEY = "frame-walk-editor"
_PER_PAGE = 24
_KINDS = {
    "all": "All frames",
    "labelled": "With labels",
    "empty": "Without labels",
    "excluded": "Excluded",
    "gold": "Gold test set",
}


def _filter(project: Project) -> FrameFilter:
    clips = sorted({frame.clip for frame in project.store.frames()})
    classes = project.config.classes
    sources = _sources(project)
    kinds = list(_KINDS)
    hidden: Literal["collapsed"] = "collapsed"
    columns = st.columns([2, 1.3, 1.3, 1.3, 1.3], vertical_alignment="bottom")
    with columns[0]:
        text = st.text_input(
            "Name", query("name") or "", key="frames-name", placeholder="Part of a file name",
            label_visibility=hidden,
        )  # fmt: skip
    with columns[1]:
        kind = st.selectbox(
            "Kind", kinds, kinds.index(among("show", kinds, "all")), key="frames-kind",
            format_func=_KINDS.__getitem__, label_visibility=hidden,
        )  # fmt: skip
    with columns[2]:
        clip = st.selectbox(
            "Recording", clips, index_of(clips, query("clip")), key="frames-clip",
            placeholder="All recordings", label_visibility=hidden,
        )  # fmt: skip
    with columns[3]:
        label = st.selectbox(
            "Class", classes, index_of(classes, query("class")), key="frames-class",
            placeholder="All classes", label_visibility=hidden,
        )  # fmt: skip
    with columns[4]:
        source = st.selectbox(
            "Labels of",
            sources,
            sources.index(among("source", sources, sources[0])),
            key="frames-source",
            format_func=lambda s: f"Labels: {s}",
            label_visibility=hidden,
        )
    remember(source=None if source == sources[0] else source)
    remember(name=text or None, show=None if kind == "all" else kind, clip=clip)
    remember(**{"class": label})
    return FrameFilter(text, clip, label, kind, source)


def _sources(project: Project) -> list[str]:
    """The working labels, and those of the gold set where there is one: what a person may edit here."""
    return [project.config.labels.working, *([GOLD_SOURCE] if project.store.gold_sets() else [])]


def _browse(project: Project) -> None:
    with st.container(key="filters"):
        wanted = _filter(project)
    frames = matching_frames(project, wanted)
    if not frames:
        empty_state("No frames match", "Take a filter out above.")
        return
    pages = -(-len(frames) // _PER_PAGE)
    left = st.session_state.pop("frame-left", None)
    place = next((at for at, frame in enumerate(frames) if frame.id == left), None)
    if place is not None:
        st.session_state["frame-page"] = place // _PER_PAGE + 1
    count, pager = st.columns([1, 1], vertical_alignment="center")
    with count:
        st.caption(
            f"{len(frames):,} frames · click one, or go there by arrows and Enter, to change its labels"
        )
    number = 1
    if pages > 1:
        with pager:
            number = min(st.pagination(pages, key="frame-page") or 1, pages)
    part = frames[(number - 1) * _PER_PAGE : number * _PER_PAGE]

    def opened(frame_id: str) -> None:
        st.query_params["frame"] = frame_id

    def turned(way: int) -> None:
        st.session_state["frame-page"] = number + way

    gallery(
        "frame-gallery",
        frame_cards(project, part, wanted.source),
        mode="open",
        size=250,
        on_open=opened,
        turns=[way for way in (-1, 1) if 1 <= number + way <= pages],
        on_turn=turned,
        focus=left,
        takes_focus=True,
    )


def _next() -> None:
    project = current_project()
    bare = not any(entry.source == project.config.labels.working for entry in project.store.sources())
    with st.expander(
        "Label next: frames that would teach most",
        icon=":material/auto_awesome:",
        expanded=bare or is_choosing(project),
    ):
        choose_next(project)


def _edit(start: str) -> None:
    project = current_project()
    source = query("source") if query("source") in _sources(project) else project.config.labels.working
    wanted = FrameFilter(
        query("name") or "", query("clip"), query("class"), query("show") or "all", source or ""
    )
    frames = matching_frames(project, wanted)
    editing = Editing(project, _KEY, on_leave=_back)
    current = editing.current or start
    remember(frame=current)
    editing.show(
        lambda sync: frames_data(
            project,
            frames,
            wanted.source,
            sync,
            current=current,
            wanted=start,
            token=start,
            reviewer=reviewer(),
        )
    )


def _walk(label_ids: list[str]) -> None:
    """Go through the labels chosen on the embedding map."""
    project = current_project()
    source = project.config.labels.working
    known = {annotation.id: annotation for annotation in project.store.annotations(source=source)}
    annotations = [known[label_id] for label_id in label_ids if label_id in known]
    editing = Editing(project, _WALK_KEY, on_leave=_back)
    current = editing.current or label_ids[0]
    editing.show(
        lambda sync: walk_data(
            project, annotations, source, sync, current=current, token=label_ids[0], reviewer=reviewer()
        )
    )


def _walk_frames(frame_ids: list[str]) -> None:
    """Go through frames that were chosen on another page, in their order there."""
    project = current_project()
    known = {frame.id: frame for frame in project.store.frames(ids=frame_ids)}
    frames = [known[frame_id] for frame_id in frame_ids if frame_id in known]
    editing = Editing(project, _FRAME_WALK_KEY, on_leave=_back)
    start = frame_ids[0]
    reasons = reasons_to_label(project)
    editing.show(
        lambda sync: frames_data(
            project,
            frames,
            project.config.labels.working,
            sync,
            current=editing.current or start,
            wanted=start,
            token=start,
            reviewer=reviewer(),
            notes=reasons,
        )
    )


def _back() -> None:
    st.session_state["frame-left"] = query("frame")  # the list opens where it was left
    remember(frame=None)
    for key in (_KEY, _WALK_KEY, _FRAME_WALK_KEY, "frame-start", "walk", "walk-frames"):
        st.session_state.pop(key, None)


def page() -> None:
    """Draw the page."""
    project = current_project()
    if not project.store.frames():
        empty_state(
            "No frames yet",
            "Take frames from a recording or a folder of images:",
            f"curate ingest VIDEO_OR_FOLDER --project {project.root}",
        )
        return
    st.session_state.pop("go-to", None)  # here we are
    walks = {"walk": _walk, "walk-frames": _walk_frames}
    for key, walk in walks.items():
        if ids := st.session_state.get(key):
            walk(ids)
            return
    frame_id = query("frame")
    if frame_id is None:
        _next()
        _browse(project)
        return
    start = st.session_state.setdefault("frame-start", frame_id)
    _edit(start)
