"""CVAT 1.1 "for video": tracks with keyframes, to labels on the frames of a clip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from curate.annotations import Annotation, Frame
from curate.errors import FormatError
from curate.formats._cvat_read import MAX_BYTES, read_cvat_video
from curate.formats._cvat_types import CvatBox, CvatTrack, CvatVideo
from curate.formats._masks import fit_box
from curate.formats.report import BadItem, ImportReport, Problem

__all__ = [
    "MAX_BYTES",
    "CvatBox",
    "CvatTrack",
    "CvatVideo",
    "ImportReport",
    "Problem",
    "cvat_to_annotations",
    "read_cvat_video",
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
    result = []
    for index in sorted(frames):
        frame = frames[index]
        told = (video.width or frame.width, video.height or frame.height)
        if told != (frame.width, frame.height):
            raise FormatError(
                f"the file says {told[0]} x {told[1]} pixels, the frame has {frame.width} x {frame.height}",
                file=report.file or None,
                item=frame.name,
                hint="the labels were made on pictures of another size",
            )
        for track, box in video.boxes_at(index):
            item = f"track {track.id}, frame {index}"
            try:
                label = _class_of(track, box, label_map)
                if label is None:
                    continue
                result.append(
                    Annotation(
                        id=f"{id_prefix}{frame.clip}/{track.id}/{index}",
                        frame_id=frame.id,
                        label=label,
                        bbox_xyxy=fit_box(box.bbox_xyxy, frame.width, frame.height, item, report),
                        source=source,
                        track_id=f"{frame.clip}/{track.id}",
                        occluded=box.occluded,
                        attributes=dict(box.attributes),
                    )
                )
            except BadItem as bad:
                report.reject(item, bad)
    return result


def _class_of(track: CvatTrack, box: CvatBox, label_map: Mapping[str, str | None] | None) -> str | None:
    if label_map is None:
        return track.label
    for rule, label in label_map.items():
        match = re.fullmatch(r"(.+)\[([^=\]]+)=([^\]]*)\]", rule, re.DOTALL)
        if match and match[1] == track.label and match[3] == _written(box.attributes.get(match[2])):
            return label
    if track.label not in label_map:
        attributes = ", ".join(f"{key}={_written(value)}" for key, value in sorted(box.attributes.items()))
        raise BadItem("unknown_class", f'no rule for the label "{track.label}" ({attributes})')
    return label_map[track.label]


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
