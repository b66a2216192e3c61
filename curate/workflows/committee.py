"""What several detectors see on frames that nobody has labelled: searched once per frame and detector, then kept."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curate.annotations import Frame
from curate.assist import COCO_DETECTOR, weights_path
from curate.errors import DataError, ModelError
from curate.tables import Detections, Detector
from curate.workflows.predictions import read_detections, write_detections
from curate.workflows.progress import SubReporter
from curate.workflows.project import Project

__all__ = ["committee_detections"]

MIN_SCORE = 0.1
"""Weaker detections would make every frame doubtful."""
_SAVE_EVERY = 200


def committee_detections(
    project: Project, frames: Sequence[Frame], reporter: SubReporter
) -> list[list[Detections]]:
    """For each frame what each detector of the committee sees; the same detectors for all frames.

    The committee is the detectors that judged the folds of the last scan; the bundled COCO detector where there
    was no scan; nobody (empty lists) where that knows none of the classes.

    Args:
        project: The project.
        frames: The frames.
        reporter: Told how far it is.

    Raises:
        ImageError: A frame's file is missing or broken.
        Cancelled: The user asked to stop; what was found is kept up to the last save.
    """
    members = _committee(project)
    result: list[list[Detections]] = [[] for _ in frames]
    for number, (name, detector) in enumerate(members):
        part = SubReporter(reporter, number / len(members), (number + 1) / len(members))
        path = project.cache_dir / "committee" / f"{name}.parquet"
        known = _known(path)
        missing = [frame for frame in frames if frame.id not in known]
        for at, frame in enumerate(missing):
            part.update(
                at / len(missing),
                f"detector {number + 1} of {len(members)}: frame {at + 1} of {len(missing)}",
            )
            found = detector.predict([project.frame_image(frame)])[0]
            keep = found.scores >= MIN_SCORE
            known[frame.id] = Detections(found.boxes[keep], found.scores[keep], found.classes[keep])
            if (at + 1) % _SAVE_EVERY == 0:
                write_detections(path, known)
        if missing:
            write_detections(path, known)
        for entries, frame in zip(result, frames, strict=True):
            entries.append(known[frame.id])
    return result


def _committee(project: Project) -> list[tuple[str, Detector]]:
    from curate.detectors import GenericDetector, SiteDetector

    classes = tuple(project.config.classes)
    members: list[tuple[str, Detector]] = []
    for fold in sorted(project.store.artifacts("judge")):
        try:
            judge = SiteDetector.load(
                project.cache_dir / "judges" / f"fold-{fold}", device=project.config.train.device
            )
        except ModelError:
            continue  # Broken or gone: the next scan makes it again.
        if judge.classes == classes:
            members.append((judge.fingerprint[:24], judge))
    if members:
        return members
    try:
        generic = GenericDetector(weights_path(COCO_DETECTOR), classes, device=project.config.train.device)
    except ModelError:
        return []
    return [(f"generic-{hashlib.sha256(repr(classes).encode()).hexdigest()[:12]}", generic)]


def _known(path: Path) -> dict[str, Detections]:
    """What was kept; nothing when the file is missing or broken."""
    if not path.exists():
        return {}
    try:
        table = pq.read_table(path, columns=["frame_id"])
        ids = list(dict.fromkeys(table["frame_id"].to_pylist()))
        return dict(zip(ids, read_detections(path, ids), strict=True))
    except (OSError, pa.ArrowException, DataError):
        return {}
