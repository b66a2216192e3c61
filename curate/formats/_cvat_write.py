"""Writing CVAT 1.1 "for video", and what both kinds of CVAT files declare of labels and attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from curate.annotations import Annotation
from curate.errors import DataError
from curate.files import write_atomically
from curate.formats._carry import CARRY_KEY, carried, carried_json, written_box
from curate.formats._masks import single_ring
from curate.formats._values import is_id_number
from curate.formats._xml import add_text, is_xml_text, points_text, value_text, xml_bytes
from curate.formats.labelset import LabelExport
from curate.formats.lookup import FrameLookup

__all__ = ["declare_labels", "is_plain", "own_track", "typed_text", "write_cvat_video"]

_NATIVE = ("occluded", "track_id")
Types = dict[str, dict[str, str]]


def declare_labels(task: Element, export: LabelExport) -> Types:
    """Write <labels>, since CVAT refuses attributes that are not declared.

    Returns:
        Class -> attribute -> CVAT's input type.
    """
    seen: dict[str, dict[str, set[type]]] = {name: {} for name in export.classes}
    for label in (label for _, labels in export.by_frame(masks=False) for label in labels):
        for key, value in label.attributes.items():
            if is_xml_text(key) and key != CARRY_KEY and isinstance(value, bool | int | str):
                seen[label.label].setdefault(key, set()).add(type(value))
    holder = SubElement(task, "labels")
    types: Types = {}
    for name, attributes in seen.items():
        entry = SubElement(holder, "label")
        add_text(entry, "name", name)
        types[name] = {key: _input_type(kinds) for key, kinds in sorted(attributes.items())}
        inner = SubElement(entry, "attributes")
        for key, kind in [*types[name].items(), (CARRY_KEY, "text")]:
            one = SubElement(inner, "attribute")
            add_text(one, "name", key)
            add_text(one, "mutable", "True")
            add_text(one, "input_type", kind)
            add_text(one, "default_value", "false" if kind == "checkbox" else "")
            add_text(one, "values", {"checkbox": "false", "number": "-1000000;1000000;1"}.get(kind, ""))
    return types


def _input_type(kinds: set[type]) -> str:
    return "checkbox" if kinds == {bool} else "number" if kinds == {int} else "text"


def is_plain(key: str, value: Any, types: Mapping[str, str]) -> bool:
    """Whether an attribute comes back as it was from its declared input type."""
    kind = types.get(key)
    if kind == "checkbox":
        return isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15
    return kind == "text" and isinstance(value, str) and is_xml_text(value)


def typed_text(value: Any) -> str:
    """An attribute's value as CVAT writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def own_track(track_id: str, clip: str) -> str:
    """A track's id without the recording that the import put before it."""
    return track_id.removeprefix(f"{clip}/")


def write_cvat_video(path: Path, export: LabelExport) -> None:
    """Write the boxes and polygons of one recording as tracks; a mask of several rings only by its box.

    The recording is held in memory: a file of tracks has every object through all frames.

    Every label is a keyframe; "outside" follows right after it where the next exported frame lacks the object.

    Raises:
        DataError: Several recordings, frames of several sizes, or XML cannot hold a name.
        ProjectError: The file cannot be written; what was there before is untouched.
    """
    frames = FrameLookup.of(export.frames()).by_index()
    order = sorted(frames)
    sizes = {(frame.width, frame.height) for frame in frames.values()}
    if len(sizes) != 1:
        raise DataError("a CVAT file for video holds frames of one size", hint="choose the format cvat")
    root = Element("annotations")
    add_text(root, "version", "1.1")
    task = SubElement(SubElement(root, "meta"), "task")
    add_text(task, "size", len(order))
    add_text(task, "mode", "interpolation")
    add_text(task, "start_frame", order[0])
    add_text(task, "stop_frame", order[-1])
    step = _step(order)
    add_text(task, "frame_filter", f"step={step}" if step > 1 else "")
    types = declare_labels(task, export)
    size = SubElement(task, "original_size")
    for key, value in zip(("width", "height"), sizes.pop(), strict=True):
        add_text(size, key, value)
    index_of = {frame.id: index for index, frame in frames.items()}
    following = dict(zip(order, [*order[1:], None], strict=True))
    clip = frames[order[0]].clip
    for track_id, labels in _tracks(export, index_of, clip).items():
        _write_track(root, track_id, labels, following, types, export, clip)
    write_atomically(path, xml_bytes(root), make_folder=False)


def _step(order: list[int]) -> int:
    steps = {b - a for a, b in pairwise(order)}
    return steps.pop() if len(steps) == 1 else 1


def _tracks(export: LabelExport, index_of: Mapping[str, int], clip: str) -> dict[str, dict[int, Annotation]]:
    """Track number to write -> frame number -> label.

    CVAT's tracks have one class and one shape a frame: what does not fit into its own track, and every label
    without one, becomes a track of its own. Other programs take a track's id for a number: texts get a free one, and
    the id itself goes along with the label.
    """
    tracks: dict[str | int, dict[int, Annotation]] = {}
    lone = 0
    labels = [label for _, found in export.by_frame() for label in found]
    for label in sorted(labels, key=lambda label: (index_of[label.frame_id], label.id)):
        index = index_of[label.frame_id]
        own = None if label.track_id is None else own_track(label.track_id, clip)
        track = None if own is None else tracks.setdefault(own, {})
        if (
            track is not None
            and index not in track
            and (not track or _kind(next(iter(track.values()))) == _kind(label))
        ):
            track[index] = label
            continue
        tracks[lone] = {index: label}
        lone += 1
    return _numbered({key: labels for key, labels in tracks.items() if labels})


def _numbered(tracks: Mapping[str | int, dict[int, Annotation]]) -> dict[str, dict[int, Annotation]]:
    """Tracks by number: their own where it is one (keys that are text), else the next free one."""
    result = {key: labels for key, labels in tracks.items() if isinstance(key, str) and _is_number(key)}
    free = 0
    for key in sorted(
        tracks, key=lambda key: (isinstance(key, int), key if isinstance(key, int) else 0, str(key))
    ):
        if not isinstance(key, str) or not _is_number(key):
            while str(free) in result:
                free += 1
            result[str(free)] = tracks[key]
    return dict(sorted(result.items(), key=lambda entry: int(entry[0])))


def _is_number(track_id: str) -> bool:
    return is_id_number(track_id) and not track_id.startswith("-")


def _kind(label: Annotation) -> tuple[str, bool]:
    """Class, and whether it is written as a polygon."""
    return label.label, single_ring(label.mask) is not None


def _write_track(
    root: Element,
    track_id: str,
    labels: Mapping[int, Annotation],
    following: Mapping[int, int | None],
    types: Types,
    export: LabelExport,
    clip: str,
) -> None:
    own_types = types[labels[min(labels)].label]
    track = SubElement(root, "track", id=track_id, label=labels[min(labels)].label, source="manual")
    for index in sorted(labels):
        label = labels[index]
        box = _write_shape(track, index, label, outside=False)
        own, rest = carried(
            label,
            export.own_id(label),
            native=_NATIVE,
            plain=lambda key, value: is_plain(key, value, own_types),
            box_is_written=single_ring(label.mask) is None,
        )
        if label.track_id != f"{clip}/{track_id}":
            rest["track_id"] = label.track_id
        pairs = {key: typed_text(value) for key, value in own.items()} | {CARRY_KEY: carried_json(rest)}
        for key in sorted(pairs):
            add_text(box, "attribute", pairs[key]).set("name", key)
        if following[index] not in labels:
            _write_shape(track, index + 1, label, outside=True)


def _write_shape(track: Element, index: int, label: Annotation, *, outside: bool) -> Element:
    marks = {"frame": str(index), "keyframe": "1", "outside": str(int(outside))}
    marks |= {"occluded": str(int(label.occluded))}
    ring = single_ring(label.mask)
    if ring is not None:
        return SubElement(track, "polygon", {**marks, "points": points_text(ring), "z_order": "0"})
    sides = dict(
        zip(("xtl", "ytl", "xbr", "ybr"), map(value_text, written_box(label.bbox_xyxy)), strict=True)
    )
    return SubElement(track, "box", {**marks, **sides, "z_order": "0"})
