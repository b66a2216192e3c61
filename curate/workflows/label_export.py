"""Labels out to files: read as a stream from one view of the database, so that a project of any size goes out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from curate.annotations import Annotation, Frame
from curate.errors import ConfigError, DataError
from curate.formats import Content, LabelExport, get_format
from curate.versions import Version, get_version, version_label_ids, version_labels_by_frame
from curate.workflows.coverage import covered_frames
from curate.workflows.project import Project

__all__ = ["export_coco", "export_labels"]


def export_labels(
    project: Project,
    path: Path,
    *,
    format: str = "coco",  # noqa: A002
    source: str | None = None,
    version: str | None = None,
    clip: str | None = None,
    frame_ids: list[str] | None = None,
    images: bool = False,
) -> tuple[int, int]:
    """Write labels; the same labels always give the same bytes.

    Args:
        project: The project.
        path: A file, replaced at once when everything is written; or a folder, which must be new or empty.
        format: Name of a format.
        source: Current labels of this source; the working source when None.
        version: Or the labels of a dataset version.
        clip: Only frames of this recording.
        frame_ids: Only these frames.
        images: Copy the frames' images beside the labels, for formats that are folders.

    Returns:
        Number of frames and of labels.

    Raises:
        ConfigError: No such format, or it only comes in.
        DataError: There is nothing to export, or the format cannot hold it.
        ProjectError: It cannot be written.
    """
    chosen = get_format(format)
    if chosen.write is None:
        raise ConfigError(f"{chosen.title} is only read, not written", item="format")
    with (
        project.store.reading()
    ):  # Reviewers go on deciding while millions of labels are read, several times over.
        selection = _selection(project, source, version, clip, frame_ids)
        if next(selection.frames(), None) is None:
            raise DataError("there is no frame to export", item="--clip" if clip is not None else None)
        read = project.frame_files

        def image(frame: Frame) -> Content:
            return partial(read.read, frame) if read.remote else read.path(frame)

        prefix = "" if version is not None else f"{source or project.config.labels.working}:"
        labels = LabelExport(selection.frames, selection.rows, selection.ids, project.config.classes, prefix)
        chosen.write(path, replace(labels, image=image) if images else labels)
        return selection.written[0], selection.written[1]


def export_coco(
    project: Project,
    file: Path,
    *,
    source: str | None = None,
    version: str | None = None,
    frame_ids: list[str] | None = None,
) -> tuple[int, int]:
    """`export_labels` as COCO."""
    return export_labels(project, file, source=source, version=version, frame_ids=frame_ids)


@dataclass(frozen=True)
class _Selection:
    """The frames that are asked for, by name, and their labels: of a source now, or of a version.

    What is held is an id for each frame. Every writer runs through `rows` to their end: `written` is what the last run
    gave, frames and labels.
    """

    project: Project
    source: str
    version: Version | None
    frame_ids: Collection[str]
    clip: str | None
    written: list[int] = field(default_factory=lambda: [0, 0])

    def frames(self) -> Iterator[Frame]:
        for frame in self.project.store.each_frame_by_name(include_excluded=self.version is not None):
            if frame.id in self.frame_ids and self.clip in (None, frame.clip):
                yield frame

    def rows(self, masks: bool) -> Iterator[tuple[Frame, list[Annotation]]]:
        store, frames, labels = self.project.store, 0, 0
        if self.version is None:
            found = store.labels_by_frame(self.frames(), self.source, masks=masks)
        else:
            found = version_labels_by_frame(store, self.version, self.frames())
        for row in found:
            yield row
            frames, labels = frames + 1, labels + len(row[1])
        self.written[:] = frames, labels

    def ids(self) -> Iterator[str]:
        store = self.project.store
        if self.version is not None:
            return version_label_ids(store, self.version, self.frames())
        return store.label_ids_by_frame(self.frames(), self.source)


def _selection(
    project: Project,
    source: str | None,
    version: str | None,
    clip: str | None,
    frame_ids: list[str] | None,
) -> _Selection:
    if version is not None:
        if source is not None:
            raise ConfigError("give a version or a source, not both", item="--source")
        held = get_version(project.store, version)
        kept = set(held.manifest.splits)
    else:
        held, source = None, source or project.config.labels.working
        kept = covered_frames(project, source)
        if not kept:
            known = ", ".join(entry.source for entry in project.store.sources()) or "none"
            raise DataError(
                f"source {source!r} has looked at no frame", item="--source", hint=f"there is: {known}"
            )
    if frame_ids is not None:
        kept &= set(frame_ids)
    return _Selection(project, source or "", held, kept, clip)
