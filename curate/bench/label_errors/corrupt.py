"""Reviewed labels with seeded errors, as a project of its own that can be scanned."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from curate.annotations import Annotation, IssueType
from curate.bench.label_errors.data import NATURAL, REVIEWED, Base
from curate.errors import DataError
from curate.geometry.polygons import to_rle
from curate.issues import FrameTable, Injected, InjectedError, LabelTable, inject
from curate.workflows.coverage import mark_covered
from curate.workflows.dataset import LabelledFrame, labelled_frames, working_frames
from curate.workflows.project import SITE_FILE, Project

__all__ = ["Corrupted", "corrupt", "natural_case", "reviewed_frames"]

WORKING = "cheap"
"""Label source that is scanned."""


@dataclass(frozen=True)
class Corrupted:
    """A project whose working labels hold known errors.

    Attributes:
        project: The project.
        reviewed: The working frames with their right labels.
        errors: What was injected; `annotation_id` names the label in the project (for "drop": the lost one).
        origin: Id of a working label -> id of the right label that it comes from.
    """

    project: Project
    reviewed: tuple[LabelledFrame, ...]
    errors: tuple[InjectedError, ...]
    origin: Mapping[str, str]


def reviewed_frames(base: Base) -> list[LabelledFrame]:
    """The working frames with their right labels; masks as run lengths, tracks and scores left out.

    A cheap labeller delivers neither. And nothing about a label's form may tell which ones were touched:
    injected masks are run lengths, so all are.

    Raises:
        DataError: There are none.
    """
    project = base.project
    frames = working_frames(project, source=REVIEWED)
    labels = project.store.annotations(source=REVIEWED, frame_ids=[frame.id for frame in frames])
    if not labels:
        raise DataError("no working frame has a label", item="--data")
    size = {frame.id: (frame.height, frame.width) for frame in frames}
    plain = [
        replace(
            label,
            mask=None if label.mask is None else to_rle(label.mask, *size[label.frame_id]),
            track_id=None,
            score=None,
            attributes={},
        )
        for label in labels
    ]
    return labelled_frames(project, frames, plain)


def corrupt(
    base: Base,
    reviewed: Sequence[LabelledFrame],
    *,
    seed: int,
    rates: Mapping[IssueType, float] | None,
    steps: int,
    cache: Path,
) -> Corrupted:
    """Inject errors and make the project that holds the result; made once for equal labels and settings.

    Args:
        base: The data.
        reviewed: From `reviewed_frames`.
        seed: Of the injection.
        rates: Share of the labels per type; None = the default.
        steps: Training steps of the judges and of the detectors judged on gold.
        cache: Where projects are kept.

    Raises:
        DataError: A rate is out of range.
    """
    classes = list(base.project.config.classes)
    injected = inject(*_tables(reviewed, classes), classes, rates=rates, seed=seed)
    names = {name: _opaque(seed, name) for name in injected.labels.ids}
    labels = _annotations(reviewed, injected, names, classes)
    project = _case_project(base, labels, steps, cache)
    errors = tuple(
        replace(error, annotation_id=names.get(error.annotation_id, error.annotation_id))
        for error in injected.truth
    )
    given = [annotation for entry in reviewed for annotation in entry.annotations]
    origin = {
        names[name]: given[row].id
        for name, row in zip(injected.labels.ids, injected.rows.tolist(), strict=True)
        if row >= 0
    }
    return Corrupted(project, tuple(reviewed), errors, origin)


def natural_case(base: Base, steps: int, cache: Path) -> Project:
    """The sample's cheap labels as they are, ready to be scanned."""
    frames = {frame.id for frame in working_frames(base.project, source=REVIEWED)}
    labels = base.project.store.annotations(source=NATURAL, frame_ids=sorted(frames))
    # The base's labels are in the case as well, and an id belongs to one source.
    given = [replace(label, id=f"{WORKING}:{label.id}", source=WORKING) for label in labels]
    return _case_project(base, given, steps, cache)


def _opaque(seed: int, name: str) -> str:
    """A label id that does not tell whether the label was made up."""
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:20]


def _tables(reviewed: Sequence[LabelledFrame], classes: Sequence[str]) -> tuple[FrameTable, LabelTable]:
    frames = [entry.frame for entry in reviewed]
    rows = [(at, label) for at, entry in enumerate(reviewed) for label in entry.annotations]
    nothing = np.zeros(len(frames), np.int64)
    masks = tuple(label.mask for _, label in rows)
    return (
        FrameTable(
            ids=tuple(frame.id for frame in frames),
            times=np.array([frame.captured_at for frame in frames], float),
            clips=tuple(frame.clip for frame in frames),
            blocks=nothing,
            folds=nothing,
            widths=np.array([frame.width for frame in frames]),
            heights=np.array([frame.height for frame in frames]),
        ),
        LabelTable(
            ids=tuple(label.id for _, label in rows),
            revisions=np.zeros(len(rows), np.int64),
            frames=np.array([at for at, _ in rows], np.int64),
            boxes=np.array([label.bbox_xyxy for _, label in rows], float).reshape(-1, 4),
            classes=np.array(
                [classes.index(label.label) if label.label in classes else 0 for _, label in rows], np.int64
            ),
            masks=masks if any(mask is not None for mask in masks) else None,
            counts=np.array([label.counts for _, label in rows], bool),
        ),
    )


def _annotations(
    reviewed: Sequence[LabelledFrame], injected: Injected, names: Mapping[str, str], classes: Sequence[str]
) -> list[Annotation]:
    """The corrupted table as annotations; flags of the original labels stay."""
    table = injected.labels
    given = [annotation for entry in reviewed for annotation in entry.annotations]
    masks = table.masks or (None,) * len(table)
    result = []
    for at, (name, row) in enumerate(zip(table.ids, injected.rows.tolist(), strict=True)):
        x1, y1, x2, y2 = (float(value) for value in table.boxes[at])
        old = given[row] if row >= 0 else None
        result.append(
            Annotation(
                id=names[name],
                frame_id=reviewed[int(table.frames[at])].frame.id,
                # A label whose class the site does not know counts for nothing and was left alone.
                label=old.label if old and old.label not in classes else classes[int(table.classes[at])],
                bbox_xyxy=(x1, y1, x2, y2),
                mask=masks[at],
                source=WORKING,
                iscrowd=old.iscrowd if old else False,
                occluded=old.occluded if old else False,
                difficult=old.difficult if old else False,
                ignore=old.ignore if old else False,
            )
        )
    return result


def _case_project(base: Base, labels: Sequence[Annotation], steps: int, cache: Path) -> Project:
    site = yaml.safe_load((base.project.root / SITE_FILE).read_text("utf-8"))
    site["labels"] = {"working": WORKING}
    site["train"] = {**site.get("train", {}), "steps": steps, "fold_steps": steps}
    text = yaml.safe_dump(site, sort_keys=False)
    content = sorted((a.id, a.frame_id, a.label, a.bbox_xyxy, repr(a.mask), a.counts) for a in labels)
    key = hashlib.sha256(json.dumps([base.digest, text, content]).encode()).hexdigest()[:16]
    folder = cache.absolute() / "cases" / key
    if not folder.exists():
        fresh = folder.with_name(f"{key}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        base.project.store.close()
        shutil.copytree(base.project.root, fresh)
        (fresh / SITE_FILE).write_text(text, "utf-8")
        project = Project.open(fresh)
        project.store.add_annotations(labels, actor=WORKING)
        mark_covered(project, WORKING, [frame.id for frame in working_frames(project, source=REVIEWED)])
        project.store.close()
        fresh.rename(folder)
    return Project.open(folder)
