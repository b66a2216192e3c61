"""What the maps of crops and of frames share on their page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import streamlit as st

from crossguard_app.components.cloud import PackedCloud
from crossguard_app.components.gallery import Card, gallery
from crossguard_app.components.points import point_map
from crossguard_app.presenters.maps import undo_all
from crossguard_app.resources import current_project
from crossguard_app.state import query, remember, reviewer
from crossguard_app.views.parts import plain_text
from crossguard_app.views.working import PageReporter
from curate.errors import CurateError
from curate.types import IntArray
from curate.workflows.embedding_store import Embedded, vectors_path
from curate.workflows.picked import Sent, take_from_queue
from curate.workflows.progress import Reporter
from curate.workflows.project import Project

__all__ = [
    "ALIKE",
    "act",
    "alike",
    "chart",
    "chosen_cards",
    "leave",
    "report",
    "send",
    "stamp",
    "walk",
]

PER_PAGE = 60
ALIKE = 8
_DONE = "map-done"


@dataclass(frozen=True)
class _Done:
    """What the last action did, and what takes it back."""

    text: str
    decisions: Sequence[str] = ()
    issues: Sequence[str] = field(default=())

    @property
    def can_undo(self) -> bool:
        return bool(self.decisions or self.issues)


def stamp(project: Project, what: Embedded) -> str:
    """Changes when a scan or a decision may have changed the map."""
    newest = project.store.decisions(limit=1)
    state = project.store.artifact("scan", "state")
    vectors = vectors_path(project, what)
    written = vectors.stat().st_mtime_ns if vectors.exists() else 0
    opened = sum(entry.count for entry in project.store.issue_counts() if entry.state.value == "open")
    return f"{newest[0].sequence if newest else 0}-{state.input_hash if state else ''}-{written}-{opened}"


def chart(key: str, cloud: PackedCloud) -> IntArray:
    """Draw the map, keep its colouring in the page's address; rows of the chosen points."""
    layers = cloud.layers
    wanted = query("colour")
    rows, layer = point_map(
        key,
        cloud,
        layer=wanted if wanted is not None and wanted in layers else layers[0],
        hint="draw around some, or click one · wheel zooms, right button moves",
    )
    remember(colour=None if layer == layers[0] else layer)
    return rows


def chosen_cards(
    key: str, ids: Sequence[str], cards: Callable[[Sequence[str]], list[Card]], *, size: int
) -> set[str]:
    """The chosen things as pictures, page by page; a click leaves one out. The ids that are still in."""
    memory: dict[str, Any] = st.session_state.setdefault(f"{key}-out", {"of": None, "out": set()})
    whole = hash(tuple(ids))
    if memory["of"] != whole:
        memory.update(of=whole, out=set())
    out: set[str] = memory["out"]
    pages = -(-len(ids) // PER_PAGE)
    number = 1
    if pages > 1:
        number = st.pagination(pages, key=f"{key}-page") or 1
    part = ids[(min(number, pages) - 1) * PER_PAGE : min(number, pages) * PER_PAGE]
    kept = gallery(f"{key}-cards", cards(part), mode="select", size=size, left_out=frozenset(out))
    out.difference_update(part)
    out.update(set(part) - set(kept))
    return set(ids) - out


def act(title: str, run: Callable[[Reporter], list[str]], noun: str, words: str) -> None:
    """Carry an action out with its progress, note what it did, draw the page again.

    Args:
        title: What is being done.
        run: Does it and gives the ids of its decisions.
        noun: What is counted, in the singular.
        words: What became of it.
    """
    try:
        made = run(PageReporter(title))
    except CurateError as error:
        st.session_state[_DONE] = _Done(f"Nothing was changed: {error}")
    else:
        plural = "" if len(made) == 1 else "s"
        st.session_state[_DONE] = _Done(f"{len(made):,} {noun}{plural} {words}", made)
    st.rerun()


def send(run: Callable[[], Sent], noun: str) -> None:
    """Put things into the queue, note what it did, draw the page again."""
    try:
        sent = run()
    except CurateError as error:
        st.session_state[_DONE] = _Done(f"Nothing was sent: {error}")
    else:
        count = len(sent.issues)
        waiting = f"; {sent.waiting} were there already" if sent.waiting else ""
        text = f"{count:,} {noun}{'' if count == 1 else 's'} sent to the top of the queue{waiting}"
        st.session_state[_DONE] = _Done(text, issues=sent.issues)
    st.rerun()


def report() -> None:
    """What the last action did, with its way back."""
    done = st.session_state.get(_DONE)
    if not isinstance(done, _Done):
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", key="map-done-line"):
        icon = ":material/check_circle:" if done.can_undo else ":material/error:"
        st.markdown(f"{icon} {plain_text(done.text)}")
        if done.can_undo and st.button("Undo", icon=":material/undo:", key="map-undo"):
            _take_back(done)
        if st.button(
            "", icon=":material/close:", key="map-dismiss", type="tertiary", help="Put this line away"
        ):
            st.session_state.pop(_DONE)
            st.rerun()


def _take_back(done: _Done) -> None:
    project = current_project()
    try:
        if done.decisions:
            undo_all(project, done.decisions, reviewer(), PageReporter("Taking back"))
        take_from_queue(project, done.issues)
    except CurateError as error:
        st.session_state[_DONE] = _Done(f"Nothing was taken back: {error}")
    else:
        st.session_state.pop(_DONE)
    st.rerun()


def walk(what: Literal["walk", "walk-frames"], ids: Collection[str]) -> None:
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
