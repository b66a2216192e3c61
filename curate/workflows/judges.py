"""The detectors that judge labels: one per fold of time blocks, each trained on the labels of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from curate.detectors import (
    Progress,
    SiteDetector,
    TrainConfig,
    TrainingSample,
    TrainingStopped,
    train_detector,
)
from curate.detectors.inference import choose_device
from curate.detectors.together import at_once, train_together
from curate.files import exclusive
from curate.scene.plate import Plate
from curate.splits import assign_folds, time_blocks, training_frames
from curate.store import Artifact
from curate.types import IntArray
from curate.workflows.dataset import LabelledFrame, training_sample
from curate.workflows.files import read_json, write_json
from curate.workflows.progress import Cancelled, SubReporter
from curate.workflows.project import Project
from curate.workflows.starting_point import StartingPoint, starting_point
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

    Those that are due train at once as far as `train.folds_at_once` and the device allow; each becomes what it
    becomes alone.

    Raises:
        TrainingError: There are no labels to learn from.
        Cancelled: The user asked to stop; finished folds and checkpoints are kept.
    """
    start = starting_point(project, train_config(project, steps=project.config.train.fold_steps), reporter)
    plans = []
    for fold in range(project.config.split.folds):
        keep = training_frames(folds.folds, fold, folds.times, folds.clips, project.config.split.gap_seconds)
        members = [entry for entry, kept in zip(labelled, keep, strict=True) if kept]
        plans.append(_Fold(project, fold, members, start))
    judges = {plan.number: judge for plan in plans if not force and (judge := plan.kept()) is not None}
    due = [plan for plan in plans if plan.number not in judges]
    for plan, detector in zip(due, _train(due, plate, start.config, reporter), strict=True):
        judges[plan.number] = plan.finished(detector)
    return [judges[plan.number] for plan in plans]


def _train(
    due: Sequence[_Fold], plate: Plate, config: TrainConfig, reporter: SubReporter
) -> list[SiteDetector]:
    jobs = [
        partial(plan.train, plate, [training_sample(plan.project, m) for m in plan.members]) for plan in due
    ]
    if not jobs:
        return []
    count = at_once(config, due[0].project.config.train.folds_at_once, len(jobs))

    def watch() -> None:
        steps = ", ".join(
            f"detector {plan.number + 1}: step {plan.step} of {config.steps}" for plan in due if plan.step
        )
        share = sum(plan.step for plan in due) / (len(due) * config.steps)
        reporter.update(share, steps or f"training {len(due)} detectors, {count} at once")

    try:
        return train_together(jobs, count, choose_device(config.device), watch)
    except TrainingStopped as error:
        raise Cancelled from error


class _Fold:
    """One fold's detector: whether the last one still does, and how it is trained.

    Args:
        project: The project.
        number: Of the fold.
        members: What it is trained on.
        start: Settings and weights.

    Attributes:
        step: Steps done.
    """

    def __init__(
        self, project: Project, number: int, members: Sequence[LabelledFrame], start: StartingPoint
    ) -> None:
        self.project = project
        self.number = number
        self.members = members
        self.step = 0
        self._start = start
        self._folder = project.cache_dir / "judges" / f"fold-{number}"
        self._trained_on = self._folder / "labels.json"
        content = [project.config.classes, repr(start.config), project.config.policy.model_dump_json()]
        self._recipe = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        self._revisions = _content(members)

    def kept(self) -> Judge | None:
        """The detector of the last scan, where little has changed since."""
        known = self.project.store.artifact(_STAGE, str(self.number))
        if not known or known.input_hash != self._recipe or not self._trained_on.exists():
            return None
        share = _changed_share(read_json(self._trained_on), self._revisions)
        if share > self.project.config.scan.retrain_share:
            return None
        detector = SiteDetector.load(self._folder, device=self.project.config.train.device)
        return Judge(self.number, detector, detector.fingerprint, False, share)

    def train(
        self, plate: Plate, samples: Sequence[TrainingSample], should_stop: Callable[[], bool]
    ) -> SiteDetector:
        """Train it, perhaps beside others, in a thread of its own."""

        def tell(report: Progress) -> None:
            self.step = report.step

        config = self._start.config
        with exclusive(self._folder):
            return train_detector(
                samples,
                self.project.config.classes,
                config,
                self._start.weights,
                self._folder,
                plate=plate.image if config.background_channels else None,
                progress=tell,
                should_stop=should_stop,
            )

    def finished(self, detector: SiteDetector) -> Judge:
        """Write down what it was trained on."""
        write_json(self._trained_on, self._revisions)
        place = str(self._folder.relative_to(self.project.root))
        self.project.store.put_artifacts([Artifact(_STAGE, str(self.number), self._recipe, place)])
        return Judge(self.number, detector, detector.fingerprint, True, 0.0)


def _content(members: Sequence[LabelledFrame]) -> dict[str, int]:
    """Every label with its revision, and every frame: what a detector was trained on."""
    content = {f"frame {entry.frame.id}": 0 for entry in members}
    return content | {a.id: a.revision for entry in members for a in entry.annotations}


def _changed_share(before: Mapping[str, int], now: Mapping[str, int]) -> float:
    """Share of labels and frames added, removed or edited, of all that were or are there."""
    every = set(before) | set(now)
    changed = sum(before.get(key) != now.get(key) for key in every)
    return changed / max(1, len(every))
