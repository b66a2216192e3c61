"""Frames by name without having them all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from curate.annotations import Frame
from curate.store import Store
from curate.workflows.project import Project

__all__ = ["frames_by_name"]

_FEW = 50_000


def frames_by_name(project: Project) -> Mapping[str, Frame]:
    """Frames by every name that they are known by: a dict, or, when there are many, looked up one by one."""
    store = project.store
    if store.frame_counts()[0] > _FEW:
        return _StoredNames(store)
    return _all(store)


def _all(store: Store) -> dict[str, Frame]:
    by_id = {frame.id: frame for frame in store.frames()}
    names = {frame.name: frame for frame in by_id.values()}
    return names | {name: by_id[frame_id] for name, frame_id in store.frame_aliases().items()}


class _StoredNames(Mapping[str, Frame]):
    """Asks the store; only a walk through all names loads them all."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Frame | None] = {}
        self._everything: dict[str, Frame] | None = None

    def _loaded(self) -> dict[str, Frame]:
        if self._everything is None:
            self._everything = _all(self._store)
        return self._everything

    def __getitem__(self, key: str) -> Frame:
        if key not in self._known:
            found = self._store.frames(names=[key])
            self._known[key] = found[0] if found else None
        frame = self._known[key]
        if frame is None:
            raise KeyError(key)
        return frame

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())
