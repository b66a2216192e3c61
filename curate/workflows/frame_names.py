"""Frames by name without having them all in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, ValuesView

from curate.annotations import Frame
from curate.formats import FrameLookup
from curate.store import Store
from curate.workflows.project import Project

__all__ = ["frame_lookup"]

_FEW = 50_000


def frame_lookup(project: Project, clip: str | None = None) -> FrameLookup:
    """Frames by every name that they are known by: all in memory, or, when there are many, looked up some at a time.

    Args:
        project: The project.
        clip: The recording that files which count frames belong to; None: the only one.
    """
    store = project.store
    if store.frame_counts()[0] > _FEW:
        names = _StoredNames(store)
        return FrameLookup(names, clip=clip, ahead=names.expect)
    return FrameLookup(_all(store), clip=clip)


def _all(store: Store) -> dict[str, Frame]:
    by_id = {frame.id: frame for frame in store.frames()}
    names = {frame.name: frame for frame in by_id.values()}
    return names | {name: by_id[frame_id] for name, frame_id in store.frame_aliases().items()}


class _StoredNames(Mapping[str, Frame]):
    """Asks the store, and remembers what was asked for last; only who wants all frames has them all in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Frame | None] = {}

    def expect(self, names: Iterable[str]) -> None:
        """Look these names up together; what was looked up before is let go."""
        wanted = list(names)
        self._known = {**dict.fromkeys(wanted), **self._store.frames_by_name(wanted)}

    def __getitem__(self, key: str) -> Frame:
        if key not in self._known:
            self._known[key] = self._store.frames_by_name([key]).get(key)
        frame = self._known[key]
        if frame is None:
            raise KeyError(key)
        return frame

    def __iter__(self) -> Iterator[str]:
        for frame in self._store.each_frame_by_name():
            yield frame.name
        yield from self._store.frame_aliases()

    def __len__(self) -> int:
        return self._store.frame_counts()[0] + len(self._store.frame_aliases())

    def values(self) -> ValuesView[Frame]:
        """All frames, read at once instead of name by name."""
        return _all(self._store).values()
