"""Recordings and images into content-addressed frames. Idempotent: what is there already is not stored twice."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from curate.annotations import Frame
from curate.errors import DataError, NotFoundError
from curate.formats.media import IMAGE_SUFFIXES, MediaItem, Rejected, read_images, read_video
from curate.store import FrameOrigin, Role
from curate.workflows.progress import Cancelled, Quiet, Reporter
from curate.workflows.project import Project

if TYPE_CHECKING:
    from curate.workflows.blur import Blurrer

__all__ = ["IngestReport", "ingest"]

_BATCH = 50


@dataclass(frozen=True)
class IngestReport:
    """What an ingest did.

    Attributes:
        added: New frames.
        known: Frames that were there already.
        rejected: (source, item, reason) of what could not be read.
        blurred: Pictures that went through the blurring before they were stored (`privacy.blur`).
        regions: Regions that were blurred in them.
        clear: Known frames that are stored clear although `privacy.blur` is set: they came in before it was.
    """

    added: int
    known: int
    rejected: tuple[tuple[str, str, str], ...]
    blurred: int = 0
    regions: int = 0
    clear: int = 0


def ingest(
    project: Project,
    sources: Sequence[str | Path],
    *,
    camera: str | None = None,
    reporter: Reporter | None = None,
) -> IngestReport:
    """Read videos, images, folders and globs into the project.

    Frames are saved in batches: after a crash the same command goes on where it stopped. With `privacy.blur`, what
    is written was blurred before; the clear picture never touches the disk.

    Args:
        project: Where to.
        sources: Files, folders or glob patterns.
        camera: Name of the camera; the site's when None.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        DataError: A source does not exist, or nothing at all could be read.
        ProjectError: The place of the frames cannot be written or reached; complete batches are kept.
        Cancelled: The reporter asked to stop; complete batches are kept.
    """
    project.expect_role(Role.REVIEWER)
    reporter = reporter or Quiet()
    batches = _batches(sources)
    added = known = 0
    rejected: list[tuple[str, str, str]] = []
    batch: list[Frame] = []
    good: set[str] = set()
    intake = _Intake(project, camera or project.config.camera)

    def flush() -> None:
        nonlocal added, known
        new = project.store.add_frames(batch, intake.take_origins())
        added, known = added + new, known + len(batch) - new
        batch.clear()

    for position, paths in enumerate(batches):
        for item in _read(project, paths):
            if reporter.should_stop():
                flush()
                raise Cancelled
            if isinstance(item, Rejected):
                project.store.quarantine(item.source, item.item, item.reason)
                rejected.append((item.source, item.item, item.reason))
                continue
            frame = intake.take(item)
            if frame is None:
                rejected.append((item.source, item.name, "it was purged and stays so"))
                continue
            batch.append(frame)
            if len(batch) >= _BATCH:
                flush()
            good.add(item.source)
            reporter.update(position / len(batches), f"{added + known + len(batch)} frames, {paths[0].name}")
        flush()  # The next recording may have the same name: it has to see these frames.
    flush()
    still_bad = {source for source, _, _ in rejected}
    for entry in project.store.quarantined():
        if entry.source in good - still_bad:  # A good copy came in since.
            project.store.release_quarantined(entry.source, entry.item)
    if not added and not known:
        where, part, reason = rejected[0] if rejected else (str(sources[0]), "", "it holds no frame")
        raise DataError(f"no frame could be read: {reason}", file=where, item=part or None)
    reporter.update(1.0, f"{added} new frames, {known} known, {len(rejected)} rejected")
    return IngestReport(added, known, tuple(rejected), intake.blurred, intake.regions, intake.clear)


class _Intake:
    """Takes pictures in one by one: refuses purged ones, knows those that are there, blurs, writes the files.

    A blurred frame is known again by the digest of its clear picture, whatever `privacy.blur` says by then.
    """

    def __init__(self, project: Project, camera: str) -> None:
        self._project = project
        self._camera = camera
        self._purged = project.store.tombstones("frame") | project.store.tombstones("clear")
        self._blurrer = _blurrer(project)
        self._origins: list[FrameOrigin] = []
        self.blurred = self.regions = self.clear = 0

    def take(self, item: MediaItem) -> Frame | None:
        """The frame of a picture, its file written; None for one that was purged."""
        digest = hashlib.sha256(item.data).hexdigest()
        if not self._purged.isdisjoint((digest, digest[:32])):
            return None
        known = self._known(digest)
        if known is not None:
            _, name = _free_name(self._project, item, known.id)
            return replace(known, name=name)
        if self._blurrer is None:
            return _store(self._project, item, self._camera)
        item, regions = self._blurrer.blur(item)
        frame = _store(self._project, item, self._camera)
        self._origins.append(FrameOrigin(digest, frame.id, {**self._blurrer.way, "regions": regions}))
        self.blurred, self.regions = self.blurred + 1, self.regions + regions
        return frame

    def take_origins(self) -> list[FrameOrigin]:
        """What was blurred since the last call."""
        taken, self._origins = self._origins, []
        return taken

    def _known(self, digest: str) -> Frame | None:
        """The frame that was made from this clear picture; when pictures are to be blurred, also the one that is it."""
        store = self._project.store
        for origin in store.frame_origins([digest]):
            return store.frame(origin.frame_id)
        if self._blurrer is not None:
            for frame in store.frames(ids=[digest[:32]]):
                self.clear += 1
                return frame
        return None


def _blurrer(project: Project) -> Blurrer | None:
    config = project.config
    if config.privacy.blur == "none":
        return None
    # Imported here: who does not blur need not wait for torch.
    from curate.workflows.blur import Blurrer

    return Blurrer(config.privacy.blur, config.train.device, config.frames.max_pixels)


def _batches(sources: Sequence[str | Path]) -> list[list[Path]]:
    """Each video on its own; all images, folders and patterns of images together, so that names stay unique."""
    videos: list[list[Path]] = []
    images: list[Path] = []
    for source in sources:
        paths = [Path(source)]
        if not paths[0].exists():
            paths = [Path(match) for match in sorted(glob.glob(str(source), recursive=True))]  # noqa: PTH207
        if not paths:
            raise DataError("no such file, folder or pattern", file=source)
        for path in paths:
            if path.is_file() and path.suffix.lower() not in IMAGE_SUFFIXES:
                videos.append([path])
            else:
                images.append(path)
    return videos + ([images] if images else [])


def _read(project: Project, paths: list[Path]) -> Iterator[MediaItem | Rejected]:
    frames = project.config.frames
    if paths[0].is_file() and paths[0].suffix.lower() not in IMAGE_SUFFIXES:
        return read_video(
            paths[0],
            every_seconds=frames.every_seconds,
            every_n=frames.every_n,
            quality=frames.jpeg_quality,
            max_pixels=frames.max_pixels,
        )
    return read_images(paths, quality=frames.jpeg_quality, max_pixels=frames.max_pixels)


def _store(project: Project, item: MediaItem, camera: str) -> Frame:
    """Write the image file (atomically, once) and describe it."""
    digest = hashlib.sha256(item.data).hexdigest()
    frame_id = digest[:32]
    relative = f"{frame_id[:2]}/{frame_id}.{item.extension}"
    project.frame_files.write(relative, item.data)
    clip, name = _free_name(project, item, frame_id)
    return Frame(
        id=frame_id,
        name=name,
        camera=camera,
        clip=clip,
        index=item.index,
        captured_at=item.captured_at,
        wall_time=item.wall_time,
        width=item.width,
        height=item.height,
        sha256=digest,
        path=relative,
        source=str(item.source),
    )


def _free_name(project: Project, item: MediaItem, frame_id: str) -> tuple[str, str]:
    """Two recordings may have one file name: the second gets a digest of its path, size and time in its name."""
    try:
        other = project.store.frame_by_name(item.name)
    except NotFoundError:
        return item.clip, item.name
    if other.id == frame_id:
        return other.clip, other.name
    file = Path(item.source).absolute()
    stamp = file.stat()
    mark = hashlib.sha256(os.fsencode(file) + f"/{stamp.st_size}/{stamp.st_mtime_ns}".encode()).hexdigest()[
        :6
    ]
    return f"{item.clip}~{mark}", f"{mark}~{item.name}"
