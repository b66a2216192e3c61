"""The search for settings: by the validation block, resumable, today's settings first."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import torch
from optuna.trial import FixedTrial, TrialState

from curate.detectors import TrainConfig
from curate.detectors.maskrcnn_start import coco_weights_path
from curate.errors import ConfigError, TrainingError
from curate.files import exclusive
from curate.workflows import train as train_module
from curate.workflows import tune as module
from curate.workflows import tune_networks
from curate.workflows.evaluate import needed_gold
from curate.workflows.progress import Cancelled, Quiet
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot
from curate.workflows.starting_point import StartingPoint, starting_point
from curate.workflows.train import train_config
from curate.workflows.tune import tune
from curate.workflows.tune_networks import TODAYS, networks
from curate.workflows.tune_space import Space, search_space
from curate.workflows.tune_storage import open_study
from curate.workflows.validation import validation_block

pytestmark = pytest.mark.usefixtures("one_thread")


_FILE = Path(__file__).parents[1] / "store" / "backends.py"
_spec = importlib.util.spec_from_file_location("crossguard_test_backends", _FILE)
backends = sys.modules.get(_spec.name) or importlib.util.module_from_spec(_spec)
if _spec.name not in sys.modules:
    sys.modules[_spec.name] = backends
    _spec.loader.exec_module(backends)


def space_of(base: TrainConfig) -> Space:
    """Of a site that leaves no network open."""
    return search_space({TODAYS: StartingPoint(base, Path("weights"))})


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
    choices = space_of(base).choices
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
    assert report.trials[1].settings == space_of(base).today
    assert (report.trials[1].settings["zoom"], report.trials[1].settings["paste"]) == (0.1, 0.5)
    assert report.best == report.trials[1]
    assert (report.gain, report.site_yaml) == (0.0, "")
    project.store.close()


def test_a_small_input_is_not_enlarged(project: Project) -> None:
    base = replace(train_config(project), input_size=128)
    assert space_of(base).choices["input_size"] == (128,)
    assert space_of(replace(base, input_size=192)).choices["input_size"] == (160, 192)


def test_what_it_finds_is_valid_in_site_yaml(project: Project) -> None:
    """The lines of a try, appended to a site.yaml, give the very settings that were tried."""
    base = replace(train_config(project), input_size=512)
    space = space_of(base)
    settings = {name: values[-1] for name, values in space.choices.items()}
    lines = space.site_yaml(settings | {"learning_rate": 2 * base.learning_rate})
    root = project.root.parent / "other"
    root.mkdir()
    (root / "site.yaml").write_text("classes: [person, car]\n" + lines)
    config = train_config(Project.open(root))
    assert (config.input_size, config.background_channels, config.mirror) == (512, True, True)
    assert (config.ema, config.zoom, config.shift, config.paste) == (0.98, 0.15, 0.06, 2.0)
    assert config.learning_rate == pytest.approx(2 * base.learning_rate)


def found_networks(root: Path, model: str) -> dict[str, StartingPoint]:
    (root / "site.yaml").write_text(f"classes: [person, car]\nmodel: {{{model}}}\n")
    opened = Project.open(root)
    today = starting_point(opened, train_config(opened), Quiet())
    found = networks(opened, today, Quiet())
    opened.store.close()
    return found


def test_networks_and_widths_are_searched_where_the_recipe_leaves_them_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = [f"recipe: maskrcnn, weights: bundled, pyramid: {width}" for width in (128, 256)]
    assert list(found_networks(tmp_path, "recipe: auto")) == [TODAYS]  # a processor
    assert list(found_networks(tmp_path, "recipe: gpu")) == [TODAYS]
    assert list(found_networks(tmp_path, "recipe: maskrcnn, weights: bundled")) == [TODAYS, bundled[0]]
    own = found_networks(tmp_path, "recipe: maskrcnn, weights: bundled, pyramid: 64")
    assert list(own) == [TODAYS, *bundled]
    for asks in (tune_networks, train_module):
        monkeypatch.setattr(asks, "choose_device", lambda name: torch.device("cuda"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = found_networks(tmp_path, "recipe: auto")
    assert list(found) == [TODAYS, *bundled]
    assert [(p.config.architecture, p.config.pyramid) for p in found.values()] == [
        ("nanodet-g", 256),
        ("maskrcnn-nanodet-g", 128),
        ("maskrcnn-nanodet-g", 256),
    ]
    coco_weights_path().parent.mkdir(parents=True)
    coco_weights_path().touch()
    assert list(found_networks(tmp_path, "recipe: auto")) == [
        TODAYS,  # Mask R-CNN now, as its weights are here
        "recipe: gpu",
        *bundled,
    ]


def test_another_network_is_tried_with_its_own_recipe_and_weights(tmp_path: Path) -> None:
    """And its lines, written into site.yaml, choose just that."""
    space = search_space(found_networks(tmp_path, "recipe: maskrcnn, weights: bundled, input_size: 256"))
    name = "recipe: maskrcnn, weights: bundled, pyramid: 128"
    chosen = space.today | {"network": name, "learning_rate": 2e-4}
    start = space.start(FixedTrial(chosen))
    assert (start.config.architecture, start.config.pyramid) == ("maskrcnn-nanodet-g", 128)
    assert start.config.learning_rate == pytest.approx(2e-4)
    assert not start.config.mask_head
    (tmp_path / "site.yaml").write_text("classes: [person, car]\n" + space.site_yaml(chosen))
    opened = Project.open(tmp_path)
    config = starting_point(opened, train_config(opened), Quiet()).config
    assert (config.architecture, config.pyramid, config.input_size) == ("maskrcnn-nanodet-g", 128, 256)
    opened.store.close()


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
    monkeypatch.setattr(module, "_YOUNG_SECONDS", 0.0)
    with open_study(project, folder.name, 3) as study:
        dead = study.ask()
        dead.suggest_float("learning_rate", 1e-4, 1e-3, log=True)
        with exclusive(folder / f"trial-{dead.number}"):
            alive = tune(project, trials=1)  # As if another process were at it.
        assert alive.trials[dead.number].state == "running"
        later = tune(project, trials=1)
        assert later.trials[dead.number].state == "fail"
        again = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))[-1]
        assert again.params["learning_rate"] == study.trials[dead.number].params["learning_rate"]


def test_a_try_of_another_machine_is_alive_as_long_as_it_says_so(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_YOUNG_SECONDS", 0.0)
    with open_study(project, "elsewhere", 3) as study:
        for seconds in (30, 900):
            trial = study.ask()
            trial.set_user_attr("host", "another-machine")
            trial.set_user_attr("alive", time.time() - seconds)
        for trial in study.get_trials():
            module._put_right(study, trial, project.cache_dir / "tune")
        assert [trial.state for trial in study.get_trials()][:2] == [TrialState.RUNNING, TrialState.FAIL]


@pytest.fixture(params=backends.PARAMS)
def shared_root(
    request: pytest.FixtureRequest, labelled_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project without anything in it, on each database."""
    monkeypatch.setenv("CROSSGUARD_DB", backends.database_url(request.param, request, tmp_path))
    root = tmp_path / "shared"
    root.mkdir()
    shutil.copy(labelled_template / "site.yaml", root)
    return root


def test_todays_settings_asked_for_by_several_machines_are_tried_once(
    shared_root: Path, tmp_path: Path
) -> None:
    """Three connections begin and ask at the same moment, round after round; what was cut off is asked for again."""
    opened = Project.open(shared_root)
    space = space_of(train_config(opened))
    machines, rounds = 3, 2
    together = threading.Barrier(machines)
    got: list[list[optuna.Trial]] = [[] for _ in range(machines)]

    def search(number: int) -> None:
        with open_study(opened, "claims", 3) as study:
            for turn in range(rounds):
                # All have looked before anybody asks: what a lock of one machine would not keep apart.
                together.wait(60)
                module._begin(study, space, tmp_path / f"machine-{number}")
                together.wait(60)
                trial = module._next(study)
                got[turn].append(trial)
                together.wait(60)
                if module._is_today(trial):
                    study.tell(trial, state=TrialState.FAIL)
                else:
                    study.tell(trial, 0.5)

    with open_study(opened, "claims", 3):
        pass
    threads = [threading.Thread(target=search, args=(number,)) for number in range(machines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for trials in got[:rounds]:
        assert len(trials) == machines
        assert len({trial.number for trial in trials}) == machines  # no try is given to two
        assert sum(module._is_today(trial) for trial in trials) == 1
    opened.store.close()


def test_a_try_that_two_machines_ask_for_again_is_made_once(project: Project) -> None:
    with open_study(project, "again", 3) as study:
        dead = study.ask()
        dead.suggest_float("x", 0, 1)
        study.tell(dead, state=TrialState.FAIL)
        for _ in range(2):
            module._ask_again(study, study.trials[0])
        first, second = module._next(study), module._next(study)
        assert first.suggest_float("x", 0, 1) == study.trials[0].params["x"]
        assert "for" not in second.user_attrs
        assert [trial.user_attrs.get("superseded", False) for trial in study.trials] == [
            False,
            False,
            True,
            False,
        ]


SEARCH = """
import sys
from pathlib import Path
from curate.workflows.project import Project
from curate.workflows.tune_storage import open_study
project = Project.open(Path(sys.argv[1]))
with open_study(project, "shared", 3) as study:
    for _ in range(4):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1))
"""


def test_processes_search_together_in_the_projects_database(shared_root: Path) -> None:
    """Two begin at the same moment in a database that holds nothing yet; the project's own tables are let alone."""
    command = [sys.executable, "-c", SEARCH, str(shared_root)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in started:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
    opened = Project.open(shared_root)
    with open_study(opened, "shared", 3) as study:
        assert len(study.trials) == 8
        assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert not opened.store.frames()  # ours migrates beside it, with a version table of the same name
    with open_study(opened, "shared", 3) as study:
        assert len(study.trials) == 8
    opened.store.close()


def test_a_search_needs_a_budget(project: Project) -> None:
    with pytest.raises(ConfigError, match="budget"):
        tune(project)
