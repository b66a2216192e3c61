"""What a run leaves for people: cards of data and model, and the slice of objects that are new to it."""

from __future__ import annotations

import numpy as np
import torch

from curate.annotations import Annotation
from curate.workflows.evaluate import evaluate_run, needed_gold
from curate.workflows.new_objects import NEW_OBJECTS, unseen
from curate.workflows.project import Project
from curate.workflows.snapshot import snapshot
from curate.workflows.train import train_version


def test_each_run_has_its_cards(project: Project) -> None:
    torch.set_num_threads(1)
    version = snapshot(project, note="first | try")
    run = train_version(project, version.id)
    folder = project.root / run.path
    data = (folder / "dataset-card.md").read_text("utf-8")
    assert version.content_hash in data
    assert "first \\| try" in data
    assert "| person |" in data
    assert "not been judged" in (folder / "model-card.md").read_text("utf-8")
    judged = evaluate_run(project, run, needed_gold(project))
    model = (folder / "model-card.md").read_text("utf-8")
    assert version.content_hash in model
    assert f"{judged.result.box.ap50:.3f}" in model
    assert NEW_OBJECTS in judged.result.slices


def label(name: str, box: tuple[float, float, float, float], track: str | None = None) -> Annotation:
    return Annotation(
        id=f"{name}{box}{track}", frame_id="f", label=name, bbox_xyxy=box, source="s", track_id=track
    )


def test_an_object_is_new_unless_its_track_or_its_standing_place_was_trained_on() -> None:
    gold = [
        label("person", (0, 0, 10, 20), "p1"),
        label("person", (0, 0, 10, 20), "p2"),
        label("car", (50, 50, 90, 80)),
        label("car", (50, 50, 90, 80)),
        label("person", (51, 50, 90, 80)),
    ]
    trained = [label("person", (300, 0, 310, 20), "p1"), label("car", (52, 50, 90, 80))]
    new = unseen(gold, ["a"] * 5, np.array([1, 1, 0, 1, 0]), trained, ["a"] * 2, np.array([1, 0]))
    assert new.tolist() == [False, True, False, True, True]
    elsewhere = unseen(gold[:1], ["b"], np.array([1]), trained, ["a"] * 2, np.array([1, 0]))
    assert elsewhere.tolist() == [True]
