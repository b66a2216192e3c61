"""CVAT tracks in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from curate.geometry import Mask
from curate.types import BoxTuple

__all__ = ["CvatBox", "CvatTrack", "CvatVideo"]


@dataclass(frozen=True, slots=True)
class CvatBox:
    """A track's box on one frame.

    Attributes:
        frame: Frame number in the video, from 0.
        bbox_xyxy: Corners in pixels; of a polygon, the box around it.
        outside: The object is not in the picture from here on.
        occluded: CVAT's flag.
        attributes: Name -> bool, number or text.
        mask: The polygon of a track of polygons, else None.
    """

    frame: int
    bbox_xyxy: BoxTuple
    outside: bool = False
    occluded: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class CvatTrack:
    """One object over time.

    Attributes:
        id: As in the file.
        label: As in the file.
        keyframes: What a person drew, by frame.
        last_frame: How long the last keyframe holds (unless it is `outside`).
    """

    id: str
    label: str
    keyframes: tuple[CvatBox, ...]
    last_frame: int

    def keyframe_at(self, frame: int) -> bool:
        """Whether a person drew the box of this frame."""
        place = bisect_right(self.keyframes, frame, key=lambda box: box.frame)
        return place > 0 and self.keyframes[place - 1].frame == frame

    def seen_on(self, frames: Sequence[int]) -> Iterator[int]:
        """Those of the sorted frame numbers on which the object is in the picture."""
        for place, box in enumerate(self.keyframes):
            if box.outside:
                continue
            following = self.keyframes[place + 1 : place + 2]
            stop = following[0].frame if following else self.last_frame + 1
            yield from frames[
                bisect_left(frames, box.frame) : bisect_left(frames, min(stop, self.last_frame + 1))
            ]

    def at(self, frame: int) -> CvatBox | None:
        """The box on a frame, or None where the object is not in the picture.

        Between two keyframes corners move linearly; flags and attributes stay as they were. Towards a
        keyframe that says `outside` the box stands still, as in CVAT's own files: that keyframe marks the
        time of leaving, not a place. Polygons stand still until the next one that the file holds.
        """
        if frame > self.last_frame:
            return None
        place = bisect_right(self.keyframes, frame, key=lambda box: box.frame)
        if place == 0:
            return None
        before = self.keyframes[place - 1]
        after = self.keyframes[place] if place < len(self.keyframes) else None
        if before.outside:
            return None
        corners = before.bbox_xyxy
        if after is not None and not after.outside and before.mask is None and after.mask is None:
            share = (frame - before.frame) / (after.frame - before.frame)
            x1, y1, x2, y2 = (a + (b - a) * share for a, b in zip(corners, after.bbox_xyxy, strict=True))
            corners = (x1, y1, x2, y2)
        return replace(before, frame=frame, bbox_xyxy=corners)


@dataclass(frozen=True, slots=True)
class CvatVideo:
    """A "CVAT for video 1.1" file.

    Attributes:
        tracks: In the order of the file.
        labels: Label name -> its attributes (name -> input type), from the file's head.
        width: Pixels, or None when the head does not say.
        height: Pixels, or None.
        last_frame: Last frame of the task, or None.
        path: Where it was read.
        first_frame: First frame of the task.
        step: Only every so manieth frame belongs to the task.
    """

    tracks: tuple[CvatTrack, ...]
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    width: int | None = None
    height: int | None = None
    last_frame: int | None = None
    path: str = ""
    first_frame: int = 0
    step: int = 1

    def holds(self, frame: int) -> bool:
        """Whether a frame belongs to the task: somebody looked at it."""
        last = frame if self.last_frame is None else self.last_frame
        return self.first_frame <= frame <= last and (frame - self.first_frame) % self.step == 0

    def boxes_at(self, frame: int) -> Iterator[tuple[CvatTrack, CvatBox]]:
        """All objects in the picture on a frame."""
        for track in self.tracks:
            box = track.at(frame)
            if box is not None:
                yield track, box
