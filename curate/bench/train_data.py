"""The sample, or a project of the user's, as the training benchmarks take it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from curate.annotations import Annotation
from curate.detectors import TrainingSample
from curate.errors import DataError
from curate.evaluation import evaluate, settings_from_site
from curate.evaluation.results import EvalResult
from curate.tables import Detections
from curate.workflows.dataset import labelled_frames, training_sample, working_frames
from curate.workflows.demo import LABEL, REVIEWED, prepare_sample, sample_folder
from curate.workflows.evaluate import gold_annotations, needed_gold
from curate.workflows.gold import GoldContent
from curate.workflows.project import Project

__all__ = ["TrainData", "train_data"]


@dataclass(frozen=True)
class TrainData:
    """What is trained on and judged on.

    Attributes:
        project: The project.
        samples: Labelled working frames.
        gold: The frozen gold set.
        annotations: Its labels, the policy applied.
        label: Class of the figures.
    """

    project: Project
    samples: tuple[TrainingSample, ...]
    gold: GoldContent
    annotations: tuple[Annotation, ...]
    label: str

    def judge(self, found: list[Detections], ms_per_frame: float) -> EvalResult:
        """Score detections on the gold frames."""
        config = self.project.config
        settings = settings_from_site(config)
        frames, labels = self.gold.frames, self.annotations
        return evaluate(frames, labels, found, config.classes, settings, ms_per_frame=ms_per_frame)


@contextmanager
def train_data(folder: Path | None, source: str | None) -> Iterator[TrainData]:
    """A project's working frames and gold set; without a folder the sample, in a temporary project.

    Args:
        folder: Of a project with a frozen gold set.
        source: Label source to train on; the reviewed labels of the sample, else the project's working source.

    Raises:
        DataError: There are no labels, or the sample is not here.
        NotFoundError: No frozen gold set.
    """
    with TemporaryDirectory(prefix="crossguard-bench-") as temporary:
        sample = Path(temporary) / "site"
        project = prepare_sample(sample, sample_folder()) if folder is None else Project.open(folder)
        try:
            yield _read(project, source or (REVIEWED if folder is None else project.config.labels.working))
        finally:
            if folder is None:
                project.store.close()


def _read(project: Project, source: str) -> TrainData:
    gold = needed_gold(project)
    frames = working_frames(project, source=source)
    labels = project.store.annotations(source=source, frame_ids=[frame.id for frame in frames])
    if not labels:
        raise DataError(f"there are no labels of source {source!r} to train on", file=project.root)
    samples = [training_sample(project, entry) for entry in labelled_frames(project, frames, labels)]
    classes = project.config.classes
    return TrainData(
        project,
        tuple(samples),
        gold,
        tuple(gold_annotations(project, gold)),
        LABEL if LABEL in classes else classes[0],
    )
