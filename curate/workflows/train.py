"""Train the site's detector on a dataset version."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace

from curate.assist import COCO_DETECTOR, weights_path
from curate.detectors import Progress, TrainConfig, TrainingSample, TrainingStopped, train_detector
from curate.errors import CurateError, DataError, NotFoundError
from curate.files import exclusive
from curate.store import RunRecord
from curate.versions import Version, get_version, load_version_annotations
from curate.workflows.dataset import held_out_frames, labelled_frames, training_sample
from curate.workflows.progress import Cancelled, Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scene import background_plate

__all__ = ["train_config", "train_version"]


def train_config(project: Project, *, seed: int | None = None, steps: int | None = None) -> TrainConfig:
    """What site.yaml says about model and training, as the trainer takes it."""
    model, train = project.config.model, project.config.train
    return TrainConfig(
        steps=train.steps if steps is None else steps,
        batch_size=train.batch_size,
        learning_rate=train.learning_rate,
        seed=train.seed if seed is None else seed,
        input_size=model.input_size,
        background_channels=model.background_channels,
        mask_head=model.mask_head,
        device=train.device,
    )


def train_version(
    project: Project, version_id: str, *, seed: int | None = None, reporter: Reporter | None = None
) -> RunRecord:
    """Train on exactly the frames and label revisions of a version.

    The run's id follows from version, settings and seed: asking again for a finished run gives it back, and a run
    that was killed goes on from its last checkpoint.

    Args:
        project: The project.
        version_id: Of a dataset version, or an unambiguous beginning.
        seed: Training seed; `train.seed` when None.
        reporter: Told how far it is.

    Raises:
        TrainingError: No labels, or a loss that is not finite.
        NotFoundError: No such version.
        Cancelled: The reporter asked to stop; the checkpoint is kept.
    """
    version = get_version(project.store, version_id)
    config = train_config(project, seed=seed)
    settings = {
        name: getattr(config, name) for name in config.__dataclass_fields__ if name != "checkpoint_every"
    }
    digest = hashlib.sha256(
        json.dumps(
            [version.id, settings, list(project.config.classes), project.config.policy.model_dump_json()]
        ).encode()
    )
    run_id = f"{version.id[:8]}-s{config.seed}-{digest.hexdigest()[:6]}"
    folder = project.runs_dir / run_id
    try:
        known = project.store.run(run_id)
        if known.state == "done" and (folder / "detector.json").exists():
            return known
    except NotFoundError:
        pass
    run = project.store.put_run(
        RunRecord(
            id=run_id,
            version_id=version.id,
            kind="train",
            state="running",
            seed=config.seed,
            path=str(folder.relative_to(project.root)),
            config=settings,
        )
    )
    progress = SubReporter(reporter or Quiet(), 0.0, 1.0, f"training seed {config.seed}: ")
    last: list[Progress] = []

    def tell(report: Progress) -> None:
        last[:] = [report]
        loss = report.losses.get("total", float("nan"))
        progress.update(report.step / report.steps, f"step {report.step} of {report.steps}, loss {loss:.2f}")

    try:
        with exclusive(folder):
            train_detector(
                _samples(project, version),
                project.config.classes,
                config,
                weights_path(COCO_DETECTOR),
                folder,
                plate=background_plate(project).image if config.background_channels else None,
                progress=tell,
                should_stop=progress.should_stop,
            )
    except (TrainingStopped, Cancelled) as error:
        project.store.put_run(replace(run, state="cancelled", finished_at=time.time()))
        raise Cancelled from error
    except CurateError as error:
        project.store.put_run(replace(run, state="failed", error=str(error), finished_at=time.time()))
        raise
    result = {"losses": dict(last[0].losses), "seconds": last[0].seconds} if last else {}
    return project.store.put_run(replace(run, state="done", result=result, finished_at=time.time()))


def _samples(project: Project, version: Version) -> list[TrainingSample]:
    frame_ids = list(version.manifest.splits)
    frames = project.store.frames(ids=frame_ids)
    if len(frames) != len(frame_ids):
        raise DataError(
            f"{len(frame_ids) - len(frames)} frames of the version are not in the project",
            item=f"version {version.id}",
        )
    leaked = held_out_frames(project, project.store.frames()) & set(frame_ids)
    if leaked:
        raise DataError(
            f"{len(leaked)} frames of the version are gold frames, or next to one",
            item=f"version {version.id}",
            hint="it was made before the gold set; make a new one: `curate version create`",
        )
    annotations = load_version_annotations(project.store, version)
    return [training_sample(project, labelled) for labelled in labelled_frames(project, frames, annotations)]
