"""Fine-tunes the bundled detector to a site: the whole recipe, top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from curate.detectors.average import WeightAverage
from curate.detectors.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors, restore_optimizer
from curate.detectors.config import Progress, TrainConfig, TrainingSample, TrainingStopped, fingerprint
from curate.detectors.decode import cells
from curate.detectors.frames import Batch, FrameCache, step_generator
from curate.detectors.inference import choose_device
from curate.detectors.letterbox import normalise
from curate.detectors.logs import RunLog
from curate.detectors.losses import DenseTargets, dense_losses
from curate.detectors.model import SiteNetwork, new_site_network
from curate.detectors.roi_training import roi_losses, sample_rois
from curate.detectors.site import DESCRIPTION, SiteDetector
from curate.detectors.weights import weights_digest
from curate.errors import ModelError, ProjectError, TrainingError
from curate.types import ImageArray

__all__ = ["train_detector"]

_CLIP_NORM = 10.0
_CHECKPOINT = "checkpoint.safetensors"


def train_detector(
    samples: Sequence[TrainingSample],
    classes: Sequence[str],
    config: TrainConfig,
    weights: Path,
    out_dir: Path,
    *,
    plate: ImageArray | None = None,
    progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> SiteDetector:
    """Train a detector on labelled frames, or go on where a run with the same inputs was cut off.

    A run that was killed continues from its last checkpoint and ends with the very weights that it would
    have had (bit for bit on a CPU with the same number of threads). A finished run with the same
    fingerprint is loaded, not repeated.

    Args:
        samples: Labelled frames; frames without labels teach what nothing looks like.
        classes: The site's class names; `TrainingSample.classes` are indices into it.
        config: Settings.
        weights: The bundled detector's ONNX file.
        out_dir: The run's folder: checkpoint, metrics.jsonl, tensorboard/, and in the end
            model.safetensors and detector.json.
        plate: (H, W, 3) RGB background plate; needed when `config.background_channels`.
        progress: Called after every step.
        should_stop: Asked after every step.

    Raises:
        TrainingError: No labels, an impossible class, or a loss that is not finite.
        TrainingStopped: `should_stop` said so; the checkpoint of that step is kept.
        ModelError: The weights, the plate or the device cannot be used.
        ProjectError: The folder cannot be written.
    """
    plate = plate if config.background_channels else None
    _check(samples, classes, config, plate)
    run = fingerprint(samples, classes, config, weights_digest(weights), plate)
    if (finished := _finished(out_dir, run, config)) is not None:
        return finished
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        # From here on the folder holds no finished detector, whatever an earlier run left.
        (out_dir / DESCRIPTION).unlink(missing_ok=True)
    except OSError as error:
        raise ProjectError(f"cannot be written: {error.strerror}", file=out_dir) from error
    masks = config.mask_head and any(mask is not None for sample in samples for mask in sample.masks)
    model = new_site_network(
        weights, classes, channels=6 if config.background_channels else 3, mask_head=masks, seed=config.seed
    ).to(choose_device(config.device))
    trainer = _Trainer(model, samples, config, plate)
    trainer.resume(load_checkpoint(out_dir / _CHECKPOINT, run))
    with RunLog(out_dir, trainer.step) as log:
        while trainer.step < config.steps:
            report = trainer.advance()
            log.write(report)
            if progress is not None:
                progress(report)
            stop = should_stop is not None and trainer.step < config.steps and should_stop()
            if stop or trainer.step % config.checkpoint_every == 0:
                trainer.checkpoint(run).save(out_dir / _CHECKPOINT)
            if stop:
                raise TrainingStopped(
                    f"stopped after step {trainer.step} of {config.steps}",
                    file=out_dir,
                    hint="start it again to go on from there",
                )
    trainer.finish()
    detector = SiteDetector(model, classes, config, plate=plate, fingerprint=run, device=config.device)
    detector.save(out_dir)
    (out_dir / _CHECKPOINT).unlink(missing_ok=True)
    return detector


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


def _learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then a cosine to 0; step counts from 0."""
    if step < config.warmup_steps:
        return (step + 1) / (config.warmup_steps + 1)
    left = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * left))


class _Trainer:
    """One run in memory: model, optimiser, data, and the number of steps done."""

    def __init__(
        self,
        model: SiteNetwork,
        samples: Sequence[TrainingSample],
        config: TrainConfig,
        plate: ImageArray | None,
    ) -> None:
        self.step = 0
        self._model = model.train()
        self._config = config
        self._cache = FrameCache(samples, config, plate)
        self._device = next(model.parameters()).device
        heads: list[nn.Module] = [model.roi] + ([model.mask] if model.mask is not None else [])
        self._dense_parameters = list(model.dense.parameters())
        self._head_parameters = [parameter for head in heads for parameter in head.parameters()]
        self._rates = (config.learning_rate, config.roi_learning_rate)
        self._optimizer = torch.optim.AdamW(
            [{"params": self._dense_parameters}, {"params": self._head_parameters}],
            weight_decay=config.weight_decay,
        )
        self._average = WeightAverage(model, config.ema) if config.ema else None
        self._seconds_before = 0.0
        self._started = time.monotonic()
        self._started_at = 0

    def resume(self, checkpoint: Checkpoint | None) -> None:
        """Go on from a checkpoint; start from the beginning without one."""
        if checkpoint is None:
            return
        state = {
            name.removeprefix("model."): value
            for name, value in checkpoint.tensors.items()
            if name.startswith("model.")
        }
        self._model.load_state_dict(state)
        if self._average is not None:
            self._average.restore(
                {name: checkpoint.tensors[f"average.{name}"] for name in self._average.weights}
            )
        restore_optimizer(self._optimizer, self._model, checkpoint.tensors)
        self.step = self._started_at = checkpoint.step
        self._seconds_before = checkpoint.seconds

    def checkpoint(self, run: str) -> Checkpoint:
        """The state after the steps done."""
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        if self._average is not None:
            tensors |= {f"average.{name}": value for name, value in self._average.weights.items()}
        return Checkpoint(
            run, self.step, self._seconds(), tensors | optimizer_tensors(self._optimizer, self._model)
        )

    def finish(self) -> None:
        """Make the averaged weights, if there are any, those of the model."""
        if self._average is not None:
            self._model.load_state_dict(self._average.weights)

    def advance(self) -> Progress:
        """One step of the optimiser.

        Raises:
            TrainingError: The loss is not finite.
        """
        factor = _learning_rate_factor(self.step, self._config)
        for group, rate in zip(self._optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        losses = self._losses(self._cache.batch(self.step))
        total = torch.stack(list(losses.values())).sum()
        values = {name: value.item() for name, value in losses.items()} | {"total": total.item()}
        self._require_finite(values)
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        # Apart, so that a bad moment of the heads does not slow the detector down.
        for parameters in (self._dense_parameters, self._head_parameters):
            norm = nn.utils.clip_grad_norm_(parameters, _CLIP_NORM)
            self._require_finite({"gradient": float(norm)})
        self._optimizer.step()
        self.step += 1
        if self._average is not None:
            self._average.update(self._model, self.step)
        pace = (time.monotonic() - self._started) / (self.step - self._started_at)
        eta = pace * (self._config.steps - self.step)
        rate = self._config.learning_rate * factor
        return Progress(self.step, self._config.steps, self._seconds(), eta, rate, values)

    def _require_finite(self, values: Mapping[str, float]) -> None:
        wrong = {name: value for name, value in values.items() if not math.isfinite(value)}
        if wrong:
            raise TrainingError(
                f"not finite at step {self.step + 1}: {', '.join(f'{k} {v}' for k, v in wrong.items())}",
                hint="lower learning_rate, or look for broken labels",
            )

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        images = normalise(batch.canvases.to(self._device))
        dense = self._model.dense(images)
        logits, boxes = self._model.class_logits(dense), self._model.boxes(dense)
        targets = [
            DenseTargets(
                torch.from_numpy(item.boxes).to(self._device),
                torch.from_numpy(item.classes).to(self._device),
                torch.from_numpy(item.ignore).to(self._device),
            )
            for item in batch.items
        ]
        losses = dense_losses(logits, dense.distances, boxes, cells(dense.grid, self._device), targets)
        rois = sample_rois(batch, step_generator(self._config.seed, 3, self.step))
        return losses | roi_losses(self._model, images, dense, batch, rois)

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started
