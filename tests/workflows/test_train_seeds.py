"""Seeds of one version: at once where that is asked for, told and stopped together, each a run of its own."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from curate.errors import TrainingError
from curate.store import RunRecord
from curate.workflows import train_seeds as module
from curate.workflows.progress import Cancelled, Quiet, Reporter
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot
from curate.workflows.train import train_version
from curate.workflows.train_seeds import train_seeds

pytestmark = pytest.mark.usefixtures("one_thread")


class Told(Quiet):
    """Keeps what it is told, and by which thread; asks to stop once `stops` is set."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.fractions: list[float] = []
        self.threads: set[int] = set()
        self.stops = threading.Event()

    def update(self, fraction: float, message: str) -> None:
        self.messages.append(message)
        self.fractions.append(fraction)
        self.threads.add(threading.get_ident())

    def should_stop(self) -> bool:
        return self.stops.is_set()


def at_once(project: Project, count: int) -> Project:
    train = project.config.train.model_copy(update={"folds_at_once": count})
    return replace(project, config=project.config.model_copy(update={"train": train}))


def test_two_seeds_train_at_once_each_as_whoever_asked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, both, actors, told = snapshot(project).id, threading.Barrier(2), [], Told()

    def meets(asked: Project, *args: str, **options: object) -> RunRecord:
        actors.append(asked.store.actor)
        both.wait(60)
        return train_version(asked, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_version", meets)
    pair = at_once(project, 2)
    with pair.store.acting("ann"):
        runs = train_seeds(pair, version, [4, 3], warm=False, reporter=told)
    assert [(run.seed, run.state) for run in runs] == [(4, "done"), (3, "done")]
    assert {run.id for run in project.store.runs(version, "train")} == {run.id for run in runs}
    assert actors == ["ann", "ann"]
    assert told.threads == {threading.get_ident()}
    assert {"training seed 4: step 3 of 3", "training seed 3: step 3 of 3"} <= {
        message.partition(",")[0] for message in told.messages
    }
    assert told.fractions == sorted(told.fractions)
    assert told.fractions[-1] == 1


def test_a_processor_trains_one_after_the_other(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    running, seen = [], []

    def one(_: Project, version: str, *, seed: int, **__: object) -> RunRecord:
        running.append(seed)
        time.sleep(0.05)
        seen.append(list(running))
        running.remove(seed)
        return RunRecord(id=str(seed), version_id=version, kind="train", state="done", seed=seed, path="")

    monkeypatch.setattr(module, "train_version", one)
    runs = train_seeds(project, "version", range(3), warm=False, reporter=Told())
    assert [run.seed for run in runs] == [0, 1, 2]
    assert seen == [[0], [1], [2]]


@pytest.mark.parametrize("fails", [True, False])
def test_a_failure_or_a_cancel_stops_all(
    project: Project, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    told, begun, stopped = Told(), threading.Barrier(2), []

    def until_stopped(_: Project, __: str, *, seed: int, reporter: Reporter, **___: object) -> RunRecord:
        begun.wait(60)
        if fails and seed == 0:
            raise TrainingError("not finite")
        if not fails:
            told.stops.set()
        while not reporter.should_stop():
            time.sleep(0.01)
        stopped.append(seed)
        raise Cancelled

    monkeypatch.setattr(module, "train_version", until_stopped)
    with pytest.raises(TrainingError if fails else Cancelled):
        train_seeds(at_once(project, 2), "version", range(2), warm=False, reporter=told)
    assert sorted(stopped) == ([1] if fails else [0, 1])
