"""Finding the frame that a label file means by a path or a frame number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath

from curate.annotations import Frame
from curate.errors import DataError
from curate.formats._items import IMAGE_SUFFIXES
from curate.formats.report import BadItem

__all__ = ["FrameLookup"]


class FrameLookup:
    """The frames of a project by every name that they are known by.

    A path in a label file means the frame of exactly this name; else the only frame whose path ends in it, or
    that it ends in ("job_7/images/a.jpg" and "a.jpg"). Two such frames are a bad item, never a guess.
    """

    def __init__(
        self,
        names: Mapping[str, Frame],
        *,
        clip: str | None = None,
        ahead: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        """Frames by name.

        Args:
            names: Name or alias -> frame.
            clip: The recording that files which count frames belong to; None: the only one.
            ahead: Told which names come next, where `names` looks each of them up elsewhere.
        """
        self._names = names
        self._ahead = ahead
        self._clip = clip
        self._tails: dict[str, list[str]] | None = None
        self._stems: dict[str, list[str]] = {}
        self._indices: dict[int, Frame] | None = None

    @classmethod
    def of(cls, frames: Iterable[Frame], *, clip: str | None = None) -> FrameLookup:
        """Frames by their names alone."""
        return cls({frame.name: frame for frame in frames}, clip=clip)

    def expect(self, names: Iterable[str]) -> None:
        """Say which names are asked for next: many are found as quickly as one."""
        if self._ahead is not None:
            self._ahead(names)

    def by_names(self, names: Iterable[str]) -> Frame | None:
        """The frame of the first name that means one.

        Raises:
            BadItem: A name fits several frames.
        """
        for name in names:
            frame = self._by_name(name)
            if frame is not None:
                return frame
        return None

    def by_index(self) -> Mapping[int, Frame]:
        """Frame number -> frame, of the recording.

        Raises:
            DataError: There are several recordings and none was chosen, or no such one.
        """
        if self._indices is None:
            frames = {frame.id: frame for frame in self._names.values()}
            clips = sorted({frame.clip for frame in frames.values()})
            clip = self._clip
            if clip is None:
                if len(clips) != 1:
                    raise DataError(f"say which recording it belongs to, one of {clips}", item="--clip")
                clip = clips[0]
            elif clip not in clips:
                raise DataError(f"there is no recording {clip!r}; there are {clips}", item="--clip")
            self._indices = {frame.index: frame for frame in frames.values() if frame.clip == clip}
        return self._indices

    def _by_name(self, name: str) -> Frame | None:
        plain = name.replace("\\", "/")
        exact = self._names.get(name) or self._names.get(plain)
        if exact is not None:
            return exact
        if self._tails is None:
            self._tails = {}
            for known in self._names:
                path = PurePosixPath(known)
                self._tails.setdefault(path.name, []).append(known)
                self._stems.setdefault(path.stem, []).append(known)
        path = PurePosixPath(plain)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            candidates = [known for known in self._tails.get(path.name, []) if _one_ends_in(path, known)]
        else:
            known_names = self._stems.get(path.name, [])
            candidates = [known for known in known_names if _one_ends_in(path, _without_suffix(known))]
        found = {self._names[known].id: self._names[known] for known in candidates}
        if len(found) > 1:
            options = ", ".join(sorted(frame.name for frame in found.values())[:3])
            raise BadItem(
                "ambiguous_frame",
                f'"{name}" may be any of {len(found)} frames ({options})',
                "write the frame's whole name",
            )
        return next(iter(found.values()), None)


def _one_ends_in(path: PurePosixPath, known: str) -> bool:
    a = [part for part in path.parts if part not in ("/", ".")]
    b = PurePosixPath(known).parts
    shared = min(len(a), len(b))
    return shared > 0 and tuple(a[-shared:]) == tuple(b[-shared:])


def _without_suffix(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()
