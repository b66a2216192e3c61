"""Search for better settings of a site's training: within a budget, resumable, by the validation block."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from curate.assist import COCO_DETECTOR, weights_path
from curate.detectors import Progress, SiteDetector, TrainConfig, train_detector
from curate.errors import ConfigError, ConflictError, TrainingError
from curate.files import exclusive, write_json
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scene import background_plate
from curate.workflows.snapshot import snapshot
from curate.workflows.train import train_config
from curate.workflows.validation import ValidationBlock, validation_block

__all__ = ["SEARCHED", "Trial", "TuneReport", "tune"]

SEARCHED: Mapping[str, tuple[Any, ...]] = {
    "input_size": (-96, -32, 0),  # Never larger than now: what is found may not cost more time a frame.
    "ema": (0.0, 0.95, 0.98),
    "mirror": (False, True),
    "zoom": (0.0, 0.06, 0.15),
    "shift": (0.0, 0.03, 0.06),
    "paste": (0.0, 1.0, 2.0),
    "background_channels": (False, True),
}
"""Settings that are tried besides the learning rate (.3 to 5 times today's); sizes are relative to today's."""
_RATES = (0.3, 5.0)
_SMALLEST_INPUT = 160
_RUNGS = 4


@dataclass(frozen=True)
class Trial:
    """One try: its settings, what became of it ("complete", "pruned", "fail", "running"), figures where it has some."""

    number: int
    state: str
    settings: Mapping[str, Any]
    box_ap: float | None
    ms_per_frame: float | None
    seconds: float | None


@dataclass(frozen=True)
class TuneReport:
    """What a search has found so far.

    Attributes:
        version: Dataset version searched on.
        frames: Frames trained on, frames judged on.
        trials: All tries, also those of earlier calls.
        best: The best complete one; the first try is today's settings.
        site_yaml: Lines for site.yaml that choose it; "" when today's settings are the best.
        path: Where all this stands as JSON.
    """

    version: str
    frames: tuple[int, int]
    trials: tuple[Trial, ...]
    best: Trial | None
    site_yaml: str
    path: str


def tune(
    project: Project,
    *,
    trials: int | None = None,
    minutes: float | None = None,
    reporter: Reporter | None = None,
) -> TuneReport:
    """Try settings, the unpromising ones only for a while (asynchronous successive halving, Li et al., 2020).

    Every try trains on the working frames outside the validation block and is judged on the block; gold takes no
    part. A search goes on where the last one on the same labels ended, and several processes may search together:
    they share the journal in the project's folder.

    Args:
        project: The project.
        trials: Tries of this call.
        minutes: Time of this call; a try that has begun is finished.
        reporter: Told how far it is.

    Raises:
        ConfigError: Neither budget is given.
        DataError: There are too few labels or blocks of time.
        Cancelled: The reporter asked to stop; what was tried is kept.
    """
    if not trials and not minutes:
        raise ConfigError(
            "a search needs a budget", item="--trials, --minutes", hint="for example --minutes 30"
        )
    version = snapshot(project)
    block = validation_block(project, version)
    base = train_config(project)
    key = hashlib.sha256(json.dumps([version.id, asdict(base)], sort_keys=True).encode()).hexdigest()[:12]
    folder = project.cache_dir / "tune" / key
    folder.mkdir(parents=True, exist_ok=True)
    study = _open_study(folder, base.steps)
    _put_right(study, folder)
    if not study.trials:
        study.enqueue_trial(_today(base))
    search = _Search(project, block, base, folder, SubReporter(reporter or Quiet(), 0.0, 1.0))
    started, done = time.monotonic(), 0
    while (not trials or done < trials) and (not minutes or time.monotonic() - started < 60 * minutes):
        shares = [
            done / trials if trials else 0.0,
            (time.monotonic() - started) / 60 / minutes if minutes else 0.0,
        ]
        search.run(study, max(shares))
        done += 1
    return _report(study, version.id, block, base, folder)


def _open_study(folder: Path, steps: int) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rung = max(1, steps // _RUNGS)
    return optuna.create_study(
        study_name="tune",
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        load_if_exists=True,
        direction="maximize",
        # No seed: processes that search together would all try the same.
        sampler=optuna.samplers.TPESampler(n_startup_trials=8),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=rung, reduction_factor=2),
    )


def _put_right(study: optuna.Study, folder: Path) -> None:
    """Tries whose process died are put down as failed and asked for again."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        try:
            with exclusive(folder / f"trial-{trial.number}"):
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
                study.enqueue_trial(trial.params)
        except ConflictError:
            continue  # Another process is at it.


def _today(base: TrainConfig) -> dict[str, Any]:
    """Today's settings in the terms of the search; what it does not offer is left to the sampler."""
    values: dict[str, Any] = {name: getattr(base, name) for name in SEARCHED if name != "input_size"}
    known = {name: value for name, value in values.items() if value in SEARCHED[name]}
    return {**known, "input_size": 0, "rate": 1.0}


class _Search:
    """Runs one try after the other."""

    def __init__(
        self, project: Project, block: ValidationBlock, base: TrainConfig, folder: Path, reporter: SubReporter
    ) -> None:
        self._project = project
        self._block = block
        self._base = base
        self._folder = folder
        self._reporter = reporter

    def run(self, study: optuna.Study, share: float) -> None:
        trial = study.ask()
        folder = self._folder / f"trial-{trial.number}"
        started = time.monotonic()
        try:
            with exclusive(folder):
                config = _config(trial, self._base)
                value = self._train(trial, config, folder / "run", share)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except TrainingError as error:
            # Such as a learning rate that diverges: a result of the search, not the end of it.
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=TrialState.FAIL)
        except BaseException:
            study.tell(trial, state=TrialState.FAIL)
            raise
        else:
            trial.set_user_attr("seconds", round(time.monotonic() - started, 1))
            study.tell(trial, value)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _train(self, trial: optuna.Trial, config: TrainConfig, folder: Path, share: float) -> float:
        number, steps = trial.number + 1, config.steps
        last = math.nan

        def validate(detector: SiteDetector, step: int) -> float:
            nonlocal last
            result, ms = self._block.score(detector)
            last = result.box.ap or 0.0
            trial.set_user_attr("ms_per_frame", round(ms, 2))
            trial.report(last, step)
            if step < steps and trial.should_prune():
                raise optuna.TrialPruned
            return last

        def tell(report: Progress) -> None:
            self._reporter.update(share, f"try {number}: step {report.step} of {steps}")

        plate = background_plate(self._project).image if config.background_channels else None
        train_detector(
            self._block.samples,
            self._project.config.classes,
            config,
            weights_path(COCO_DETECTOR),
            folder,
            plate=plate,
            progress=tell,
            validate=validate,
            validate_every=max(1, steps // _RUNGS),
        )
        return last


def _config(trial: optuna.Trial, base: TrainConfig) -> TrainConfig:
    chosen = {name: trial.suggest_categorical(name, values) for name, values in SEARCHED.items()}
    chosen["input_size"] = max(_SMALLEST_INPUT, base.input_size + int(chosen["input_size"] or 0))
    rate = trial.suggest_float("rate", *_RATES, log=True)
    # Masks cost a quarter of a step and do not bear on the boxes.
    return replace(
        base, **chosen, learning_rate=base.learning_rate * rate, mask_head=False, checkpoint_every=10**6
    )


def _report(
    study: optuna.Study, version: str, block: ValidationBlock, base: TrainConfig, folder: Path
) -> TuneReport:
    trials = tuple(_trial(trial) for trial in study.get_trials(deepcopy=False))
    complete = [trial for trial in trials if trial.state == "complete" and trial.box_ap is not None]
    best = max(complete, key=lambda trial: (trial.box_ap or 0.0, -trial.number), default=None)
    path = folder / "tune.json"
    lines = "" if best is None or best.number == 0 else _site_yaml(best, base)
    report = TuneReport(version, (len(block.samples), len(block.judged)), trials, best, lines, str(path))
    write_json(path, asdict(report))
    return report


def _trial(trial: optuna.trial.FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    return Trial(
        trial.number,
        trial.state.name.lower(),
        dict(trial.params),
        trial.value if trial.value is not None else next(reversed(trial.intermediate_values.values()), None),
        attributes.get("ms_per_frame"),
        attributes.get("seconds"),
    )


def _site_yaml(best: Trial, base: TrainConfig) -> str:
    settings = best.settings
    size = max(_SMALLEST_INPUT, base.input_size + int(settings["input_size"]))
    lines = ["model:", f"  input_size: {size}"]
    lines.append(f"  background_channels: {str(settings['background_channels']).lower()}")
    lines += ["train:", f"  learning_rate: {base.learning_rate * settings['rate']:.3g}"]
    for name in ("ema", "mirror", "zoom", "shift", "paste"):
        value = settings[name]
        lines.append(f"  {name}: {str(value).lower() if isinstance(value, bool) else f'{value:g}'}")
    return "\n".join(lines) + "\n"
