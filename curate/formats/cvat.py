"""CVAT 1.1 "for video": tracks with keyframes, to labels on the frames of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from curate.annotations import Annotation, Frame
from curate.errors import FormatError
from curate.formats._carry import CARRY_KEY, with_carried
from curate.formats._cvat_read import MAX_BYTES, read_cvat_video
from curate.formats._cvat_types import CvatBox, CvatTrack, CvatVideo
from curate.formats._cvat_write import write_cvat_video
from curate.formats._peek import peek_xml
from curate.formats._place import place_labels
from curate.formats._sources import single_file
from curate.formats.labelset import FileLabel, LabelSet, Picture
from curate.formats.lookup import FrameLookup
from curate.formats.report import BadItem, ImportReport, Problem

__all__ = [
    "MAX_BYTES",
    "CvatBox",
    "CvatTrack",
    "CvatVideo",
    "ImportReport",
    "Problem",
    "cvat_to_annotations",
    "cvat_to_labels",
    "is_cvat_video",
    "read_cvat_video",
    "write_cvat_video",
]


def cvat_to_annotations(
    video: CvatVideo,
    frames: Mapping[int, Frame],
    source: str,
    *,
    label_map: Mapping[str, str | None] | None = None,
    id_prefix: str = "",
    report: ImportReport | None = None,
) -> list[Annotation]:
    """The tracks' boxes on the given frames of one clip.

    An annotation's id is "<clip>/<track>/<frame number>", its track id "<clip>/<track>": the same at every
    import, and different for every clip. Kinds of bad items: frame_size, unknown_class, box_outside. A box up
    to 2 px out of its frame is clipped and reported (box_clipped).

    Args:
        video: From `read_cvat_video`.
        frames: `Frame.index` -> frame, all of the clip that the file is about.
        source: The label source that they become.
        label_map: "vehicle" -> class, or "vehicle[type=truck]" -> class where an attribute decides; None
            leaves it out on purpose. Rules with an attribute go first, in their order. What no rule names is
            a bad item. Default: labels are the classes.
        id_prefix: Put before each annotation id.
        report: Policy and report; default: fail at the first bad item.

    Raises:
        FormatError: The clip has another size than the file says, or an item is bad under the policy "fail".
    """
    report = report if report is not None else ImportReport()
    report.file = video.path or report.file
    labels = cvat_to_labels(video, frames, report)
    lookup = FrameLookup.of(frames.values(), clip=next(iter(frames.values())).clip if frames else None)
    placed = place_labels(labels, lookup, source, label_map=label_map, id_prefix=id_prefix, report=report)
    return placed.annotations


def cvat_to_labels(video: CvatVideo, frames: Mapping[int, Frame], report: ImportReport) -> LabelSet:
    """The tracks' boxes on the given frames (number -> frame) of one clip, not yet placed."""
    order = sorted(frames)
    tracks: dict[int, list[CvatTrack]] = {}
    for track in video.tracks:
        for index in track.seen_on(order):
            tracks.setdefault(index, []).append(track)
    pictures: list[Picture] = []
    labels: list[FileLabel] = []
    for index in order:
        if index not in tracks and not video.holds(index):
            continue
        key = str(index)
        pictures.append(Picture(key, (), index, video.width, video.height, f"frame {index}"))
        for track in tracks.get(index, ()):
            item = f"track {track.id}, frame {index}"
            box = track.at(index)
            try:
                if box is not None:
                    labels.append(_label(track, box, index, key, frames[index].clip, item))
            except BadItem as bad:
                report.reject(item, bad)
    return LabelSet(tuple(pictures), tuple(labels), video.path)


def _label(track: CvatTrack, box: CvatBox, index: int, key: str, clip: str, item: str) -> FileLabel:
    attributes = dict(box.attributes)
    carried = attributes.pop(CARRY_KEY, None)
    label = FileLabel(
        f"{clip}/{track.id}/{index}",
        key,
        track.label,
        None if box.mask is not None else box.bbox_xyxy,
        box.mask,
        track_id=f"{clip}/{track.id}",
        occluded=box.occluded,
        attributes=attributes,
        item=item,
    )
    whole = with_carried(label, carried)
    # An id belongs to the keyframe alone, not to the boxes that are interpolated after it.
    return whole if track.keyframe_at(index) else replace(whole, id=label.id)


def is_cvat_video(path: Path) -> bool:
    """An XML file of <annotations> with <track>."""
    try:
        root = peek_xml(single_file(path, ".xml"))
        return root.tag == "annotations" and root.find("image") is None
    except (FormatError, OSError):
        return False
