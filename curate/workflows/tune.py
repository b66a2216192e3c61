"""Search for better settings of a site's training: within a budget, resumable, by the validation block."""

from __future__ import annotations

import hashlib
import math
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from curate.detectors import Progress, SiteDetector, train_detector
from curate.errors import ConfigError, ConflictError, TrainingError
from curate.files import exclusive, write_json
from curate.store import Role
from curate.workflows.progress import Quiet, Reporter, SubReporter
from curate.workflows.project import Project
from curate.workflows.scene import background_plate
from curate.workflows.snapshot import snapshot
from curate.workflows.starting_point import StartingPoint, starting_point
from curate.workflows.train import train_config
from curate.workflows.tune_networks import networks
from curate.workflows.tune_space import Space, search_space
from curate.workflows.tune_storage import open_study
from curate.workflows.validation import ValidationBlock, validation_block

__all__ = ["Trial", "TuneReport", "tune"]

TODAY = "today"
"""What the tries are for that stand for today's settings, whatever their numbers."""
_FOR, _SUPERSEDED = "for", "superseded"
_ERROR = "error"
_RUNGS = 4
_YOUNG_SECONDS = 5.0
# Attributes of a try: the machine that is at it, and when it last said so (Unix seconds).
_HOST, _ALIVE = "host", "alive"
_SAY_SECONDS, _SILENT_SECONDS = 30.0, 600.0


@dataclass(frozen=True)
class Trial:
    """One try.

    Attributes:
        number: In the order of their beginnings.
        state: "complete", "pruned" (ended early as unpromising), "fail", "running" or "waiting".
        settings: What was tried.
        box_ap: On the validation block; of the last look for one that was pruned.
        ms_per_frame: Median.
        seconds: It took.
        today: Whether these are the settings of today.
    """

    number: int
    state: str
    settings: Mapping[str, Any]
    box_ap: float | None
    ms_per_frame: float | None
    seconds: float | None
    today: bool = False


@dataclass(frozen=True)
class TuneReport:
    """What a search has found so far.

    Attributes:
        version: Dataset version searched on.
        frames: Frames trained on, frames judged on.
        trials: All tries, also those of earlier calls.
        best: The best complete one.
        gain: Its box AP minus that of today's settings; None as long as those are not tried to their end.
        site_yaml: Lines for site.yaml that choose it; "" when today's settings are the best.
        path: Where all this stands as JSON.
    """

    version: str
    frames: tuple[int, int]
    trials: tuple[Trial, ...]
    best: Trial | None
    gain: float | None
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
    part. A search goes on where the last one on the same labels ended, and several processes may search together,
    also on several machines that share the project's database (see `open_study`).

    Args:
        project: The project.
        trials: Tries of this call.
        minutes: Time of this call; a try that has begun is finished.
        reporter: Told how far it is.

    Raises:
        AccessError: The project has users, and who asks is none of them or only a viewer.
        ConfigError: Neither budget is given.
        DataError: There are too few labels or blocks of time.
        Cancelled: The reporter asked to stop; what was tried is kept.
    """
    project.expect_role(Role.REVIEWER)
    if not trials and not minutes:
        raise ConfigError(
            "a search needs a budget", item="--trials, --minutes", hint="for example --minutes 30"
        )
    version = snapshot(project)
    block = validation_block(project, version)
    quiet = reporter or Quiet()
    today = starting_point(project, train_config(project), quiet)
    space = search_space(networks(project, today, quiet))
    key = hashlib.sha256(f"{version.id} {space.key}".encode()).hexdigest()[:12]
    folder = project.cache_dir / "tune" / key
    folder.mkdir(parents=True, exist_ok=True)
    with open_study(project, key, max(1, space.base.steps // _RUNGS)) as study:
        _begin(study, space, folder)
        told = SubReporter(reporter or Quiet(), 0.0, 1.0)
        search = _Search(project, block, space, folder, told)
        started, done = time.monotonic(), 0
        while (not trials or done < trials) and (not minutes or time.monotonic() - started < 60 * minutes):
            shares = [
                done / trials if trials else 0.0,
                (time.monotonic() - started) / 60 / minutes if minutes else 0.0,
            ]
            search.run(study, max(shares))
            done += 1
        return _report(study, version.id, block, space, folder)


def _begin(study: optuna.Study, space: Space, folder: Path) -> None:
    """Ask again for tries whose process died, and for today's settings where nobody has tried them to an end.

    Others may do the same at this moment, also on other machines: then some are asked for twice, and `_next` takes
    one of them.
    """
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        _put_right(study, trial, folder)
    if not any(_is_today(trial) and _speaks(trial) for trial in study.get_trials(deepcopy=False)):
        study.enqueue_trial(space.today, user_attrs={_FOR: TODAY})


def _put_right(study: optuna.Study, trial: FrozenTrial, folder: Path) -> None:
    """A try of this machine is alive as long as its folder is locked; one of another as long as it says so."""
    begun = trial.datetime_start
    if begun is not None and (datetime.now() - begun).total_seconds() < _YOUNG_SECONDS:
        return  # Its process may not have come to lock its folder yet.
    attributes = trial.user_attrs
    elsewhere = attributes.get(_HOST, platform.node()) != platform.node()
    if elsewhere and time.time() - attributes.get(_ALIVE, 0.0) < _SILENT_SECONDS:
        return
    try:
        with exclusive(folder / f"trial-{trial.number}"):
            if (
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True).state
                == TrialState.FAIL
            ):
                _ask_again(study, trial)
        shutil.rmtree(folder / f"trial-{trial.number}", ignore_errors=True)
    except ConflictError:
        return  # Another process is at it.


def _ask_again(study: optuna.Study, trial: optuna.Trial | FrozenTrial) -> None:
    purpose = trial.user_attrs.get(_FOR, f"try {trial.number}")
    study.enqueue_trial(dict(trial.params), user_attrs={_FOR: purpose})


def _is_today(trial: optuna.Trial | FrozenTrial) -> bool:
    return bool(trial.user_attrs.get(_FOR) == TODAY)


def _speaks(trial: FrozenTrial) -> bool:
    """Whether it is tried, being tried or waiting; a training that cannot go well is an answer, too."""
    return trial.state != TrialState.FAIL or _ERROR in trial.user_attrs


def _next(study: optuna.Study) -> optuna.Trial:
    """The next try. Of several for one purpose the first is made and the others are put aside.

    Who comes first, the storage says: it gives out numbers one at a time, to all processes of all machines, and a
    lower number is there for everybody before a higher one is.
    """
    while True:
        trial = study.ask()
        purpose = trial.user_attrs.get(_FOR)
        earlier = study.get_trials(deepcopy=False)[: trial.number] if purpose else []
        if not any(other.user_attrs.get(_FOR) == purpose and _speaks(other) for other in earlier):
            return trial
        trial.set_user_attr(_SUPERSEDED, True)
        study.tell(trial, state=TrialState.FAIL)


class _Search:
    """Runs one try after the other."""

    def __init__(
        self,
        project: Project,
        block: ValidationBlock,
        space: Space,
        folder: Path,
        reporter: SubReporter,
    ) -> None:
        self._project = project
        self._block = block
        self._space = space
        self._folder = folder
        self._reporter = reporter

    def run(self, study: optuna.Study, share: float) -> None:
        trial = _next(study)
        trial.set_user_attr(_HOST, platform.node())
        trial.set_user_attr(_ALIVE, time.time())
        folder = self._folder / f"trial-{trial.number}"
        started = time.monotonic()
        try:
            with exclusive(folder):
                value = self._train(trial, self._space.start(trial), folder / "run", share)
        except optuna.TrialPruned:
            study.tell(trial, state=TrialState.PRUNED)
        except TrainingError as error:
            # Such as a learning rate that diverges: a result of the search, not the end of it.
            trial.set_user_attr(_ERROR, str(error))
            study.tell(trial, state=TrialState.FAIL)
        except BaseException:
            # Cancelled, or the disk is full: it says nothing about these settings.
            study.tell(trial, state=TrialState.FAIL)
            _ask_again(study, trial)
            raise
        else:
            trial.set_user_attr("seconds", round(time.monotonic() - started, 1))
            study.tell(trial, value)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _train(self, trial: optuna.Trial, start: StartingPoint, folder: Path, share: float) -> float:
        config = start.config
        number, steps = trial.number + 1, config.steps
        last, said = math.nan, time.monotonic()

        def validate(detector: SiteDetector, step: int) -> float:
            nonlocal last
            result, ms = self._block.score(detector)
            last = result.box.ap or 0.0
            trial.set_user_attr("ms_per_frame", round(ms, 2))
            trial.report(last, step)
            # Today's settings go to their end: all others are held against them.
            if step < steps and trial.should_prune() and not _is_today(trial):
                raise optuna.TrialPruned
            return last

        def tell(report: Progress) -> None:
            nonlocal said
            if time.monotonic() - said > _SAY_SECONDS:
                said = time.monotonic()
                trial.set_user_attr(_ALIVE, time.time())
            self._reporter.update(share, f"try {number}: step {report.step} of {steps}")

        plate = background_plate(self._project).image if config.background_channels else None
        train_detector(
            self._block.samples,
            self._project.config.classes,
            config,
            start.weights,
            folder,
            plate=plate,
            progress=tell,
            validate=validate,
            validate_every=max(1, steps // _RUNGS),
        )
        return last


def _report(
    study: optuna.Study, version: str, block: ValidationBlock, space: Space, folder: Path
) -> TuneReport:
    every = study.get_trials(deepcopy=False)
    trials = tuple(_trial(trial) for trial in every if _SUPERSEDED not in trial.user_attrs)
    complete = [trial for trial in trials if trial.state == "complete"]
    best = max(complete, key=lambda trial: (trial.box_ap or 0.0, trial.today, -trial.number), default=None)
    today = next((trial for trial in complete if trial.today), None)
    gain = None if best is None or today is None else round((best.box_ap or 0.0) - (today.box_ap or 0.0), 6)
    lines = "" if best is None or best.today else space.site_yaml(best.settings)
    path = folder / "tune.json"
    report = TuneReport(
        version, (len(block.samples), len(block.judged)), trials, best, gain, lines, str(path)
    )
    write_json(path, asdict(report))
    return report


def _trial(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    return Trial(
        trial.number,
        trial.state.name.lower(),
        dict(trial.params),
        trial.value if trial.value is not None else next(reversed(trial.intermediate_values.values()), None),
        attributes.get("ms_per_frame"),
        attributes.get("seconds"),
        _is_today(trial),
    )
