"""Labels of a file onto the frames of a project: one set of rules for every format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from curate.annotations import Annotation
from curate.formats._masks import fit_box, fit_mask, mask_box
from curate.formats.labelset import FileLabel, LabelSet, Picture
from curate.formats.lookup import FrameLookup
from curate.formats.report import BadItem, ImportReport
from curate.geometry import Mask, Polygon, Rle
from curate.types import BoxTuple, Ring

__all__ = ["Placed", "Placing", "place_labels"]

_AHEAD = 500
_RULE = re.compile(r"(.+)\[([^=\]]+)=([^\]]*)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Placed:
    """Labels on frames, and all frames that the file speaks of."""

    annotations: list[Annotation]
    frame_ids: list[str]


class _Spot(NamedTuple):
    """What a label has to know of its frame: of a million frames little is held."""

    frame_id: str
    width: int
    height: int


class Placing:
    """The labels of a file on the frames of a project, one by one as the file is read.

    Kinds of bad items: unknown_frame, ambiguous_frame, same_frame, frame_size, unknown_class, box_outside, rle,
    no_shape, duplicate_id. A box or polygon up to 2 px out of its frame is clipped and reported (box_clipped,
    polygon_clipped). A missing box is taken from the mask; a box that is given stays as it is.

    Args:
        labels: From a reader.
        frames: The project's frames.
        source: The label source that they become.
        label_map: The file's name of a class -> class, or "vehicle[type=truck]" -> class where an attribute
            decides; None leaves it out on purpose. Rules with an attribute go first, in their order. What no
            rule names is a bad item. Default: the file's names are the classes.
        id_prefix: Put before each annotation id.
        report: Policy and report; default: fail at the first bad item.
    """

    def __init__(
        self,
        labels: LabelSet,
        frames: FrameLookup,
        source: str,
        *,
        label_map: Mapping[str, str | None] | None = None,
        id_prefix: str = "",
        report: ImportReport | None = None,
    ) -> None:
        self._labels, self._frames = labels, frames
        self._source, self._label_map, self._id_prefix = source, label_map, id_prefix
        self._report = report if report is not None else ImportReport()
        self._report.file = labels.path or self._report.file
        self._spots: dict[str, _Spot] = {}
        self._unknown: dict[str, tuple[str, str]] = {}

    @property
    def frame_ids(self) -> list[str]:
        """All frames that the file speaks of, when the run is over."""
        return [spot.frame_id for spot in self._spots.values()]

    def annotations(self) -> Iterator[Annotation]:
        """The run over the labels, once.

        Raises:
            FormatError: An item is bad, under the policy "fail".
            DataError: The file counts frames, and it is not clear of which recording.
        """
        self._place_pictures()
        seen: set[str] = set()
        for label in self._labels.labels:
            spot = self._spots.get(label.picture)
            if spot is None:
                self._miss(label.picture)
                continue
            item = label.item or f"label {label.id}"
            try:
                name = _class_of(label.label, label.attributes, self._label_map)
                if name is None:
                    continue
                annotation = _to_annotation(
                    label, spot, name, self._source, self._id_prefix, item, self._report
                )
                if annotation.id in seen:
                    raise BadItem("duplicate_id", f"there are two labels with the id {label.id}")
                if not self._labels.distinct:
                    seen.add(annotation.id)
            except BadItem as bad:
                self._report.reject(item, bad)
            else:
                yield annotation
        for item, text in self._unknown.values():
            self._report.leave_out(item, "unknown_frame", f"{text}; it has no labels")

    def _place_pictures(self) -> None:
        owner: dict[str, str] = {}
        pictures = iter(self._labels.pictures)
        while chunk := list(islice(pictures, _AHEAD)):
            self._frames.expect(picture.names[0] for picture in chunk if picture.names)
            for picture in chunk:
                item = picture.item or f"picture {picture.key}"
                try:
                    self._place(picture, item, owner)
                except BadItem as bad:
                    self._report.reject(item, bad)

    def _place(self, picture: Picture, item: str, owner: dict[str, str]) -> None:
        if picture.index is not None:
            frame = self._frames.by_index().get(picture.index)
        else:
            frame = self._frames.by_names(picture.names)
        if frame is None:
            text = f'"{(*picture.names, picture.key)[0]}" is not among the ingested frames'
            self._unknown[picture.key] = (item, text)
            return
        told = (picture.width or frame.width, picture.height or frame.height)
        if told != (frame.width, frame.height):
            raise BadItem(
                "frame_size",
                f"the file says {told[0]} x {told[1]} pixels, the frame has {frame.width} x {frame.height}",
                "the labels were made on pictures of another size",
            )
        if frame.id in owner:
            raise BadItem("same_frame", f"{owner[frame.id]} is the same frame ({frame.name})")
        owner[frame.id] = item
        self._spots[picture.key] = _Spot(frame.id, frame.width, frame.height)

    def _miss(self, key: str) -> None:
        """A label on a picture without a frame: told once, with the picture."""
        if key in self._unknown:
            item, text = self._unknown.pop(key)
            bad = BadItem("unknown_frame", text, "ingest its pictures first, or check the names")
            self._report.reject(item, bad)


def place_labels(
    labels: LabelSet,
    frames: FrameLookup,
    source: str,
    *,
    label_map: Mapping[str, str | None] | None = None,
    id_prefix: str = "",
    report: ImportReport | None = None,
) -> Placed:
    """All labels of a file at once; see `Placing`.

    Raises:
        FormatError: An item is bad, under the policy "fail".
        DataError: The file counts frames, and it is not clear of which recording.
    """
    placing = Placing(labels, frames, source, label_map=label_map, id_prefix=id_prefix, report=report)
    annotations = list(placing.annotations())
    return Placed(annotations, placing.frame_ids)


def _class_of(
    name: str, attributes: Mapping[str, Any], label_map: Mapping[str, str | None] | None
) -> str | None:
    if label_map is None:
        return name
    for rule, label in label_map.items():
        match = _RULE.fullmatch(rule)
        if match and match[1] == name and match[3] == _written(attributes.get(match[2])):
            return label
    if name not in label_map:
        told = ", ".join(f"{key}={_written(value)}" for key, value in sorted(attributes.items()))
        known = ", ".join(sorted(label_map)) or "none"
        raise BadItem(
            "unknown_class",
            f'the class "{name}"{f" ({told[:200]})" if told else ""} maps to no class (known: {known[:200]})',
            f'name it with --map "{name}=CLASS", or add it to the classes of site.yaml',
        )
    return label_map[name]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _to_annotation(
    entry: FileLabel,
    spot: _Spot,
    label: str,
    source: str,
    id_prefix: str,
    item: str,
    report: ImportReport,
) -> Annotation:
    size = (spot.width, spot.height)
    box, mask = entry.bbox_xyxy, entry.mask
    if entry.relative:
        box, mask = _scaled_box(box, *size), _scaled_mask(mask, *size)
    mask = None if mask is None else fit_mask(mask, *size, item, report)
    if box is None:
        if mask is None:
            raise BadItem("no_shape", "there is neither a box nor a mask")
        box = mask_box(mask)
    return Annotation(
        id=id_prefix + entry.id,
        frame_id=spot.frame_id,
        label=label,
        bbox_xyxy=fit_box(box, *size, item, report),
        mask=mask,
        source=source,
        score=entry.score,
        track_id=entry.track_id,
        iscrowd=entry.iscrowd,
        occluded=entry.occluded,
        difficult=entry.difficult,
        ignore=entry.ignore,
        attributes=dict(entry.attributes),
    )


def _scaled_box(box: BoxTuple | None, width: int, height: int) -> BoxTuple | None:
    if box is None:
        return None
    return (_pixels(box[0], width), _pixels(box[1], height), _pixels(box[2], width), _pixels(box[3], height))


def _scaled_mask(mask: Mask | None, width: int, height: int) -> Mask | None:
    if mask is None or isinstance(mask, Rle):
        return mask

    def scaled(ring: Ring) -> Ring:
        return tuple((_pixels(x, width), _pixels(y, height)) for x, y in ring)

    return tuple(Polygon(scaled(part.exterior), tuple(scaled(hole) for hole in part.holes)) for part in mask)


def _pixels(share: float, side: int) -> float:
    """To 0.0001 px: a third of 48 is 16 again, so that masks are the same to the pixel."""
    return round(share * side, 4) + 0.0
