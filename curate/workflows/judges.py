"""The detectors that judge labels: one per fold of time blocks, each trained on the labels of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from curate.detectors import Progress, SiteDetector, TrainingStopped, train_detector
from curate.files import exclusive
from curate.scene.plate import Plate
from curate.splits import assign_folds, time_blocks, training_frames
from curate.store import Artifact
from curate.types import IntArray
from curate.workflows.dataset import LabelledFrame, training_sample
from curate.workflows.files import read_json, write_json
from curate.workflows.progress import Cancelled, SubReporter
from curate.workflows.project import Project
from curate.workflows.starting_point import starting_point
from curate.workflows.train import train_config

__all__ = ["Folds", "Judge", "make_folds", "train_judges"]

_STAGE = "judge"


@dataclass(frozen=True)
class Folds:
    """How F working frames are split; all arrays (F,)."""

    times: np.ndarray[tuple[int], np.dtype[np.float64]]
    clips: tuple[str, ...]
    blocks: IntArray
    folds: IntArray


@dataclass(frozen=True)
class Judge:
    """A fold's detector and what it was trained on.

    Attributes:
        fold: Number.
        detector: Never saw a label of its fold.
        fingerprint: Changes when it was trained anew.
        retrained: Whether that happened now.
        changed_share: Share of its training labels that have changed since.
    """

    fold: int
    detector: SiteDetector
    fingerprint: str
    retrained: bool
    changed_share: float


def make_folds(project: Project, labelled: Sequence[LabelledFrame]) -> Folds:
    """Time blocks and folds of the working frames.

    Raises:
        DataError: There are fewer blocks than folds.
    """
    split = project.config.split
    times = np.array([entry.frame.captured_at for entry in labelled], float)
    clips = tuple(entry.frame.clip for entry in labelled)
    blocks = time_blocks(times, clips, split.block_seconds)
    return Folds(times, clips, blocks, assign_folds(blocks, split.folds))


def train_judges(
    project: Project,
    labelled: Sequence[LabelledFrame],
    folds: Folds,
    plate: Plate,
    *,
    force: bool,
    reporter: SubReporter,
) -> list[Judge]:
    """Train each fold's detector, or take it from the last scan.

    A detector is trained anew when more than `scan.retrain_share` of its training labels have changed since it
    was trained: a handful of corrections does not change its judgement, and a scan after them stays quick.

    Raises:
        TrainingError: There are no labels to learn from.
        Cancelled: The user asked to stop; finished folds and checkpoints are kept.
    """
    count = project.config.split.folds
    judges = []
    for fold in range(count):
        part = SubReporter(reporter, fold / count, (fold + 1) / count, f"detector {fold + 1} of {count}: ")
        keep = training_frames(folds.folds, fold, folds.times, folds.clips, project.config.split.gap_seconds)
        members = [entry for entry, kept in zip(labelled, keep, strict=True) if kept]
        judges.append(_judge(project, fold, members, plate, force, part))
    return judges


def _judge(
    project: Project,
    fold: int,
    members: Sequence[LabelledFrame],
    plate: Plate,
    force: bool,
    reporter: SubReporter,
) -> Judge:
    start = starting_point(project, train_config(project, steps=project.config.train.fold_steps), reporter)
    config = start.config
    folder = project.cache_dir / "judges" / f"fold-{fold}"
    settings = json.dumps([project.config.classes, repr(config), project.config.policy.model_dump_json()])
    recipe = hashlib.sha256(settings.encode()).hexdigest()
    revisions = _content(members)
    known = project.store.artifact(_STAGE, str(fold))
    trained_on = folder / "labels.json"
    if known and known.input_hash == recipe and not force and trained_on.exists():
        share = _changed_share(read_json(trained_on), revisions)
        if share <= project.config.scan.retrain_share:
            detector = SiteDetector.load(folder, device=project.config.train.device)
            return Judge(fold, detector, detector.fingerprint, False, share)

    def tell(report: Progress) -> None:
        reporter.update(report.step / report.steps, f"step {report.step} of {report.steps}")

    try:
        with exclusive(folder):
            detector = train_detector(
                [training_sample(project, entry) for entry in members],
                project.config.classes,
                config,
                start.weights,
                folder,
                plate=plate.image if config.background_channels else None,
                progress=tell,
                should_stop=reporter.should_stop,
            )
    except TrainingStopped as error:
        raise Cancelled from error
    write_json(trained_on, revisions)
    project.store.put_artifacts([Artifact(_STAGE, str(fold), recipe, str(folder.relative_to(project.root)))])
    return Judge(fold, detector, detector.fingerprint, True, 0.0)


def _content(members: Sequence[LabelledFrame]) -> dict[str, int]:
    """Every label with its revision, and every frame: what a detector was trained on."""
    content = {f"frame {entry.frame.id}": 0 for entry in members}
    return content | {a.id: a.revision for entry in members for a in entry.annotations}


def _changed_share(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Share of labels and frames added, removed or edited, of all that were or are there."""
    every = set(before) | set(now)
    changed = sum(before.get(key) != now.get(key) for key in every)
    return changed / max(1, len(every))
