"""A small rendered junction as a project: 24 frames, one a second, four blocks of time, exact labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curate.synth import SceneConfig, SyntheticScene, render_scene
from curate.workflows.coverage import mark_covered
from curate.workflows.gold import create_gold, freeze_gold
from curate.workflows.ingest import ingest
from curate.workflows.project import Project

SITE = """\
classes: [person, car]
frames: {every_n: 1}
split: {block_seconds: 4, gap_seconds: 0.5, folds: 2, gold_share: 0.34}
model: {input_size: 160}
train: {steps: 3, fold_steps: 2, batch_size: 2, device: cpu}
evaluation: {resamples: 100}
"""


@pytest.fixture(scope="session")
def scene() -> SyntheticScene:
    return render_scene(SceneConfig(seed=3, frames=24, fps=1.0, persons=3, cars=1, standers=1))


@pytest.fixture(scope="session")
def video(scene: SyntheticScene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scene.write_video(tmp_path_factory.mktemp("video") / "synth.avi")


@pytest.fixture(scope="session")
def labelled_template(scene: SyntheticScene, video: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ingested, working labels on the first part, frozen gold on the rest; tests work on copies."""
    root = tmp_path_factory.mktemp("template") / "site"
    root.mkdir()
    (root / "site.yaml").write_text(SITE)
    project = Project.open(root)
    ingest(project, [video])
    gold = set(create_gold(project).manifest["frames"])
    frames = sorted(project.store.frames(), key=lambda frame: frame.index)
    for source, chosen in (
        ("gold", [frame for frame in frames if frame.id in gold]),
        ("cheap", [frame for frame in frames if frame.id not in gold]),
    ):
        labels = [
            replace_source(annotation, source)
            for frame in chosen
            for annotation in scene.annotations_of(frame.index, frame.id)
        ]
        project.store.add_annotations(labels, actor=source)
        mark_covered(project, source, [frame.id for frame in chosen])
    freeze_gold(project)
    project.store.close()
    return root


def replace_source(annotation: object, source: str) -> object:
    from dataclasses import replace

    return replace(annotation, source=source, id=f"{source}:{annotation.id}")


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    root = tmp_path / "site"
    root.mkdir()
    (root / "site.yaml").write_text(SITE)
    project = Project.open(root)
    yield project
    project.store.close()


@pytest.fixture
def project(labelled_template: Path, tmp_path: Path) -> Project:
    root = tmp_path / "site"
    shutil.copytree(labelled_template, root)
    opened = Project.open(root)
    yield opened
    opened.store.close()
