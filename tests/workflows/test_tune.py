"""The search for settings: by the validation block, resumable, today's settings first."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from optuna.trial import TrialState

from curate.errors import ConfigError, TrainingError
from curate.files import exclusive
from curate.workflows import tune as module
from curate.workflows.evaluate import needed_gold
from curate.workflows.progress import Cancelled, Quiet
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot
from curate.workflows.train import train_config
from curate.workflows.tune import tune
from curate.workflows.tune_space import search_space
from curate.workflows.validation import validation_block


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only lose by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_validation_block_is_apart_from_training_and_from_gold(project: Project) -> None:
    block = validation_block(project, snapshot(project))
    held = {entry.frame.id for entry in block.judged}
    trained = {sample.key for sample in block.samples}
    gold = needed_gold(project)
    assert held
    assert trained
    assert not held & trained
    assert not (held | trained) & {frame.id for frame in gold.frames}
    times = {frame.id: frame.captured_at for frame in project.store.frames()}
    gap = min(abs(times[a] - times[b]) for a in held for b in trained)
    assert gap > project.config.split.gap_seconds


def test_a_search_tries_today_first_and_goes_on_where_it_ended(project: Project) -> None:
    first = tune(project, trials=2)
    assert [trial.number for trial in first.trials] == [0, 1]
    today, base = first.trials[0], train_config(project)
    assert today.state == "complete"
    assert [trial.today for trial in first.trials] == [True, False]
    assert all(value == getattr(base, name) for name, value in today.settings.items())
    assert today.ms_per_frame is not None
    second = tune(project, trials=1)
    assert second.trials[:2] == first.trials
    assert len(second.trials) == 3
    assert second.best is not None
    assert second.best.box_ap == max(t.box_ap or 0 for t in second.trials if t.state == "complete")
    assert second.best.box_ap - second.trials[0].box_ap == pytest.approx(second.gain, abs=1e-6)
    assert (second.site_yaml == "") == second.best.today
    assert not list(Path(second.path).parent.glob("trial-*"))
    choices = search_space(base).choices
    for trial in second.trials:
        assert all(trial.settings[name] in values for name, values in choices.items())


class StopAtOnce(Quiet):
    """Cancels during the first step."""

    def should_stop(self) -> bool:
        return True


def test_after_a_cancelled_first_try_todays_settings_are_still_known(project: Project) -> None:
    """Also where today's value is on none of the lists."""
    site = project.root / "site.yaml"
    site.write_text(site.read_text().replace("steps: 3,", "steps: 3, zoom: 0.1, ema: 0.5, paste: 0.5,"))
    project = Project.open(project.root)
    base = train_config(project)
    with pytest.raises(Cancelled):
        tune(project, trials=1, reporter=StopAtOnce())
    report = tune(project, trials=1)
    assert [(trial.state, trial.today) for trial in report.trials] == [("fail", True), ("complete", True)]
    assert report.trials[1].settings == search_space(base).today
    assert (report.trials[1].settings["zoom"], report.trials[1].settings["paste"]) == (0.1, 0.5)
    assert report.best == report.trials[1]
    assert (report.gain, report.site_yaml) == (0.0, "")
    project.store.close()


def test_a_small_input_is_not_enlarged(project: Project) -> None:
    base = replace(train_config(project), input_size=128)
    assert search_space(base).choices["input_size"] == (128,)
    assert search_space(replace(base, input_size=192)).choices["input_size"] == (160, 192)


def test_what_it_finds_is_valid_in_site_yaml(project: Project) -> None:
    """The lines of a try, appended to a site.yaml, give the very settings that were tried."""
    base = replace(train_config(project), input_size=512)
    space = search_space(base)
    settings = {name: values[-1] for name, values in space.choices.items()}
    lines = space.site_yaml(settings | {"learning_rate": 2 * base.learning_rate})
    root = project.root.parent / "other"
    root.mkdir()
    (root / "site.yaml").write_text("classes: [person, car]\n" + lines)
    config = train_config(Project.open(root))
    assert (config.input_size, config.background_channels, config.mirror) == (512, True, True)
    assert (config.ema, config.zoom, config.shift, config.paste) == (0.98, 0.15, 0.06, 2.0)
    assert config.learning_rate == pytest.approx(2 * base.learning_rate)


def test_a_try_that_fails_does_not_end_the_search_and_one_that_died_is_tried_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(*_: object, **__: object) -> None:
        raise TrainingError("not finite")

    with monkeypatch.context() as patched:
        patched.setattr(module, "train_detector", diverges)
        report = tune(project, trials=1)
    assert [trial.state for trial in report.trials] == ["fail"]
    assert report.best is None
    folder = Path(report.path).parent
    study = module._open_study(folder, 3)
    dead = study.ask()
    dead.suggest_float("learning_rate", 1e-4, 1e-3, log=True)
    monkeypatch.setattr(module, "_YOUNG_SECONDS", 0.0)
    with exclusive(folder / f"trial-{dead.number}"):
        alive = tune(project, trials=1)  # As if another process were at it.
    assert alive.trials[dead.number].state == "running"
    later = tune(project, trials=1)
    assert later.trials[dead.number].state == "fail"
    again = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))[-1]
    assert again.params["learning_rate"] == study.trials[dead.number].params["learning_rate"]
    shutil.rmtree(folder)


def test_a_search_needs_a_budget(project: Project) -> None:
    with pytest.raises(ConfigError, match="budget"):
        tune(project)
