"""Labels in from files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from curate.annotations import Annotation
from curate.errors import ConfigError, DataError
from curate.formats import ImportReport, OnError, Placing, ReadOptions, open_labels
from curate.store import Role
from curate.store.base import chunked
from curate.workflows.coverage import mark_covered
from curate.workflows.frame_names import frame_lookup
from curate.workflows.project import Project

__all__ = ["LabelImport", "import_coco", "import_labels"]

_BEFORE = 20_000
"""Labels, about 40 MB."""


@dataclass(frozen=True)
class LabelImport:
    """What an import did, or would do.

    Attributes:
        source: Label source written.
        format: Name of the format that was read.
        frames: Frames that the file speaks of, with labels or without.
        labels: Labels in the file that fit.
        new: Of them not there before.
        classes: Class -> number of labels.
        problems: Kind of problem -> how often.
        report: The same for a person, with the first problems.
        put_aside: Items noted in the project's quarantine.
        dry_run: Nothing was changed.
    """

    source: str
    format: str
    frames: int
    labels: int
    new: int
    classes: Mapping[str, int]
    problems: Mapping[str, int]
    report: tuple[str, ...]
    put_aside: int = 0
    dry_run: bool = False

    def __str__(self) -> str:
        would = "would be " if self.dry_run else ""
        counts = ", ".join(f"{name} {count}" for name, count in self.classes.items())
        head = (
            f"{self.format}: {self.labels} labels on {self.frames} frames {would}read as source {self.source}, "
            f"{self.new} of them new{f' ({counts})' if counts else ''}"
        )
        aside = [f"{self.put_aside} items {would}put aside"] if self.put_aside else []
        return "\n".join([head, *aside, *self.report])


class _TakeBack(Exception):
    """Ends a transaction without a trace."""


def import_labels(
    project: Project,
    path: Path,
    *,
    format: str = "auto",  # noqa: A002
    source: str | None = None,
    clip: str | None = None,
    label_map: Mapping[str, str | None] | None = None,
    images: Path | None = None,
    on_error: OnError = "fail",
    dry_run: bool = False,
) -> LabelImport:
    """Bring labels in as a label source. All or nothing; the same file twice changes nothing.

    A source's labels are never touched by another source, nor by a second file of the same source: an id that
    is taken on another frame gets its frame after it, and a label that came in before with other content is a
    conflict, by which nothing is changed.

    Args:
        project: The project.
        path: File, folder or .zip.
        format: Name of a format, or "auto".
        source: Label source; the working source when None.
        clip: For formats that count frames: the recording; the only one when None.
        label_map: The file's class -> class of the site, None to leave it out, "vehicle[type=truck]" where an
            attribute decides; classes of the same name map by themselves.
        images: For COCO results: the COCO file of their images.
        on_error: What becomes of bad items: refuse the file, leave them out, or leave them out and note them in
            the project's quarantine, from where a later import of the mended file takes them back.
        dry_run: Do all of it, then take it back.

    Raises:
        FormatError: The file breaks the format.
        ConfigError: No such format, or a class that the site does not have.
        DataError: An item does not fit the project, or nothing is left.
        ConflictError: Labels of this source with these ids are there with other content.
        AccessError: It is no dry run, the project has users, and who asks is none of them or only a viewer.
    """
    if not dry_run:
        project.expect_role(Role.REVIEWER)
    source = source or project.config.labels.working
    classes = project.config.classes
    unknown = sorted({name for name in (label_map or {}).values() if name is not None} - set(classes))
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is not a class of the site", item="--map", hint=", ".join(classes))
    report = ImportReport(on_error=on_error, file=str(path))
    frames = frame_lookup(project, clip)
    counted: Counter[str] = Counter()
    new = 0
    with open_labels(format, path, ReadOptions(frames, images), report) as (chosen, labels):
        placing = Placing(
            labels,
            frames,
            source,
            label_map={**{name: name for name in classes}, **(label_map or {})},
            id_prefix=f"{source}:",
            report=report,
        )
        run = placing.annotations()
        # Reviewers wait while somebody writes: what a usual file holds is read and checked before.
        first = list(islice(run, _BEFORE))
        try:
            with project.store.begin():
                apart = _apart(project, chain(first, run))
                new = project.store.add_annotations(_counted(apart, counted), actor=source)
                frame_ids = placing.frame_ids
                _expect_some(counted, frame_ids, report)
                mark_covered(project, source, frame_ids)
                _put_aside(project, report)
                if dry_run:
                    raise _TakeBack
        except _TakeBack:
            pass
    return LabelImport(
        source=source,
        format=chosen.name,
        frames=len(frame_ids),
        labels=counted.total(),
        new=new,
        classes={name: counted[name] for name in classes if counted[name]},
        problems=dict(report.by_kind),
        report=tuple(report.lines()),
        put_aside=len(report.aside),
        dry_run=dry_run,
    )


def import_coco(
    project: Project,
    file: Path,
    *,
    source: str | None = None,
    on_error: OnError = "fail",
    dry_run: bool = False,
) -> LabelImport:
    """`import_labels` of a COCO file."""
    return import_labels(project, file, format="coco", source=source, on_error=on_error, dry_run=dry_run)


def _counted(annotations: Iterable[Annotation], counted: Counter[str]) -> Iterator[Annotation]:
    """The same labels, counted by class as they pass."""
    for annotation in annotations:
        counted[annotation.label] += 1
        yield annotation


def _apart(project: Project, annotations: Iterable[Annotation]) -> Iterator[Annotation]:
    """Tools number labels from 1 in every file: the same number on another frame is another label."""
    for chunk in chunked(annotations):
        there = project.store.frames_of_labels(label.id for label in chunk)
        for label in chunk:
            if there.get(label.id, label.frame_id) == label.frame_id:
                yield label
            else:
                yield replace(label, id=f"{label.id}@{label.frame_id}")


def _expect_some(counted: Counter[str], frame_ids: Sequence[str], report: ImportReport) -> None:
    if not counted and (report.skipped or not frame_ids):
        raise DataError(
            "no label of it fits this project",
            file=report.file,
            hint="; ".join(report.lines()[:2]) or "check class and file names",
        )


def _put_aside(project: Project, report: ImportReport) -> None:
    """Note the bad items of a file in the quarantine; what an earlier import noted and is good now comes out."""
    bad = {problem.item: problem.message for problem in report.aside}
    for entry in project.store.quarantined():
        if entry.source == report.file and entry.item not in bad:
            project.store.release_quarantined(entry.source, entry.item)
    for item, message in bad.items():
        project.store.quarantine(report.file, item, message)
