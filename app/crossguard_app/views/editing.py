"""What the queue and the frame page share: the outbox is taken in, and the editor is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from crossguard_app.components.editor import editor, outbox_of
from crossguard_app.presenters.shapes import frame_values
from crossguard_app.presenters.sync import Refusal, SyncResult, take_in
from crossguard_app.state import reviewer
from curate.workflows.project import Project

__all__ = ["Editing"]


class Editing:
    """One editor on a page. It stands in no fragment: a restarted server knows no fragments until a whole run.

    Args:
        project: The project.
        key: Of the component.
        on_leave: Called when the person asks for the list that led here; None where there is none.
    """

    def __init__(self, project: Project, key: str, on_leave: Callable[[], None] | None = None) -> None:
        self._project = project
        self._key = key
        self._on_leave = on_leave
        self._refusals: list[Refusal] = st.session_state.setdefault(f"{key}-refusals", [])

    @property
    def current(self) -> str | None:
        """Key of the item that the browser shows."""
        at = (outbox_of(self._key) or {}).get("at")
        return at if isinstance(at, str) else None

    def take_in(self, outbox: Mapping[str, Any] | None = None) -> SyncResult:
        """Store what the browser sent; a refusal is told until the browser says that it knows."""
        outbox = outbox or outbox_of(self._key)
        known = (outbox or {}).get("known")
        if isinstance(known, int):
            self._refusals[:] = [entry for entry in self._refusals if entry.number > known]
        result = take_in(self._project, reviewer(), outbox, self._refusals)
        if result.client != st.session_state.get(f"{self._key}-client", result.client):
            self._refusals.clear()  # of an earlier page of the browser, which sends anew what it has not heard of
        st.session_state[f"{self._key}-client"] = result.client
        self._refusals += result.refused
        result.refused = list(self._refusals)
        return result

    def show(self, data: Callable[[SyncResult], Mapping[str, Any]]) -> None:
        """Show the editor with the data made from what was taken in.

        After a lost connection the browser's outbox comes with the mount and without a callback: when that holds
        something new, it is stored and the page is drawn again.
        """
        before = self.take_in()
        sent = editor(self._key, self._with_frame(data(before)), self._on_sync, self._on_leave)
        after = self.take_in(sent)
        if after.applied or (after.client, after.acknowledged) != (before.client, before.acknowledged):
            st.rerun()

    def _with_frame(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The data with the frame that the browser shows, also where it came there by none of its lists."""
        frame = (outbox_of(self._key) or {}).get("frame")
        if not isinstance(frame, str) or frame in data["frames"]:
            return data
        return {**data, "frames": {**data["frames"], **frame_values(self._project, [frame], data["source"])}}

    def _on_sync(self) -> None:
        result = self.take_in()
        if result.reopened:
            st.session_state[f"{self._key}-reopened"] = result.reopened

    def reopened(self) -> str | None:
        """Issue that an undo of an earlier page's decision opened again, once."""
        value = st.session_state.pop(f"{self._key}-reopened", None)
        return value if isinstance(value, str) else None
