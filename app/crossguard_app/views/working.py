"""Work that a page waits for: done once for the same input, with its progress and the time left on the page."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from crossguard_app.views.parts import plain_text, seconds_text
from curate.workflows.progress import Reporter, eta_seconds

__all__ = ["PageReporter", "computed"]

T = TypeVar("T")

_QUIET_SECONDS = 0.7
"""Work shorter than this shows no bar: it would only flicker."""
_MOST_KEPT = 24
_kept: OrderedDict[tuple[str, ...], tuple[str, Any]] = OrderedDict()
_locks: dict[tuple[str, ...], threading.Lock] = {}
_guard = threading.Lock()


class PageReporter:
    """Shows progress and the time left where it was made; nothing for what is over at once."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._place = st.empty()  # stands there empty too, so that nothing below it moves
        self._started = time.monotonic()

    def update(self, fraction: float, message: str) -> None:
        """Draw the bar."""
        if time.monotonic() - self._started < _QUIET_SECONDS:
            return
        eta = eta_seconds(self._started, fraction)
        left = "" if eta is None else f", about {seconds_text(eta)} left"
        self._place.progress(min(1.0, max(0.0, fraction)), text=plain_text(f"{self._title}: {message}{left}"))

    def should_stop(self) -> bool:
        """Never: a reload of the page stops the work."""
        return False


def computed(name: str, root: str, stamp: str, title: str, make: Callable[[Reporter], T]) -> T:
    """What `make` gives, kept in this process until the stamp changes.

    Args:
        name: Of the thing, with everything that tells one from another.
        root: Of the project.
        stamp: Changes when the input does.
        title: What is being done, for a person.
        make: Does it.
    """
    key = (root, name)
    with _guard:
        lock = _locks.setdefault(key, threading.Lock())
    # Always there, so that what stands below it keeps its place in the page and is not built anew.
    place = st.empty()
    with lock:
        found = _kept.get(key)
        if found is not None and found[0] == stamp:
            with _guard:
                _kept.move_to_end(key)
            value: T = found[1]
            return value
        with place.container(), st.spinner(f"{title} …", show_time=True):
            value = make(PageReporter(title))
        place.empty()
        with _guard:
            _kept[key] = (stamp, value)
            while len(_kept) > _MOST_KEPT:
                _kept.popitem(last=False)
        return value
