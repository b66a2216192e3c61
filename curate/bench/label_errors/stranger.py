"""A data set that somebody brings: COCO or CVAT labels with their pictures, thinned out to a bounded size."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import DataError, FormatError
from curate.formats.coco import ImportReport, read_coco
from curate.formats.cvat import read_cvat_video
from curate.formats.media import IMAGE_SUFFIXES
from curate.workflows.ingest import ingest
from curate.workflows.labels import import_labels
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project

__all__ = ["Stranger", "read_stranger", "split_of"]

_VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mpg", ".mpeg", ".ts"})
_BLOCKS = 12
_INPUT = 512
_NUMBERED = re.compile(r"^(?P<stem>.+)_(?P<index>\d{6,})\.jpg$")


@dataclass(frozen=True)
class Stranger:
    """A data set, described but not yet read in.

    Attributes:
        kind: "coco" or "cvat".
        files: Label files.
        videos: Recordings; in the order of the files for CVAT.
        images: Names of the pictures to take, relative to `folder`, for a COCO file with image files.
        folder: Where the images lie.
        site: What site.yaml says.
        notes: What was decided, to be said aloud.
        clips: Number of recordings, where that is known beforehand.
    """

    kind: str
    files: tuple[Path, ...]
    videos: tuple[Path, ...]
    images: tuple[str, ...]
    folder: Path
    site: Mapping[str, Any]
    notes: tuple[str, ...]
    clips: int = 1
    _gold_share: float = field(default=0.25, repr=False)

    def fill(self, project: Project, source: str, reporter: SubReporter) -> None:
        """Read frames and labels into an empty project.

        Raises:
            DataError: No frame or label fits.
            FormatError: A file is broken.
        """
        if self.kind == "cvat":
            for file, video in zip(self.files, self.videos, strict=True):
                known = {frame.clip for frame in project.store.frames()}
                ingest(project, [video], reporter=reporter)
                clips = {frame.clip for frame in project.store.frames()} - known
                if not clips:
                    raise DataError("its frames are those of another recording", file=video, item="--frames")
                import_labels(
                    project, file, format="cvat-video", clip=clips.pop(), source=source, on_error="skip"
                )
            return
        if self.videos:
            ingest(project, list(self.videos), reporter=reporter)
        else:
            self._copy_images(project, reporter)
        # The file also lists frames that were thinned out: those are "unknown" here and passed over.
        for file in self.files:
            import_labels(project, file, format="coco", source=source, on_error="skip")

    def _copy_images(self, project: Project, reporter: SubReporter) -> None:
        staged = project.root / "pictures"
        for name in self.images:
            target = staged / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / name, target)
        ingest(project, [staged], reporter=reporter)
        shutil.rmtree(staged)

    def gold(self, project: Project) -> list[str] | None:
        """Frames to hold out where blocks cannot say it: the last quarter of every clip; None: whole blocks."""
        if self.site["split"]["folds"] != self.clips:
            return None
        chosen: list[str] = []
        frames = project.store.frames()
        for clip in sorted({frame.clip for frame in frames}):
            members = sorted((f for f in frames if f.clip == clip), key=lambda frame: frame.captured_at)
            chosen += [frame.id for frame in members[math.ceil(len(members) * (1 - self._gold_share)) :]]
        return chosen


def read_stranger(path: Path, frames: Path | None, max_frames: int) -> Stranger:
    """Look at a data set.

    Args:
        path: COCO (.json) or CVAT for video (.xml), or a folder with such files.
        frames: Folder of pictures or recordings, or one recording; None: beside the labels.
        max_frames: Take no more frames than this.

    Raises:
        DataError: Something is not there.
        FormatError: A file is broken.
    """
    if not path.exists():
        raise DataError(
            "there is no such data set",
            file=path,
            hint="--data sample, synth, or the path of a COCO or CVAT file or folder",
        )
    xml, coco = _label_files(path)
    place = frames or (path if path.is_dir() else path.parent)
    if not place.exists():
        raise DataError("there is no such folder of frames", file=place, item="--frames")
    return _cvat(xml, place, max_frames) if xml else _coco(coco[0], place, max_frames)


def _label_files(path: Path) -> tuple[list[Path], list[Path]]:
    listed = sorted(path.iterdir()) if path.is_dir() else [path]
    xml = [entry for entry in listed if entry.suffix.lower() == ".xml"]
    coco = [entry for entry in listed if entry.suffix.lower() == ".json"]
    if not xml and not coco:
        raise DataError(
            "there are no labels here: expected COCO (.json) or CVAT for video (.xml)",
            file=path,
            item="--data",
        )
    if not xml and len(coco) > 1:
        raise DataError(f"there are {len(coco)} JSON files; name the one to use", file=path, item="--data")
    return xml, coco


def _videos(place: Path) -> list[Path]:
    listed = sorted(place.iterdir()) if place.is_dir() else [place]
    return [entry for entry in listed if entry.suffix.lower() in _VIDEO_SUFFIXES]


def _cvat(files: Sequence[Path], place: Path, max_frames: int) -> Stranger:
    read = [read_cvat_video(file) for file in files]
    classes = sorted({track.label for video in read for track in video.tracks})
    videos = [_video_of(file, _videos(place), len(files)) for file in files]
    lengths = [_length(video) for video in read]
    total = sum(lengths)
    step = max(1, math.ceil(total / max_frames))
    notes = [] if step == 1 else [f"{total} frames are thinned out to every {step}th"]
    size = max(max(video.width or _INPUT, video.height or _INPUT) for video in read)
    site = _site(classes, files, size, every_n=step)
    site["split"], note = _split_of_clips(videos, len(files))
    return Stranger("cvat", tuple(files), tuple(videos), (), place, site, (*notes, note), len(files))


def _length(video: Any) -> int:
    last = video.last_frame
    return int(last if last is not None else max((track.last_frame for track in video.tracks), default=0)) + 1


def _video_of(file: Path, videos: Sequence[Path], files: int) -> Path:
    named = [video for video in videos if video.stem in file.stem or file.stem in video.stem]
    if len(named) == 1:
        return named[0]
    if files == 1 and len(videos) == 1:
        return videos[0]
    raise DataError(
        f"no recording belongs to it: {len(named)} of {len(videos)} have its name",
        file=file,
        item="--frames",
        hint="give the folder with the recordings, named as the label files are, or one recording",
    )


def _seconds(video: Path) -> float:
    import av

    try:
        with av.open(str(video)) as container:
            if container.duration is not None:
                return float(container.duration / 1_000_000)
            stream = container.streams.video[0]
            return float((stream.duration or 0) * (stream.time_base or 0))
    except (av.error.FFmpegError, IndexError) as error:
        raise FormatError(f"the recording cannot be opened: {error}", file=video) from error


def _split_of_clips(videos: Sequence[Path], clips: int) -> tuple[dict[str, Any], str]:
    lengths = [_seconds(video) for video in videos]
    longest, total = max(lengths), sum(lengths)
    if clips >= 4:
        block = longest * 1.01
        note = f"folds and gold are whole recordings ({clips})"
        return _split(block, min(1.0, block / 10), 2), note
    if clips > 1:
        note = (
            f"folds are whole recordings ({clips}); gold is the last quarter of each, so it is near to its "
            "working frames"
        )
        return _split(longest * 1.01, longest / 20, clips), note
    split = split_of(total)
    return split, f"one recording: blocks of {split['block_seconds']} s, gaps of {split['gap_seconds']} s"


def split_of(seconds: float) -> dict[str, Any]:
    """Two folds and gold of one recording: twelve blocks with a gap of a fifth of a block, a second at most."""
    block = max(seconds / _BLOCKS, 0.1)
    return _split(block, min(1.0, block / 5), 2)


def _split(block: float, gap: float, folds: int) -> dict[str, Any]:
    return {
        "block_seconds": round(block, 3),
        "gap_seconds": round(gap, 3),
        "folds": folds,
        "gold_share": 0.25,
    }


def _coco(file: Path, place: Path, max_frames: int) -> Stranger:
    dataset = read_coco(file, report=ImportReport(on_error="skip", file=str(file)))
    used = {annotation.category_id for annotation in dataset.annotations}
    classes = [entry.name for entry in dataset.categories if entry.id in used]
    if not dataset.images or not classes:
        raise DataError("the file holds no labelled image", file=file, item="--data")
    names = sorted(image.file_name for image in dataset.images)
    sizes = [max(image.width or _INPUT, image.height or _INPUT) for image in dataset.images]
    there = [
        name for name in names if (place / name).is_file() and Path(name).suffix.lower() in IMAGE_SUFFIXES
    ]
    if there:
        every = max(1, math.ceil(len(there) / max_frames))
        kept = there[::every]
        notes = [] if every == 1 else [f"{len(there)} images are thinned out to {len(kept)}"]
        if len(there) < len(names):
            notes.append(f"{len(names) - len(there)} of {len(names)} images are not there")
        site = _site(classes, [file], max(sizes), every_n=1)
        site["_images"] = kept
        site["split"] = split_of(float(len(kept)))
        notes.append("images count as one second apart where neither EXIF nor their names tell the time")
        return Stranger("coco", (file,), (), tuple(kept), place, site, tuple(notes))
    video, every, count = _numbered(names, _videos(place), file, place)
    thin = max(1, math.ceil(count / max_frames))
    site = _site(classes, [file], max(sizes), every_n=every * thin)
    site["split"] = split_of(_seconds(video))
    notes = [] if thin == 1 else [f"{count} frames are thinned out to every {thin}th"]
    return Stranger("coco", (file,), (video,), (), place, site, tuple(notes))


def _numbered(names: Sequence[str], videos: Sequence[Path], file: Path, place: Path) -> tuple[Path, int, int]:
    """The recording whose frames the images are ("<recording>_000120.jpg"), their spacing and number."""
    found = [match for name in names if (match := _NUMBERED.match(name))]
    for video in videos:
        indices = [int(match["index"]) for match in found if match["stem"] == video.stem]
        if indices:
            return video, max(1, int(np.gcd.reduce(indices))), len(indices)
    raise DataError(
        f"none of its {len(names)} images is there, such as {names[0]}",
        file=place,
        item="--frames",
        hint=f"give the folder that the file names of {file.name} are relative to, or the recording",
    )


def _site(classes: Sequence[str], files: Sequence[Path], size: int, *, every_n: int) -> dict[str, Any]:
    return {
        "site": "benchmark",
        "camera": "benchmark",
        "classes": list(classes),
        "frames": {"every_n": every_n},
        "model": {"input_size": int(np.clip(32 * round(size / 32), 160, _INPUT))},
        "_made_of": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
    }
