"""The retrain button when things go wrong: each ends in a clear state, nothing is lost, the same call goes on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace

import pytest
import torch

from curate.annotations import Decision, DecisionKind
from curate.detectors.learner import SiteLearner
from curate.errors import ConflictError, TrainingError
from curate.review import decide
from curate.workflows.compare import comparisons
from curate.workflows.progress import Cancelled, Quiet
from curate.workflows.project import Project
from curate.workflows.retrain import retrain
from curate.workflows.runs import refresh_runs
from curate.workflows.snapshot import snapshot
from curate.workflows.train import train_version

pytestmark = pytest.mark.usefixtures("one_thread")


def delete_labels(project: Project, count: int) -> None:
    for label in project.store.annotations(source="cheap")[:count]:
        decide(
            project.store,
            Decision(uuid.uuid4().hex, DecisionKind.DELETE_LABEL, "ann", annotation_id=label.id),
        )


class Gate(Quiet):
    """Holds the training at its first step until it is opened."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def update(self, fraction: float, message: str) -> None:
        if "step" in message:
            self.reached.set()
            self.opened.wait(60)


def test_two_presses_train_once(project: Project) -> None:
    """The second is told, and the first one's state is left alone."""
    version, gate = snapshot(project).id, Gate()
    worker = threading.Thread(target=train_version, args=(project, version), kwargs={"reporter": gate})
    worker.start()
    assert gate.reached.wait(60)
    with pytest.raises(ConflictError, match="another process"):
        train_version(project, version)
    (run,) = project.store.runs(kind="train")
    assert run.state == "running"
    assert refresh_runs(project) == []
    gate.opened.set()
    worker.join()
    assert project.store.run(run.id).state == "done"
    assert train_version(project, version).id == run.id


class EditsMeanwhile(Quiet):
    def __init__(self, project: Project) -> None:
        self.project, self.done = project, False

    def update(self, fraction: float, message: str) -> None:
        if "step" in message and not self.done:
            self.done = True
            delete_labels(self.project, 1)


@pytest.mark.slow
def test_labels_that_change_during_the_training_are_the_next_version(project: Project) -> None:
    reporter = EditsMeanwhile(project)
    first = retrain(project, reporter=reporter)
    assert reporter.done
    second = retrain(project)
    assert second.version != first.version
    assert len(project.store.annotations(source="cheap")) > 0
    assert second.against_before is not None
    assert second.against_before.before == first.runs


@pytest.mark.slow
def test_cut_off_in_the_comparison_nothing_is_trained_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StopsInTheComparison(Quiet):
        stopping = False

        def update(self, fraction: float, message: str) -> None:
            self.stopping = "evaluating" in message

        def should_stop(self) -> bool:
            return self.stopping

    with pytest.raises(Cancelled):
        retrain(project, reporter=StopsInTheComparison())
    (run,) = project.store.runs(kind="train")
    assert run.state == "done"
    assert comparisons(project) == []

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("curate.workflows.train.train_detector", never)
    result = retrain(project)
    assert result.runs == (run.id,)
    assert [record.id for record in comparisons(project)] == [result.against_generic.id]


def test_without_memory_the_run_says_what_to_do_and_goes_on_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = snapshot(project).id

    def hungry(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(SiteLearner, "losses", hungry)
        with pytest.raises(TrainingError, match="fits into the memory"):
            train_version(project, version)
    (run,) = project.store.runs(kind="train")
    assert run.state == "failed"
    assert "model.input_size" in run.error
    assert train_version(project, version).state == "done"


def train_command(project: Project, version: str) -> list[str]:
    return [sys.executable, "-m", "curate.cli.main", "train", version, "--project", str(project.root)]


@pytest.mark.fault
@pytest.mark.slow
def test_on_a_full_disk_the_run_fails_clearly_and_goes_on_later(project: Project) -> None:
    """A limit on the size of files stands for the full disk: weights do not fit, the database does."""
    version = snapshot(project).id
    done = subprocess.run(
        train_command(project, version),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, 4 << 20)),
    )
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = project.store.runs(kind="train")
    assert run.state == "failed"
    assert "cannot be written" in run.error
    folder = project.root / run.path
    assert not (folder / "detector.json").exists()
    assert not list(folder.glob(".*.tmp"))
    assert train_version(project, version).state == "done"


@pytest.mark.fault
@pytest.mark.slow
def test_a_killed_run_is_put_down_as_cancelled_and_goes_on(project: Project) -> None:
    version = snapshot(project).id
    process = subprocess.Popen(
        train_command(project, version), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not any(run.state == "running" for run in project.store.runs(kind="train")):
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (lost,) = refresh_runs(project)
    assert lost.state == "cancelled"
    assert "goes on" in lost.error
    again = train_version(project, version)
    assert (again.id, again.state, again.error) == (lost.id, "done", "")


@pytest.mark.slow
def test_a_small_fix_is_trained_from_the_run_before(project: Project) -> None:
    first = retrain(project)
    assert first.starts == (None,)
    delete_labels(project, 1)
    second = retrain(project)
    assert second.starts == first.runs
    run = project.store.run(second.runs[0])
    assert run.config["steps"] < project.store.run(first.runs[0]).config["steps"]
    assert 0 < run.config["changed_share"] < 0.12
    assert second.against_before is not None
    assert any("steps more" in note for note in second.against_before.comparison.notes)
    delete_labels(project, 1)
    third = retrain(project)
    assert third.starts == second.runs
    assert third.against_before is not None
    assert third.against_before.before == second.runs
    version = second.version
    assert train_version(project, version, warm=True).id == run.id
    cold = train_version(project, version)
    assert "start" not in cold.config
    assert train_version(project, version, warm=True).id == cold.id


class Told(Quiet):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def update(self, fraction: float, message: str) -> None:
        self.messages.append(message)


def test_runs_of_before_a_setting_existed_are_started_from_or_it_says_why_not(project: Project) -> None:
    """Their records lack the keys; what they did is what the keys' defaults do."""
    told = Told()
    first = train_version(project, snapshot(project).id, warm=True, reporter=told)
    assert any("there is no run before it" in message for message in told.messages)
    younger = ("architecture", "weights", "weather", "compile", "balance")
    old = {key: value for key, value in first.config.items() if key not in younger}
    delete_labels(project, 1)
    version = snapshot(project).id
    project.store.put_run(replace(first, config=old))
    told = Told()
    cold = train_version(project, version, warm=True, reporter=told)
    assert "start" not in cold.config
    assert any("other settings (balance 0.0 -> 0.1)" in message for message in told.messages)
    project.store.put_run(replace(first, config=old | {"balance": 0.1}))
    delete_labels(project, 1)
    project.store.put_run(replace(cold, state="failed"))
    assert train_version(project, snapshot(project).id, warm=True).config["start"] == first.id
    delete_labels(project, 12)
    told = Told()
    assert "start" not in train_version(project, snapshot(project).id, warm=True, reporter=told).config
    assert any("of the labels changed" in message for message in told.messages)


def test_after_many_fixes_training_begins_from_the_start(project: Project) -> None:
    """Also when they came in small lots: a chain of warm runs adds its changes up."""

    def start() -> str | None:
        return train_version(project, snapshot(project).id, warm=True).config.get("start")

    assert start() is None
    count = len(project.store.annotations(source="cheap"))
    starts = []
    for _ in range(4):
        delete_labels(project, round(0.05 * count))
        starts.append(start())
    assert starts[:2] != [None, None]
    assert None in starts[2:]
    delete_labels(project, round(0.3 * count))
    assert start() is None
