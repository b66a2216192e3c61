"""MOT Challenge: gt/gt.txt of one recording, boxes with track numbers."""

from __future__ import annotations

import configparser
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path, PurePosixPath

from curate.annotations import Annotation
from curate.errors import DataError, FormatError
from curate.formats._carry import written_box
from curate.formats._cvat_write import own_track
from curate.formats._sources import read_text
from curate.formats._values import as_text, is_id_number, shown
from curate.formats._write import write_folder
from curate.formats._xml import is_xml_text, value_text
from curate.formats.labelset import Content, FileLabel, LabelExport, LabelSet, Picture
from curate.formats.lookup import FrameLookup
from curate.formats.report import BadItem, ImportReport

__all__ = ["MOT_CLASSES", "is_mot", "read_mot", "write_mot"]

MOT_CLASSES = (
    "pedestrian",
    "person_on_vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non_mot_vehicle",
    "static_person",
    "distractor",
    "occluder",
    "occluder_on_the_ground",
    "occluder_full",
    "reflection",
    "crowd",
)
"""Classes 1 to 13 of MOT16 and later, where no labels.txt says otherwise."""
_MAX_LENGTH = 10_000_000


def is_mot(path: Path) -> bool:
    """A folder with gt/gt.txt, or a text file of six to ten numbers a line."""
    try:
        file = _gt_file(path)
        first = next((line for line in read_text(file).splitlines() if line.strip()), "")
        return len(_fields(first)) >= 6 and all(map(_is_number, _fields(first)))
    except (FormatError, OSError):
        return False


def read_mot(path: Path, report: ImportReport, lookup: FrameLookup) -> LabelSet:
    """Read a MOT sequence onto the frames of one recording; frame 1 is the recording's frame 0.

    The challenge numbers pixels from 1, so that the left and upper edge are one less; CVAT and Datumaro, which add a
    labels.txt, write pixel edges from 0. A confidence of 0 in ground truth means "ignore"; an object less than half
    visible is occluded. Kinds of bad items: wrong_type, not_finite, box_size, unknown_category.

    Args:
        path: The sequence's folder, or its gt.txt.
        report: Policy and report.
        lookup: Says which frames there are.

    Raises:
        FormatError: Not such a file, or a bad item under the policy "fail".
        DataError: It is not clear of which recording it is.
    """
    file = _gt_file(path)
    report.file = str(path)
    names = _names(file.parent / "labels.txt")
    start = 0.0 if names else 1.0
    names = names or dict(enumerate(MOT_CLASSES, start=1))
    frames = lookup.by_index()
    clip = next(iter(frames.values())).clip if frames else ""
    labels: list[FileLabel] = []
    used: set[int] = set()
    for number, line in enumerate(read_text(file, what="a MOT file").splitlines(), start=1):
        if not line.strip():
            continue
        item = f"{file.name}, line {number}"
        try:
            index, label = _read_line(_fields(line), number, clip, names, start, item)
        except BadItem as bad:
            report.reject(item, bad)
            continue
        used.add(index)
        labels.append(label)
    last = _length(file.parent.parent / "seqinfo.ini") or max(used, default=-1) + 1
    looked_at = sorted(used | {index for index in frames if index < last})
    pictures = [Picture(str(index), (), index, item=f"frame {index + 1}") for index in looked_at]
    return LabelSet(tuple(pictures), tuple(labels), str(path))


def _gt_file(path: Path) -> Path:
    if path.is_file():
        return path
    for name in ("gt/gt.txt", "gt.txt", "det/det.txt"):
        if (path / name).is_file():
            return path / name
    # An archive made of a sequence has its folder around it.
    inner = sorted(path.glob("*/gt/gt.txt"))
    if len(inner) == 1:
        return inner[0]
    raise FormatError("expected gt/gt.txt of MOT", file=path)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in re.split(r"[,\s]\s*", line.strip()) if field.strip()]


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _names(path: Path) -> dict[int, str]:
    if not path.is_file():
        return {}
    names = [line.strip() for line in read_text(path, what="labels.txt").splitlines() if line.strip()]
    try:
        return {number: as_text(name, "a class name") for number, name in enumerate(names, start=1)}
    except BadItem as bad:
        raise FormatError(bad.message, file=path) from bad


def _length(path: Path) -> int | None:
    if not path.is_file():
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_text(path, what="seqinfo.ini"))
        text = parser.get("Sequence", "seqLength", fallback="")
    except configparser.Error as error:
        raise FormatError(f"not a seqinfo.ini: {error.message.splitlines()[0]}", file=path) from error
    return int(text) if re.fullmatch(r"[0-9]{1,8}", text) and int(text) <= _MAX_LENGTH else None


def _read_line(
    words: list[str], number: int, clip: str, names: Mapping[int, str], start: float, item: str
) -> tuple[int, FileLabel]:
    if len(words) < 6:
        raise BadItem("wrong_type", f"expected at least 6 numbers, got {len(words)}")
    values = []
    for word in words[:9]:
        if not _is_number(word):
            kind = "not_finite" if re.fullmatch(r"[+-]?(nan|inf\w*)", word, re.IGNORECASE) else "wrong_type"
            raise BadItem(kind, f"expected finite numbers, got {shown(word)}")
        values.append(float(word))
    frame, track, x, y, width, height = values[:6]
    if frame != int(frame) or not 1 <= frame <= _MAX_LENGTH:
        raise BadItem("wrong_type", f"frames are numbered from 1, got {shown(words[0])}")
    if track != int(track) or abs(track) > 2**53:
        raise BadItem("wrong_type", f"a track is a whole number, got {shown(words[1])}")
    box = (x - start, y - start, x - start + width, y - start + height)
    if width <= 0 or height <= 0 or box[2] <= box[0] or box[3] <= box[1]:
        raise BadItem("box_size", f"a box needs a width and a height above 0, got {width:g} and {height:g}")
    confidence = values[6] if len(values) > 6 else 1.0
    category = int(values[7]) if len(values) > 7 else -1
    if category != -1 and category not in names:
        raise BadItem("unknown_category", f"class {category} is not among 1..{len(names)}")
    visibility = values[8] if len(values) > 8 else 1.0
    is_track = track >= 0
    is_truth = category != -1
    label = FileLabel(
        f"{clip}/{int(track)}/{int(frame) - 1}" if is_track else f"{clip}/line/{number}",
        str(int(frame) - 1),
        names[category] if is_truth else names[min(names)],
        box,
        track_id=f"{clip}/{int(track)}" if is_track else None,
        score=confidence if not is_truth and 0 <= confidence <= 1 else None,
        ignore=is_truth and confidence == 0,
        occluded=0 <= visibility < 0.5,
        attributes={"visibility": visibility} if 0 < visibility < 1 else {},
        item=item,
    )
    return int(frame) - 1, label


def write_mot(path: Path, export: LabelExport) -> None:
    """Write gt/gt.txt, gt/labels.txt and seqinfo.ini of one recording, corners as pixel edges from 0.

    Tracks whose id is no whole number are numbered anew; labels without a track have -1. The recording's lines are held
    in memory.

    Raises:
        DataError: Several recordings, or a class name of several lines.
        ProjectError: There is something at `path`, or it cannot be written.
    """
    frames = FrameLookup.of(export.frames()).by_index()
    index_of = {frame.id: index for index, frame in frames.items()}
    first = frames[min(frames)]
    for name in export.classes:
        if not is_xml_text(name):
            raise DataError(f"labels.txt cannot hold the class name {name!r:.80}")
    numbers = {name: number for number, name in enumerate(export.classes, start=1)}
    labels = [label for _, found in export.by_frame(masks=False) for label in found]
    tracks = _track_numbers(labels, first.clip)
    lines = sorted(_line(label, index_of[label.frame_id], numbers, tracks) for label in labels)
    head = (
        f"[Sequence]\nname={'_'.join(first.clip.split())}\nimDir=img1\nseqLength={max(frames) + 1}\n"
        f"imWidth={first.width}\nimHeight={first.height}\nimExt=.jpg\n"
    )
    files: list[tuple[str, Content]] = [
        ("gt/gt.txt", "".join(f"{line}\n" for _, _, _, line in lines).encode("ascii")),
        ("gt/labels.txt", "".join(f"{name}\n" for name in export.classes).encode()),
        ("seqinfo.ini", head.encode()),
    ]
    write_folder(path, chain(files, _images(export, index_of)))


def _images(export: LabelExport, index_of: Mapping[str, int]) -> Iterator[tuple[str, Content]]:
    for frame in export.frames():
        image = export.image(frame)
        if image is not None:
            yield f"img1/{index_of[frame.id] + 1:06d}{PurePosixPath(frame.path).suffix}", image


def _track_numbers(labels: Sequence[Annotation], clip: str) -> dict[str, int]:
    ids = sorted({label.track_id for label in labels if label.track_id is not None})
    own = {track: own_track(track, clip) for track in ids}
    result = {track: int(name) for track, name in own.items() if is_id_number(name) and int(name) >= 0}
    taken, free = set(result.values()), 1
    for track in ids:
        if track not in result:
            while free in taken:
                free += 1
            result[track] = free
            taken.add(free)
    return result


def _line(
    label: Annotation, index: int, numbers: Mapping[str, int], tracks: Mapping[str, int]
) -> tuple[int, int, str, str]:
    x1, y1, x2, y2 = written_box(label.bbox_xyxy)
    track = -1 if label.track_id is None else tracks[label.track_id]
    sides = [value_text(value) for value in (x1, y1, x2 - x1, y2 - y1)]
    seen = label.attributes.get("visibility")
    is_share = isinstance(seen, int | float) and not isinstance(seen, bool) and 0 <= seen <= 1
    if not is_share or (float(seen or 0) < 0.5) != label.occluded:
        seen = 0 if label.occluded else 1
    words = [
        str(index + 1),
        str(track),
        *sides,
        str(int(not label.ignore)),
        str(numbers[label.label]),
        f"{seen:g}",
    ]
    return index, track, label.id, ",".join(words)
