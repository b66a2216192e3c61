"""What every label file becomes once it is read: pictures and labels, not yet tied to the frames of a project."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from curate.annotations import Annotation, Frame
from curate.errors import DataError
from curate.geometry import Mask
from curate.types import BoxTuple

__all__ = ["Content", "FileLabel", "LabelExport", "LabelSet", "Picture"]

Content = bytes | Path | Callable[[], bytes] | Iterator[bytes]
"""What a file of an exported folder holds: the bytes, whole or in pieces, a file to copy, or what makes the bytes."""


def _no_image(_: Frame) -> Content | None:
    return None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a label file names it.

    Attributes:
        key: How the file's labels refer to it; unique in the file.
        names: Paths under which it may be known, the likeliest first; without a suffix of an image, names of
            any suffix count. Empty when the file counts frames instead.
        index: Frame number in the recording, from 0, where the file counts frames.
        width: Pixels, or None when the file does not say.
        height: Pixels, or None.
        item: How messages call it ("image 17").
    """

    key: str
    names: tuple[str, ...] = ()
    index: int | None = None
    width: int | None = None
    height: int | None = None
    item: str = ""


@dataclass(frozen=True, slots=True)
class FileLabel:
    """A label as a file holds it; at least one of `bbox_xyxy` and `mask` is there.

    Attributes:
        id: The file's own id, or one made from picture and place: the same at every reading.
        picture: `Picture.key`.
        label: The file's name of the class.
        bbox_xyxy: Corners, in pixels or (see `relative`) in shares of width and height.
        mask: Polygons or RLE; an RLE is always in pixels.
        relative: Whether box and polygons are shares of the picture's sides (YOLO).
        item: How messages call it ("annotation 17").
    """

    id: str
    picture: str
    label: str
    bbox_xyxy: BoxTuple | None = None
    mask: Mask | None = None
    relative: bool = False
    track_id: str | None = None
    score: float | None = None
    iscrowd: bool = False
    occluded: bool = False
    difficult: bool = False
    ignore: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    item: str = ""


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A label file or folder. What is large comes as runs, made once each: the pictures, then the labels.

    Attributes:
        pictures: All pictures that somebody looked at, with labels or without.
        labels: Labels on them.
        path: Where it was read.
        distinct: The reader has seen to it that no two labels have one id.
    """

    pictures: Iterable[Picture]
    labels: Iterable[FileLabel]
    path: str = ""
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class LabelExport:
    """What a writer is given: runs over frames and labels, as many as it needs, none of them held in memory.

    Attributes:
        frames: Begins a run over all frames to export by name, also those without labels.
        rows: Begins a run over the same frames, each with its labels by id; without their masks where it is told so.
        ids: Begins a run over the ids of all these labels, in any order.
        classes: Class names in order.
        id_prefix: Taken off annotation ids.
        image: The image of a frame to write beside the labels, made when its turn comes; None: labels only.
    """

    frames: Callable[[], Iterable[Frame]]
    rows: Callable[[bool], Iterable[tuple[Frame, Sequence[Annotation]]]]
    ids: Callable[[], Iterable[str]]
    classes: Sequence[str]
    id_prefix: str = ""
    image: Callable[[Frame], Content | None] = _no_image

    @classmethod
    def of(
        cls,
        frames: Iterable[Frame],
        annotations: Iterable[Annotation],
        classes: Sequence[str],
        id_prefix: str = "",
        images: Mapping[str, Content] | None = None,
    ) -> LabelExport:
        """Of frames and labels that are in memory.

        Args:
            frames: In any order.
            annotations: Labels on those frames, in any order.
            classes: Class names in order.
            id_prefix: Taken off annotation ids.
            images: Frame id -> image.

        Raises:
            DataError: A label lies on a frame that is not exported.
        """
        ordered = sorted(frames, key=lambda frame: frame.name)
        rows: dict[str, list[Annotation]] = {frame.id: [] for frame in ordered}
        labels = sorted(annotations, key=lambda label: label.id)
        for label in labels:
            if label.frame_id not in rows:
                raise DataError("its frame is not among the exported ones", item=f"annotation {label.id}")
            rows[label.frame_id].append(label)
        given = images or {}
        return cls(
            lambda: ordered,
            lambda masks: ((frame, rows[frame.id]) for frame in ordered),
            lambda: (label.id for label in labels),
            classes,
            id_prefix,
            lambda frame: given.get(frame.id),
        )

    def by_frame(self, *, masks: bool = True) -> Iterator[tuple[Frame, Sequence[Annotation]]]:
        """Frames by name, each with its labels by id: the order of every file that is written.

        Args:
            masks: False where masks do not matter: far quicker.

        Raises:
            DataError: A label is of a class that is not exported.
        """
        for frame, labels in self.rows(masks):
            for label in labels:
                if label.label not in self.classes:
                    item = f"annotation {label.id}"
                    raise DataError(f'its class "{label.label}" is not among the classes', item=item)
            yield frame, labels

    def own_id(self, annotation: Annotation) -> str:
        """The id without the prefix that the import put before it."""
        return annotation.id.removeprefix(self.id_prefix)
