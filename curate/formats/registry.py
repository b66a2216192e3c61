"""All label formats by name: how to tell them, read them, write them, and what each of them loses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from curate.errors import ConfigError, CurateError, FormatError
from curate.formats import (
    coco_results,
    cvat,
    cvat_images,
    datumaro,
    fiftyone,
    labelme,
    labelstudio,
    mot,
    voc,
    yolo,
)
from curate.formats._coco_export import export_to_coco
from curate.formats._coco_import import coco_to_labels
from curate.formats._coco_read import open_coco
from curate.formats._coco_write import write_coco
from curate.formats._peek import forget_peeked, peek_json
from curate.formats._sources import open_folder, single_file
from curate.formats.cvat import cvat_to_labels, read_cvat_video
from curate.formats.keeps import Keeps
from curate.formats.labelset import LabelExport, LabelSet
from curate.formats.lookup import FrameLookup
from curate.formats.report import ImportReport

__all__ = ["FORMATS", "Format", "ReadOptions", "detect_format", "get_format", "open_labels", "read_labels"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What some readers need beside the file.

    Attributes:
        frames: The project's frames, for formats that count frames.
        images: For COCO results: the COCO file of their images.
    """

    frames: FrameLookup
    images: Path | None = None


Reader = Callable[[Path, ImportReport, ReadOptions], LabelSet]
Writer = Callable[[Path, LabelExport], None]


@dataclass(frozen=True, slots=True)
class Format:
    """One label format.

    Attributes:
        name: As in `curate import NAME` and `curate export NAME`.
        title: For a person.
        layout: What lies on the disk.
        detect: Whether a file or folder is of this format; None: never looked for.
        read: Reads it; None: it only goes out.
        write: Writes it; None: it only comes in.
        keeps: What survives export and import again.
        notes: What a table of yes and no cannot say, one sentence each.
    """

    name: str
    title: str
    layout: str
    detect: Callable[[Path], bool] | None
    read: Reader | None
    write: Writer | None
    keeps: Keeps
    notes: tuple[str, ...] = field(default=())


def _is_coco(path: Path) -> bool:
    try:
        data = peek_json(single_file(path, ".json"))
    except (FormatError, OSError):
        return False
    return isinstance(data, dict) and {"images", "annotations"} <= set(data)


def _read_coco(path: Path, report: ImportReport, options: ReadOptions) -> LabelSet:
    return coco_to_labels(open_coco(single_file(path, ".json"), report))


def _write_coco(path: Path, export: LabelExport) -> None:
    write_coco(path, export_to_coco(export))


def _read_cvat_video(path: Path, report: ImportReport, options: ReadOptions) -> LabelSet:
    video = read_cvat_video(single_file(path, ".xml"), report=report)
    return cvat_to_labels(video, options.frames.by_index(), report)


def _plain(read: Callable[[Path, ImportReport], LabelSet]) -> Reader:
    return lambda path, report, options: read(path, report)


_BOXES_ONLY = {"polygons": False, "parts": False, "holes": False, "rle": False}
_NO_MARKS = {
    "ids": False,
    "tracks": False,
    "scores": False,
    "attributes": False,
    "occluded": False,
    "difficult": False,
    "ignore": False,
    "crowd": False,
}
_CARRIED = (
    'What the format has no place for goes along in an attribute "crossguard"; other programs pass it by.'
)

_ALL = (
    Format(
        "coco",
        "COCO",
        "one JSON file",
        _is_coco,
        _read_coco,
        _write_coco,
        Keeps(),
        ("Coordinates are rounded to 0.01 px; masks with holes become run lengths.",),
    ),
    Format(
        "coco-results",
        "COCO results (predictions)",
        "one JSON list, and NAME.images.json beside it",
        coco_results.is_coco_results,
        lambda path, report, options: coco_results.read_coco_results(path, report, images=options.images),
        coco_results.write_coco_results,
        Keeps(**{**_NO_MARKS, "ids": True, "scores": True}),
        ("Only labels with a score are written.",),
    ),
    Format(
        "yolo",
        "Ultralytics YOLO, detection",
        "folder: data.yaml, labels/train/*.txt",
        yolo.is_yolo,
        _plain(yolo.read_yolo),
        yolo.write_yolo_detect,
        Keeps(**_BOXES_ONLY, **_NO_MARKS),
        ("Shares of the picture with 8 digits. Read as detection or segmentation, line by line.",),
    ),
    Format(
        "yolo-seg",
        "Ultralytics YOLO, segmentation",
        "folder: data.yaml, labels/train/*.txt",
        None,
        _plain(yolo.read_yolo),
        yolo.write_yolo_segment,
        Keeps(**_NO_MARKS, box_beside_mask=False),
        (
            "A label without a mask becomes the rectangle of its box.",
            "Holes and several parts become one ring with bridges of no width, taken out again when read.",
        ),
    ),
    Format(
        "voc",
        "Pascal VOC",
        "folder: Annotations/*.xml",
        voc.is_voc,
        _plain(voc.read_voc),
        voc.write_voc,
        Keeps(**_BOXES_ONLY),
        (
            "Corners are pixel edges from 0; files of the VOC devkit, which count pixels from 1, are told by their "
            'database ("The VOC...") and shifted.',
            _CARRIED,
        ),
    ),
    Format(
        "cvat",
        "CVAT 1.1 for images",
        "one XML file",
        cvat_images.is_cvat_images,
        _plain(cvat_images.read_cvat_images),
        cvat_images.write_cvat_images,
        Keeps(),
        (_CARRIED,),
    ),
    Format(
        "cvat-video",
        "CVAT 1.1 for video",
        "one XML file a recording",
        cvat.is_cvat_video,
        _read_cvat_video,
        cvat.write_cvat_video,
        Keeps(**{**_BOXES_ONLY, "polygons": True}, clips=False),
        (
            "Tracks with keyframes; boxes between keyframes are interpolated on the frames that the project has, "
            "polygons are taken as CVAT wrote them. Of masks that are not one ring, the box alone.",
            "Frames out of the task's start, stop and step do not count as looked at.",
            _CARRIED,
        ),
    ),
    Format(
        "labelstudio",
        "Label Studio JSON",
        "one JSON file",
        labelstudio.is_labelstudio,
        _plain(labelstudio.read_labelstudio),
        labelstudio.write_labelstudio,
        Keeps(),
        (
            "Shares of the picture in per cent with 8 digits; brushes as Label Studio's own run lengths.",
            'What the format has no place for goes along in a region\'s "meta".',
        ),
    ),
    Format(
        "labelme",
        "LabelMe JSON",
        "folder: one JSON file a picture",
        labelme.is_labelme,
        _plain(labelme.read_labelme),
        labelme.write_labelme,
        Keeps(),
        (
            'What the format has no place for goes along in a key "crossguard" of the shape, which labelme keeps.',
        ),
    ),
    Format(
        "datumaro",
        "Datumaro",
        "folder: annotations/*.json",
        datumaro.is_datumaro,
        _plain(datumaro.read_datumaro),
        datumaro.write_datumaro,
        Keeps(),
        (_CARRIED,),
    ),
    Format(
        "mot",
        "MOT Challenge",
        "folder: gt/gt.txt, gt/labels.txt, seqinfo.ini",
        mot.is_mot,
        lambda path, report, options: mot.read_mot(path, report, options.frames),
        mot.write_mot,
        Keeps(
            **_BOXES_ONLY,
            ids=False,
            scores=False,
            attributes=False,
            difficult=False,
            crowd=False,
            clips=False,
        ),
        (
            "Frame 1 is the recording's frame 0. With labels.txt (CVAT, Datumaro, this program) corners are pixel "
            "edges from 0, without (the challenge) pixels from 1.",
            "Tracks whose id is no whole number are numbered anew; a visibility attribute is kept.",
            "All frames up to seqLength count as looked at.",
        ),
    ),
    Format(
        "fiftyone",
        "FiftyOne image detection dataset",
        "folder: data/, labels.json",
        None,
        None,
        fiftyone.write_fiftyone,
        Keeps(**_BOXES_ONLY),
        ("Out only. Ids, tracks and flags become attributes.",),
    ),
)

FORMATS: dict[str, Format] = {entry.name: entry for entry in _ALL}
"""Every format by name."""


def get_format(name: str) -> Format:
    """A format by name.

    Raises:
        ConfigError: No such format.
    """
    if name not in FORMATS:
        raise ConfigError(f"there is no format {name!r}", item="format", hint=f"one of {', '.join(FORMATS)}")
    return FORMATS[name]


def detect_format(path: Path) -> Format:
    """The format of a file or folder.

    Raises:
        FormatError: None of them, or more than one.
    """
    try:
        with open_folder(path) as opened:
            found = [entry for entry in FORMATS.values() if entry.detect is not None and entry.detect(opened)]
    finally:
        forget_peeked()
    if len(found) != 1:
        what = (
            f"it may be any of {', '.join(entry.name for entry in found)}"
            if found
            else "it is none that is known"
        )
        raise FormatError(
            f"the format is not clear: {what}", file=path, hint="name the format instead of auto"
        )
    return found[0]


@contextmanager
def open_labels(
    name: str, path: Path, options: ReadOptions, report: ImportReport | None = None
) -> Iterator[tuple[Format, LabelSet]]:
    """Begin to read labels of a format, or of "auto"; a .zip is unpacked with care first.

    Pictures and labels may be runs over the file, which are made inside the block.

    Raises:
        ConfigError: No such format, or it only goes out.
        FormatError: The file breaks its format; or, under the policy "fail", an item is bad.
        DataError: The file counts frames, and it is not clear of which recording.
    """
    report = report if report is not None else ImportReport()
    report.file = str(path)
    chosen = detect_format(path) if name == "auto" else get_format(name)
    if chosen.read is None:
        raise ConfigError(f"{chosen.title} is only written, not read", item="format")
    with open_folder(path) as opened:
        try:
            labels = chosen.read(opened, report, options)
            report.file = str(path)
            yield chosen, replace(labels, path=str(path))
        except CurateError as error:
            if error.file is not None:  # Nobody knows the temporary folder of an archive.
                error.file = error.file.replace(str(opened), str(path), 1)
            raise


def read_labels(
    name: str, path: Path, options: ReadOptions, report: ImportReport | None = None
) -> tuple[Format, LabelSet]:
    """`open_labels` with all of the file in memory."""
    with open_labels(name, path, options, report) as (chosen, labels):
        return chosen, replace(labels, pictures=tuple(labels.pictures), labels=tuple(labels.labels))
