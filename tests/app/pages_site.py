"""What the browser tests of the pages stand on: a site with a map, a plate and runs; what they do with the mouse."""

from __future__ import annotations

import math

import numpy as np

from curate.evaluation import evaluate, settings_from_site
from curate.scene.plate import Plate, save_plate
from curate.store import Artifact, RunRecord
from curate.tables import Detections
from curate.versions import create_version
from curate.workflows.embedding_store import Embedded, crop_key, save_vectors, vectors_path
from curate.workflows.files import write_json
from curate.workflows.gold import frozen_gold
from curate.workflows.predictions import write_detections
from curate.workflows.project import Project
from tests.app.sample_site import FRAMES, SIZE


def embed(project: Project) -> None:
    """Crops of the two walkers in two clusters, frames along a line: what a scan would have embedded."""
    rng = np.random.default_rng(0)
    labels = project.store.annotations(source="cheap")
    crops = {crop_key(a): rng.normal(0, 0.05, 8) + 3.0 * np.eye(8)[int(a.id.endswith("-1"))] for a in labels}
    save_vectors(vectors_path(project, Embedded.CROP), crops)
    frames = {f.id: rng.normal(0, 0.05, 8) + np.eye(8)[0] * n for n, f in enumerate(project.store.frames())}
    save_vectors(vectors_path(project, Embedded.FRAME), frames)


def add_plate(project: Project) -> None:
    shape = SIZE[::-1]
    plate = Plate(
        np.full((*shape, 3), 96, np.uint8), np.ones(shape, np.float32), np.ones(shape, bool), FRAMES, 96.0
    )
    path = project.cache_dir / "plates" / "plate-0.npz"
    save_plate(plate, path)
    project.store.put_artifacts([Artifact("plates", "00", "d", str(path.relative_to(project.root)))])


def add_runs(project: Project) -> None:
    """Two judged runs on two versions: the first finds one walker on each gold frame, the second both.

    The loss of each leaps once.
    """
    gold = frozen_gold(project)
    assert gold is not None
    splits = dict.fromkeys([f.id for f in project.store.frames()][:6], "train")
    version = None
    for number in (1, 2):
        made = create_version(
            project.store, source="cheap", splits=dict(list(splits.items())[: 4 + number]),
            classes=project.config.classes, parent=version, note=f"round {number}",
        )  # fmt: skip
        version = made.id
        folder = project.runs_dir / f"run-{number}"
        folder.mkdir()
        path = str(folder.relative_to(project.root))
        project.store.put_run(RunRecord(folder.name, version, "train", "done", 0, path))
        boxes = [[a.bbox_xyxy for a in gold.annotations if a.frame_id == f.id][:number] for f in gold.frames]
        found = [Detections(np.array(b), np.full(len(b), 0.9), np.zeros(len(b), np.int64)) for b in boxes]
        write_detections(
            folder / f"{gold.gold.id}.parquet", dict(zip([f.id for f in gold.frames], found, strict=True))
        )
        result = evaluate(
            gold.frames, gold.annotations, found, project.config.classes, settings_from_site(project.config),
            gold_id=gold.gold.id,
        )  # fmt: skip
        write_json(folder / f"{gold.gold.id}.json", result.to_dict())
        lines = [
            f'{{"step": {s}, "losses": {{"total": {40 if s == 12 * number else 3 / s}}}, "lr": 0.1, "seconds": {s}}}'
            for s in range(1, 121)
        ]
        (folder / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")


def settled(page) -> None:
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def loop(page, stage, x: float, y: float, reach: float, *, key: str | None = None) -> None:
    """Draw a circle on the map; places are shares of its size, the reach of its shorter side."""
    box = stage.bounding_box()
    cx, cy = box["x"] + box["width"] * x, box["y"] + box["height"] * y
    far = min(box["width"], box["height"]) * reach
    if key:
        page.keyboard.down(key)
    page.mouse.move(cx + far, cy)
    page.mouse.down()
    for turn in range(1, 17):
        page.mouse.move(cx + far * math.cos(turn * math.pi / 8), cy + far * math.sin(turn * math.pi / 8))
    page.mouse.up()
    if key:
        page.keyboard.up(key)


def choose_all(page, stage) -> None:
    stage.focus()
    page.keyboard.press("Control+a")
