"""Labels in from files and out to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from curate.annotations import Annotation, Frame
from curate.errors import ConfigError, DataError
from curate.formats.coco import ImportReport, annotations_to_coco, coco_to_annotations, read_coco, write_coco
from curate.formats.cvat import cvat_to_annotations, read_cvat_video
from curate.versions import get_version, load_version_annotations
from curate.workflows.coverage import covered_frames, mark_covered
from curate.workflows.project import Project

__all__ = ["LabelImport", "export_coco", "import_coco", "import_cvat"]


@dataclass(frozen=True)
class LabelImport:
    """What an import did.

    Attributes:
        source: Label source written.
        labels: Labels in the file that fit.
        new: Of them not there before.
        problems: Kind of problem -> how often.
        report: The same for a person, with the first problems.
    """

    source: str
    labels: int
    new: int
    problems: Mapping[str, int]
    report: tuple[str, ...]

    def __str__(self) -> str:
        head = f"{self.labels} labels read as source {self.source}, {self.new} of them new"
        return "\n".join([head, *self.report])


def import_coco(
    project: Project, file: Path, *, source: str | None = None, skip_bad: bool = False
) -> LabelImport:
    """Bring a COCO file's annotations in as a label source. All or nothing; the same file twice changes nothing.

    Args:
        project: The project.
        file: COCO JSON.
        source: Label source; the working source when None.
        skip_bad: Leave broken items out and report them, instead of refusing the file.

    Raises:
        FormatError: The file breaks the format.
        DataError: An item does not fit the project, or nothing is left.
        ConflictError: Labels of this source with these ids are there with other content.
    """
    source = source or project.config.labels.working
    report = ImportReport(on_error="skip" if skip_bad else "fail", file=str(file))
    dataset = read_coco(file, report=report)
    annotations = coco_to_annotations(
        dataset,
        _frames_by_name(project),
        source,
        label_map=_own_classes(project),
        id_prefix=f"{source}:",
        report=report,
    )
    frames = _frames_by_name(project)
    listed = [frames[image.file_name].id for image in dataset.images if image.file_name in frames]
    return _save(project, source, annotations, listed, report)


def import_cvat(
    project: Project,
    file: Path,
    *,
    clip: str | None = None,
    label_map: Mapping[str, str] | None = None,
    source: str | None = None,
    skip_bad: bool = False,
) -> LabelImport:
    """Bring CVAT video tracks in: boxes on the ingested frames of a clip, interpolated between keyframes.

    Args:
        project: The project.
        file: CVAT "for video" XML.
        clip: The recording; the only one when None.
        label_map: CVAT label -> class of the site; classes of the same name map by themselves.
        source: Label source; the working source when None.
        skip_bad: See `import_coco`.

    Raises:
        FormatError: The file breaks the format.
        DataError: An item does not fit the project.
    """
    source = source or project.config.labels.working
    clips = sorted({frame.clip for frame in project.store.frames()})
    if clip is None:
        if len(clips) != 1:
            raise DataError(f"say which recording it belongs to, one of {clips}", file=file, item="--clip")
        clip = clips[0]
    elif clip not in clips:
        raise DataError(f"there is no recording {clip!r}; there are {clips}", file=file, item="--clip")
    frames = {frame.index: frame for frame in project.store.frames(clip=clip)}
    report = ImportReport(on_error="skip" if skip_bad else "fail", file=str(file))
    dataset = read_cvat_video(file, report=report)
    mapping = {**_own_classes(project), **(label_map or {})}
    annotations = cvat_to_annotations(
        dataset, frames, source, label_map=mapping, id_prefix=f"{source}:{clip}:", report=report
    )
    return _save(
        project,
        source,
        annotations,
        [
            frame.id
            for frame in frames.values()
            if dataset.last_frame is None or frame.index <= dataset.last_frame
        ],
        report,
    )


def export_coco(
    project: Project,
    file: Path,
    *,
    source: str | None = None,
    version: str | None = None,
    frame_ids: list[str] | None = None,
) -> tuple[int, int]:
    """Write labels as COCO; the same labels always give the same bytes.

    Args:
        project: The project.
        file: Replaced at once when everything is written.
        source: Current labels of this source; the working source when None.
        version: Or the labels of a dataset version.
        frame_ids: Only these frames.

    Returns:
        Number of frames and of labels.
    """
    if version is not None:
        if source is not None:
            raise ConfigError("give a version or a source, not both", item="--source")
        chosen = get_version(project.store, version)
        frames = project.store.frames(ids=list(chosen.manifest.splits))
        annotations = load_version_annotations(project.store, chosen)
    else:
        source = source or project.config.labels.working
        covered = covered_frames(project, source)
        frames = [frame for frame in project.store.frames(include_excluded=False) if frame.id in covered]
        if not frames:
            known = ", ".join(entry.source for entry in project.store.sources()) or "none"
            raise DataError(
                f"source {source!r} has looked at no frame", item="--source", hint=f"there is: {known}"
            )
        annotations = project.store.annotations(source=source)
    if frame_ids is not None:
        frames = [frame for frame in frames if frame.id in set(frame_ids)]
    kept = {frame.id for frame in frames}
    annotations = [annotation for annotation in annotations if annotation.frame_id in kept]
    prefix = f"{source}:" if source else ""
    write_coco(file, annotations_to_coco(frames, annotations, project.config.classes, id_prefix=prefix))
    return len(frames), len(annotations)


def _frames_by_name(project: Project) -> dict[str, Frame]:
    """Frames by every name that they are known by."""
    by_id = {frame.id: frame for frame in project.store.frames()}
    names = {frame.name: frame for frame in by_id.values()}
    return names | {name: by_id[frame_id] for name, frame_id in project.store.frame_aliases().items()}


def _own_classes(project: Project) -> dict[str, str | None]:
    return {name: name for name in project.config.classes}


def _save(
    project: Project, source: str, annotations: list[Annotation], frame_ids: list[str], report: ImportReport
) -> LabelImport:
    if not annotations:
        raise DataError(
            "no label of it fits this project", file=report.file, hint="check class and file names"
        )
    there = project.store.frames_of_labels(label.id for label in annotations)
    # Tools number labels from 1 in every file: the same number on another frame is another label.
    annotations = [
        label
        if there.get(label.id, label.frame_id) == label.frame_id
        else replace(label, id=f"{label.id}@{label.frame_id}")
        for label in annotations
    ]
    with project.store.begin():
        new = project.store.add_annotations(annotations, actor=source)
        mark_covered(project, source, frame_ids)
    return LabelImport(source, len(annotations), new, dict(report.by_kind), tuple(report.lines()))
