"""The pages beside queue and editor in a real browser, one server for all: map, scene, coverage, runs, versions."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curate.config import load_site
from curate.evaluation import evaluate, settings_from_site
from curate.scene.plate import Plate, save_plate
from curate.store import Artifact, RunRecord
from curate.tables import Detections
from curate.versions import create_version
from curate.workflows.embedding_store import Embedded, crop_key, save_vectors, vectors_path
from curate.workflows.files import write_json
from curate.workflows.gold import frozen_gold
from curate.workflows.maps import lay_out_maps
from curate.workflows.predictions import write_detections
from curate.workflows.project import Project
from tests.app.app_server import Server
from tests.app.sample_site import FRAMES, SIZE, Sample
from tests.app.test_scene_page import add_evidence

pytestmark = [pytest.mark.browser]


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
    """Two judged runs on two versions: the first finds one walker on each gold frame, the second both."""
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
            f'{{"step": {s}, "losses": {{"total": {3 / s}}}, "lr": 0.1, "seconds": {s}}}'
            for s in range(1, 30)
        ]
        (folder / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def site(template: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    template.project.store.close()
    root = tmp_path_factory.mktemp("pages") / "site"
    shutil.copytree(template.project.root, root)
    project = Project.open(root)
    embed(project)
    lay_out_maps(project)
    add_plate(project)
    add_evidence(project)
    add_runs(project)
    yield project
    project.store.close()


@pytest.fixture(scope="module")
def app(site: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(site.root, tmp_path_factory.mktemp("log") / "server.log")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def browser_page(chromium, app: Server) -> Iterator[object]:
    context = chromium.new_context(viewport={"width": 1280, "height": 860})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    yield opened
    context.close()
    assert not problems, problems


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


def test_a_group_is_drawn_around_relabelled_and_taken_back(browser_page, app, site) -> None:
    page, count = browser_page, len(site.store.annotations(source="cheap"))
    page.goto(f"{app.url}/map")
    stage = page.locator(".map .stage")
    page.locator(".map[data-paints]").wait_for()
    choose_all(page, stage)
    page.get_by_role("heading", name=f"{count} labels chosen").wait_for()
    assert f"{count} of {count} labels chosen" in page.locator(".map .foot").inner_text()
    # A loop takes what is inside; with Alt it gives that back.
    loop(page, stage, 0.5, 0.5, 0.49)
    inside = int(page.locator(".map .foot b").inner_text().split()[0])
    assert 0 < inside <= count
    loop(page, stage, 0.5, 0.5, 0.49, key="Alt")
    page.get_by_text("Nothing chosen").wait_for()
    # What is hidden is not chosen, and one picture is left out by hand.
    page.locator('[data-layer="issue"]').click()
    page.locator('.entry[data-entry="No open issue"]').click()
    choose_all(page, stage)
    page.get_by_text("labels chosen").first.wait_for()
    first = page.locator(".gallery .card").first
    left_out = first.get_attribute("data-key")
    first.click()
    page.get_by_text("1 left out").wait_for()
    chosen = [c.get_attribute("data-key") for c in page.locator('.card[aria-pressed="true"]').all()]
    assert "colour=issue" in page.url
    before = {key: site.store.annotation(key).label for key in [*chosen, left_out]}
    page.get_by_role("button", name="Delete").click()
    page.get_by_text(f"{len(chosen)} labels deleted").wait_for()
    left = {a.id for a in site.store.annotations(source="cheap")}
    assert not left & set(chosen)
    assert left_out in left
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(f"{len(chosen)} labels deleted").wait_for(state="detached")
    assert {key: site.store.annotation(key).label for key in before} == before

    choose_all(page, stage)
    page.get_by_role("button", name="To the queue").click()
    page.get_by_text("sent to the top of the queue").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("sent to the top of the queue").wait_for(state="detached")


def test_frames_are_taken_out_on_their_map(browser_page, app, site) -> None:
    page = browser_page
    page.goto(f"{app.url}/map?of=frames")
    page.locator(".map[data-paints]").wait_for()
    stage = page.locator(".map .stage")
    choose_all(page, stage)
    page.get_by_text("frames chosen").first.wait_for()
    page.get_by_role("button", name="Exclude").click()
    page.get_by_text("frames excluded").wait_for()
    assert sum(frame.excluded for frame in site.store.frames()) > 10
    page.get_by_role("button", name="Undo").click()
    page.get_by_text("frames excluded").wait_for(state="detached")
    assert not any(frame.excluded for frame in site.store.frames())


def test_a_region_is_drawn_saved_and_taken_back(browser_page, app, site) -> None:
    page = browser_page
    page.goto(f"{app.url}/scene")
    stage = page.locator("svg.stage")
    stage.wait_for()
    assert page.locator("[data-place]").count() == 2
    page.get_by_role("button", name="Ignore region").click()
    box = stage.bounding_box()
    for x, y in ((0.1, 0.1), (0.4, 0.1), (0.4, 0.5)):
        page.mouse.click(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
    page.keyboard.press("Enter")
    page.get_by_text("Not saved yet").wait_for()
    page.get_by_role("button", name="Save regions").click()
    page.get_by_text("Saved in site.yaml").wait_for()
    ring = load_site(site.root / "site.yaml").policy.ignore_regions[0]
    expected = [
        (0.1 * SIZE[0], 0.1 * SIZE[1]),
        (0.4 * SIZE[0], 0.1 * SIZE[1]),
        (0.4 * SIZE[0], 0.5 * SIZE[1]),
    ]
    assert np.abs(np.array(ring) - np.array(expected)).max() < 0.6
    # A corner is dragged, and given up again by Ctrl+Z and Discard.
    settled(page)
    box = stage.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.35, box["y"] + box["height"] * 0.2)
    page.locator(".corner").nth(1).hover()
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.1, steps=4)
    page.mouse.up()
    page.get_by_text("Not saved yet").wait_for()
    stage.focus()
    page.keyboard.press("Control+z")
    page.get_by_text("Not saved yet").wait_for(state="detached")
    page.get_by_role("button", name="Undo the last save").click()
    page.get_by_text("None yet. Draw around").wait_for()
    assert load_site(site.root / "site.yaml").policy.ignore_regions == []

    page.locator('[data-place="ghosts:0"]').click()
    page.get_by_text("a ghost").first.wait_for()
    assert "place=ghosts" in page.url
    page.get_by_role("button", name="Go through").click()
    page.locator(".workbench[data-item]").wait_for()


def test_a_cell_of_the_coverage_leads_to_its_frames(browser_page, app) -> None:
    page = browser_page
    page.goto(f"{app.url}/coverage")
    page.locator(".cell.enough").first.click()
    page.locator('.cell[aria-pressed="true"]').wait_for()
    page.get_by_role("button", name="Go through").wait_for()
    assert "cell=" in page.url
    page.reload()
    page.locator('.cell[aria-pressed="true"]').wait_for()
    page.locator(".gallery .card").first.click()
    page.locator(".workbench[data-item]").wait_for()


def test_runs_side_by_side(browser_page, app) -> None:
    page = browser_page
    page.goto(f"{app.url}/runs?filter=total&smooth=0.9&log=1")
    page.get_by_text("loss/total").wait_for()
    assert page.get_by_text("learning_rate").count() == 0
    page.locator("canvas, svg.marks").first.wait_for()
    page.get_by_role("textbox", name="Filter").fill("(")
    page.keyboard.press("Enter")
    page.get_by_text("is no regular expression").wait_for()
    page.get_by_text("Results on gold").click()
    page.get_by_text("Kinds of error").wait_for()
    page.get_by_text("Where it fails").wait_for()
    page.get_by_text("Frame by frame").click()
    page.get_by_text("fewer errors on 6, more on 0").wait_for()
    badges = page.locator(".gallery .badge")
    badges.first.wait_for()
    assert badges.first.inner_text() == "-1 errors"
    assert "view=frames" in page.url
    page.goto(f"{app.url}/versions?figure=recall")
    page.get_by_text("Quality over the versions").wait_for()
    settled(page)
    page.locator('[data-testid="stVegaLiteChart"]').first.wait_for()
    assert "figure=recall" in page.url


@pytest.mark.parametrize(
    "name", ["", "queue", "frames", "map", "map?of=frames", "scene", "coverage", "runs", "versions", "train"]
)
def test_every_page_says_what_to_do_in_a_new_project(name: str, chromium, empty_app) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(f"{empty_app.url}/{name}")
    page.get_by_text("curate ").first.wait_for()
    settled(page)
    assert page.get_by_text("Something went wrong").count() == 0
    assert page.get_by_text("cannot be shown").count() == 0
    if name == "queue":  # Its editor has nothing to show: no dark stage, but the way on.
        assert not page.locator(".stage").is_visible()
        page.get_by_role("link", name="Start a scan").click()
        page.get_by_role("heading", name="Train and compare").wait_for()
    context.close()


@pytest.fixture(scope="module")
def empty_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root: Path = tmp_path_factory.mktemp("empty") / "site"
    Project.create(root, ["person"])
    running = Server(root, root.parent / "server.log")
    running.start()
    yield running
    running.stop()
