"""The detectors of a scan: trained one after the other or at once, they are the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from curate.errors import ModelError
from curate.workflows import judges as module
from curate.workflows.dataset import labelled_frames, working_frames
from curate.workflows.judges import Judge, make_folds, train_judges
from curate.workflows.progress import Cancelled, Quiet, SubReporter
from curate.workflows.project import Project
from curate.workflows.scene import background_plate

pytestmark = pytest.mark.usefixtures("one_thread")


class Told(Quiet):
    def __init__(self, stop_at: str = "never") -> None:
        self.messages: list[str] = []
        self._stop_at = stop_at

    def update(self, fraction: float, message: str) -> None:
        assert 0 <= fraction <= 1
        self.messages.append(message)

    def should_stop(self) -> bool:
        return any(self._stop_at in message for message in self.messages)


def judged(project: Project, told: Told) -> list[Judge]:
    frames = working_frames(project)
    labels = project.store.annotations(source="cheap", frame_ids=[frame.id for frame in frames])
    labelled = labelled_frames(project, frames, labels)
    return train_judges(
        project,
        labelled,
        make_folds(project, labelled),
        background_plate(project),
        force=False,
        reporter=SubReporter(told, 0, 1),
    )


def with_folds(project: Project, count: int, root: Path) -> Project:
    shutil.copytree(project.root, root)
    site = root / "site.yaml"
    site.write_text(site.read_text().replace("steps: 3,", f"steps: 3, folds_at_once: {count},"))
    return Project.open(root)


def test_folds_at_once_are_the_folds_one_after_the_other(project: Project, tmp_path: Path) -> None:
    weights = {}
    for count in (1, 2):
        opened = with_folds(project, count, tmp_path / f"at-once-{count}")
        found = judged(opened, Told())
        assert [(judge.fold, judge.retrained) for judge in found] == [(0, True), (1, True)]
        again = judged(opened, Told())
        assert [(judge.fold, judge.retrained) for judge in again] == [(0, False), (1, False)]
        folders = sorted((opened.cache_dir / "judges").glob("fold-*/model.safetensors"))
        weights[count] = [load_file(path) for path in folders]
        opened.store.close()
    for one, other in zip(weights[1], weights[2], strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(not torch.equal(value, weights[1][1][name]) for name, value in weights[1][0].items())


def test_cancelled_it_goes_on_with_what_is_finished(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Cancelled):
        judged(project, Told(stop_at="training 2 detectors"))
    trained = []
    original = module.train_detector

    def counts(*arguments: object, **named: object) -> object:
        trained.append(arguments[4])
        return original(*arguments, **named)

    monkeypatch.setattr(module, "train_detector", counts)
    assert len(judged(project, Told())) == len(trained) == 2


def test_an_error_of_one_fold_is_the_scans(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> object:
        raise ModelError("the weights cannot be read")

    monkeypatch.setattr(module, "train_detector", broken)
    with pytest.raises(ModelError, match="cannot be read"):
        judged(project, Told())
