"""Train the site's detector on a dataset version."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from curate.config import recipe_for
from curate.config.recipes import LARGEST_INPUT, Recipe
from curate.config.schema import ModelConfig
from curate.config.schema import TrainConfig as TrainSettings
from curate.detectors import Progress, TrainConfig, TrainingSample, TrainingStopped, train_detector
from curate.detectors.distributed import join_world
from curate.detectors.inference import choose_device
from curate.detectors.maskrcnn import PYRAMID_WIDTH
from curate.detectors.maskrcnn_start import coco_weights_path
from curate.errors import CurateError, DataError, NotFoundError, ProjectError
from curate.files import exclusive
from curate.store import Role, RunRecord
from curate.versions import Version, get_version, load_version_annotations
from curate.workflows.cards import write_dataset_card, write_model_card
from curate.workflows.dataset import held_out_frames, labelled_frames, training_sample
from curate.workflows.progress import Cancelled, Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scene import background_plate
from curate.workflows.starting_point import StartingPoint, starting_point
from curate.workflows.warm import find_warm_start, warm_config, warm_run_of, why_cold

__all__ = ["train_config", "train_version"]


def train_config(
    project: Project, *, seed: int | None = None, steps: int | None = None, model: ModelConfig | None = None
) -> TrainConfig:
    """What site.yaml, and for the rest its recipe, says about model and training, as the trainer takes it.

    Args:
        project: The project.
        seed: Instead of `train.seed`.
        steps: Instead of `train.steps`.
        model: Instead of site.yaml's `model`.

    Raises:
        ModelError: The device is not there.
    """
    model, train = model or project.config.model, project.config.train
    recipe = recipe_for(
        model.recipe,
        cuda=choose_device(train.device).type == "cuda",
        coco_weights=coco_weights_path().is_file(),
    )
    return TrainConfig(
        architecture=recipe.architecture,
        weights=model.weights or recipe.weights,
        pyramid=model.pyramid or PYRAMID_WIDTH,
        roi_learning_rate=recipe.roi_learning_rate,
        checkpoint_every=recipe.checkpoint_every,
        steps=steps or train.steps or recipe.steps,
        batch_size=train.batch_size or recipe.batch_size,
        freeze=_frozen(recipe, train, model),
        learning_rate=train.learning_rate or recipe.learning_rate,
        seed=train.seed if seed is None else seed,
        input_size=model.input_size or recipe.input_size or _own_size(project),
        background_channels=model.background_channels,
        mask_head=model.mask_head,
        mirror=recipe.mirror if train.mirror is None else train.mirror,
        zoom=recipe.zoom if train.zoom is None else train.zoom,
        shift=recipe.shift if train.shift is None else train.shift,
        balance=train.balance,
        weather=train.weather,
        paste=train.paste,
        ema=recipe.ema if train.ema is None else train.ema,
        device=train.device,
        precision=train.precision,
        compile=train.compile,
        deterministic=train.deterministic,
    )


def _frozen(recipe: Recipe, train: TrainSettings, model: ModelConfig) -> int:
    if train.freeze is not None:
        return train.freeze
    return 0 if model.background_channels else recipe.freeze


def _own_size(project: Project) -> int:
    """The long side of the largest frame, rounded up to a multiple of 32."""
    longest = max((max(frame.width, frame.height) for frame in project.store.frames()), default=LARGEST_INPUT)
    return min(LARGEST_INPUT, -(-longest // 32) * 32)


def train_version(
    project: Project,
    version_id: str,
    *,
    seed: int | None = None,
    warm: bool = False,
    reporter: Reporter | None = None,
) -> RunRecord:
    """Train on exactly the frames and label revisions of a version.

    The run's id follows from version, settings and seed: asking again for a finished run gives it back, and a run
    that was killed goes on from its last checkpoint. Started by torchrun, all processes train it together; the
    first one writes it down.

    Args:
        project: The project.
        version_id: Of a dataset version, or an unambiguous beginning.
        seed: Training seed; `train.seed` when None.
        warm: Start from an earlier run where one differs by a few labels only (see `find_warm_start`); the run's
            config then names it as "start". A finished training from the start goes before.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        TrainingError: No labels, or a loss that is not finite.
        NotFoundError: No such version.
        ConflictError: Another process trains this run now.
        ProjectError: The disk is full, or the folder cannot be written.
        Cancelled: The reporter asked to stop; the checkpoint is kept.
    """
    project.expect_role(Role.REVIEWER)
    version = get_version(project.store, version_id)
    told = reporter or Quiet()
    point = starting_point(project, train_config(project, seed=seed), told)
    plan = _plan(project, version, point, told, warm=warm)
    if (finished := _finished(project, plan)) is not None:
        return finished
    if not join_world().leads:
        _train(project, version, plan, None, None)
        return plan.record(project)
    progress = SubReporter(told, 0.0, 1.0, f"training seed {plan.config.seed}{plan.remark}: ")
    # Whoever holds the folder trains; only then is the run anybody's to write down.
    with exclusive(project.runs_dir / plan.run_id):
        run = project.store.put_run(plan.record(project))
        last: list[Progress] = []

        def tell(report: Progress) -> None:
            last[:] = [report]
            loss = report.losses.get("total", float("nan"))
            remark = f"; {report.remark}" if report.remark else ""
            progress.update(
                report.step / report.steps, f"step {report.step} of {report.steps}, loss {loss:.2f}{remark}"
            )

        def ended(state: str, error: str = "", **values: Any) -> RunRecord:
            return project.store.put_run(
                replace(run, state=state, error=error, finished_at=time.time(), **values)
            )

        try:
            _train(project, version, plan, tell, progress)
        except (TrainingStopped, Cancelled) as error:
            ended("cancelled")
            raise Cancelled from error
        except KeyboardInterrupt:
            ended("cancelled")
            raise
        except CurateError as error:
            ended("failed", str(error))
            raise
        except OSError as error:
            failure = ProjectError(
                f"cannot be written: {error.strerror or error}",
                file=project.runs_dir / plan.run_id,
                hint="make room on the disk; the training goes on from its last checkpoint",
            )
            ended("failed", str(failure))
            raise failure from error
        except Exception as error:
            ended("failed", f"{type(error).__name__}: {error}")
            raise
        result = {"losses": dict(last[0].losses), "seconds": last[0].seconds} if last else {}
        write_dataset_card(project, run, version)
        done = ended("done", result=result)
        write_model_card(project, done)
        return done


@dataclass(frozen=True)
class _Plan:
    """What is going to be trained."""

    run_id: str
    version_id: str
    config: TrainConfig
    weights: Path
    settings: Mapping[str, Any]
    start: RunRecord | None

    @property
    def remark(self) -> str:
        return "" if self.start is None else f", from run {self.start.id}"

    def record(self, project: Project) -> RunRecord:
        return RunRecord(
            id=self.run_id,
            version_id=self.version_id,
            kind="train",
            state="running",
            seed=self.config.seed,
            path=str((project.runs_dir / self.run_id).relative_to(project.root)),
            config=self.settings,
        )


def _plan(
    project: Project, version: Version, point: StartingPoint, reporter: Reporter, *, warm: bool
) -> _Plan:
    cold = _named(project, version, point, None, 0.0)
    share = project.config.train.warm_share
    if not warm or share == 0 or _finished(project, cold) is not None:
        return cold
    found = warm_run_of(project, version, cold.settings) or find_warm_start(project, version, cold.settings)
    if found is None:
        reporter.update(0.0, f"training from the start: {why_cold(project, version, cold.settings)}")
        return cold
    warmed = replace(point, config=warm_config(point.config, share))
    return _named(project, version, warmed, found.run, found.changed_share)


def _named(
    project: Project, version: Version, point: StartingPoint, start: RunRecord | None, changed: float
) -> _Plan:
    config = point.config
    settings: dict[str, Any] = asdict(config)
    del settings["checkpoint_every"]
    content = [version.id, settings, list(project.config.classes), project.config.policy.model_dump_json()]
    if start is not None:
        settings |= {"start": start.id, "changed_share": round(changed, 4)}
        content.append(start.id)
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return _Plan(
        f"{version.id[:8]}-s{config.seed}-{digest[:6]}", version.id, config, point.weights, settings, start
    )


def _finished(project: Project, plan: _Plan) -> RunRecord | None:
    try:
        known = project.store.run(plan.run_id)
    except NotFoundError:
        return None
    whole = (project.runs_dir / plan.run_id / "detector.json").exists()
    return known if known.state == "done" and whole else None


def _train(
    project: Project,
    version: Version,
    plan: _Plan,
    tell: Callable[[Progress], None] | None,
    progress: SubReporter | None,
) -> None:
    config = plan.config
    train_detector(
        _samples(project, version),
        project.config.classes,
        config,
        plan.weights,
        project.runs_dir / plan.run_id,
        plate=background_plate(project).image if config.background_channels else None,
        start=None if plan.start is None else project.root / plan.start.path,
        progress=tell,
        should_stop=None if progress is None else progress.should_stop,
    )


def _samples(project: Project, version: Version) -> list[TrainingSample]:
    frame_ids = list(version.manifest.splits)
    frames = project.store.frames(ids=frame_ids)
    if len(frames) != len(set(frame_ids) - project.store.tombstones("frame")):
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
