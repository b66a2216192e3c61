"""Fine-tunes a COCO detector to a site: the whole recipe, top to bottom."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import torch

from curate.detectors.architectures import architecture_of
from curate.detectors.checkpoint import load_checkpoint
from curate.detectors.config import Progress, TrainConfig, TrainingSample, TrainingStopped, fingerprint
from curate.detectors.distributed import World, join_world
from curate.detectors.frames import FrameCache
from curate.detectors.hooks import EarlyStop, Hooks
from curate.detectors.inference import choose_device
from curate.detectors.logs import METRICS, RunLog, scores_of
from curate.detectors.model import take_over
from curate.detectors.site import DESCRIPTION, SiteDetector
from curate.detectors.site_model import SiteModel
from curate.detectors.trainer import Trainer
from curate.detectors.weights import weights_digest
from curate.errors import ModelError, ProjectError, TrainingError
from curate.types import ImageArray

__all__ = ["train_detector"]

_CHECKPOINT = "checkpoint.safetensors"
_BEST = "best"


def train_detector(
    samples: Sequence[TrainingSample],
    classes: Sequence[str],
    config: TrainConfig,
    weights: Path,
    out_dir: Path,
    *,
    plate: ImageArray | None = None,
    start: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    validate: Callable[[SiteDetector, int], float] | None = None,
    validate_every: int = 0,
) -> SiteDetector:
    """Train a detector on labelled frames, or go on where a run with the same inputs was cut off.

    A run that was killed continues from its last checkpoint and ends with the very weights that it would
    have had (bit for bit on a CPU with the same number of threads). A finished run with the same
    fingerprint is loaded, not repeated.

    Args:
        samples: Labelled frames; frames without labels teach what nothing looks like.
        classes: The site's class names; `TrainingSample.classes` are indices into it.
        config: Settings.
        weights: What the architecture starts from: the bundled detector's ONNX file, or a state dict of torchvision's.
        out_dir: The run's folder: checkpoint, metrics.jsonl, tensorboard/, and in the end
            model.safetensors and detector.json.
        plate: (H, W, 3) RGB background plate; needed when `config.background_channels`.
        start: Folder of an earlier detector of the same classes whose weights it starts from, instead of the
            bundled ones; heads that the earlier one lacks start afresh.
        progress: Called after every step.
        should_stop: Asked after every step.
        validate: Scores the detector of a step, higher is better; with `config.patience` the run ends early and
            keeps the best. It sees the averaged weights.
        validate_every: Steps between two validations.

    Raises:
        TrainingError: No labels, an impossible class, or a loss that is not finite.
        TrainingStopped: `should_stop` said so; the checkpoint of that step is kept.
        ModelError: The weights, the plate or the device cannot be used.
        ProjectError: The folder cannot be written.
    """
    plate = plate if config.background_channels else None
    _check(samples, classes, config, plate)
    hooks = Hooks(progress, should_stop, validate, validate_every)
    begun = weights_digest(weights) + (
        "" if start is None else SiteDetector.load(start, device="cpu").fingerprint
    )
    run = fingerprint(samples, classes, config, begun, plate)
    if (finished := _finished(out_dir, run, config)) is not None:
        return finished
    world = join_world()
    device = choose_device(_own_device(config.device, world))
    if world.leads:
        _open_folder(out_dir)
    model = _new_model(samples, classes, config, weights).to(device)
    learner = architecture_of(config.architecture).learner(model, config)
    if start is not None:
        take_over(model, start)
    trainer = Trainer(learner, FrameCache(samples, config, plate), config, world)
    checkpoint = load_checkpoint(out_dir / _CHECKPOINT, run)
    if checkpoint is None and world.leads:
        shutil.rmtree(out_dir / _BEST, ignore_errors=True)  # Of another run.
    trainer.resume(checkpoint)
    world.wait()

    def detector_now() -> SiteDetector:
        network = trainer.snapshot()
        assert isinstance(network, SiteModel)
        return SiteDetector(network, classes, config, plate=plate, fingerprint=run, device=str(device))

    with _deterministic(config.deterministic), _log(out_dir, trainer.step, world) as log:
        _steps(trainer, config, world, log, out_dir, run, detector_now, hooks)
    detector = detector_now()
    if world.leads:
        if (out_dir / _BEST / DESCRIPTION).is_file():
            detector = SiteDetector.load(out_dir / _BEST, device=str(device))
        detector.save(out_dir)
        (out_dir / _CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(out_dir / _BEST, ignore_errors=True)
    world.wait()
    return detector


def _steps(
    trainer: Trainer,
    config: TrainConfig,
    world: World,
    log: RunLog | None,
    out_dir: Path,
    run: str,
    detector_now: Callable[[], SiteDetector],
    hooks: Hooks,
) -> None:
    """Steps until the end, a stop, or the end of the patience; the best validated detector goes to a folder."""
    watch = EarlyStop(config.patience, scores_of(out_dir / METRICS, trainer.step))
    while trainer.step < config.steps and not world.any(watch.over, trainer.device):
        report = trainer.advance()
        if log is not None:
            log.write(report)
            if hooks.progress is not None:
                hooks.progress(report)
            if hooks.validate is not None and hooks.due(trainer.step, config.steps):
                candidate = detector_now()
                score = hooks.validate(candidate, trainer.step)
                log.write_score(trainer.step, score)
                if watch.improved(score) and config.patience:
                    candidate.save(out_dir / _BEST)
        ask = hooks.should_stop is not None and trainer.step < config.steps and hooks.should_stop()
        stop = world.any(ask, trainer.device)
        if world.leads and (stop or trainer.step % config.checkpoint_every == 0):
            trainer.checkpoint(run).save(out_dir / _CHECKPOINT)
        if stop:
            raise TrainingStopped(
                f"stopped after step {trainer.step} of {config.steps}",
                file=out_dir,
                hint="start it again to go on from there",
            )


def _open_folder(out_dir: Path) -> None:
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        # From here on the folder holds no finished detector, whatever an earlier run left.
        (out_dir / DESCRIPTION).unlink(missing_ok=True)
    except OSError as error:
        raise ProjectError(f"cannot be written: {error.strerror}", file=out_dir) from error


def _own_device(name: str, world: World) -> str:
    """Each process of one machine takes a GPU of its own."""
    if world.size > 1 and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{world.local_rank}"
    return name


def _new_model(
    samples: Sequence[TrainingSample], classes: Sequence[str], config: TrainConfig, weights: Path
) -> SiteModel:
    masks = any(mask is not None for sample in samples for mask in sample.masks)
    return architecture_of(config.architecture).begin(weights, classes, config, masks)


@contextmanager
def _log(out_dir: Path, step: int, world: World) -> Iterator[RunLog | None]:
    if not world.leads:
        yield None
        return
    with RunLog(out_dir, step) as log:
        yield log


class _Deterministic:
    """Algorithms that give the same bits twice, where torch has them; a warning names those that it lacks.

    The switch is the process's: trainings side by side put it back when the last one has ended.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._before = False

    @contextmanager
    def __call__(self, wanted: bool) -> Iterator[None]:
        if not wanted:
            yield
            return
        with self._lock:
            if not self._users:
                self._before = torch.are_deterministic_algorithms_enabled()
                torch.use_deterministic_algorithms(True, warn_only=True)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    torch.use_deterministic_algorithms(self._before)


_deterministic = _Deterministic()


def _check(
    samples: Sequence[TrainingSample], classes: Sequence[str], config: TrainConfig, plate: ImageArray | None
) -> None:
    if not any(len(sample.boxes) for sample in samples):
        raise TrainingError(
            f"there is nothing to learn from: {len(samples)} frames, no labels",
            hint="import labels or run `curate prelabel`",
        )
    if config.background_channels and plate is None:
        raise ModelError("background channels need a background plate", hint="switch background_channels off")
    for sample in samples:
        if len(sample.classes) and not 0 <= sample.classes.min() <= sample.classes.max() < len(classes):
            raise TrainingError(
                f"a label's class must be 0 ... {len(classes) - 1}, got {sample.classes.tolist()}",
                item=sample.key,
            )


def _finished(out_dir: Path, run: str, config: TrainConfig) -> SiteDetector | None:
    """The detector of an earlier run with the same fingerprint."""
    try:
        detector = SiteDetector.load(out_dir, device=config.device)
    except ModelError:
        return None
    return detector if detector.fingerprint == run else None
