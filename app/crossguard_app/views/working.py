"""Work that a page waits for: done once for the same input, with its progress and the time left on the page."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from crossguard_app.views.parts import plain_text, seconds_text
from curate.errors import CurateError
from curate.workflows.files import read_json, write_json
from curate.workflows.progress import Reporter, eta_seconds
from curate.workflows.project import STATE_FOLDER

__all__ = ["PageReporter", "computed"]

T = TypeVar("T")

_QUIET_SECONDS = 0.7
"""Work shorter than this shows no bar: it would only flicker."""
_MOST_KEPT = 24
_kept: OrderedDict[tuple[str, ...], tuple[str, Any]] = OrderedDict()
_locks: dict[tuple[str, ...], threading.Lock] = {}
_guard = threading.Lock()


class _Times:
    """How long a thing took when it was last made, kept with what can be computed again."""

    def __init__(self, root: Path, name: str) -> None:
        self._path = root / STATE_FOLDER / "cache" / "page-seconds.json"
        self._name = name

    def _read(self) -> dict[str, float]:
        try:
            found = read_json(self._path)
        except CurateError:
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}

    @property
    def words(self) -> str:
        """How long it takes, for a person; nothing for what was never long."""
        seconds = self._read().get(self._name, 0.0)
        return f" about {seconds_text(seconds)}, as the last time" if seconds >= 1 else ""

    def note(self, seconds: float) -> None:
        """Keep it where it was long enough to be waited for."""
        known = self._read()
        if seconds < _QUIET_SECONDS and self._name not in known:
            return
        with contextlib.suppress(
            CurateError
        ):  # A folder that cannot be written is no reason to show no page.
            write_json(self._path, known | {self._name: round(seconds, 2)})


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
        title: What is being done, for a person; how long it took the last time is said with it.
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
        times = _Times(Path(root), name.partition(":")[0])
        started = time.monotonic()
        with place.container(), st.spinner(f"{title} …{times.words}", show_time=True):
            value = make(PageReporter(title))
        place.empty()
        times.note(time.monotonic() - started)
        with _guard:
            _kept[key] = (stamp, value)
            while len(_kept) > _MOST_KEPT:
                _kept.popitem(last=False)
        return value
