"""Scene and coverage in a real browser, and every page of a project that holds nothing yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from curate.config import load_site
from curate.workflows.project import Project
from tests.app.app_server import Server
from tests.app.pages_site import settled
from tests.app.sample_site import SIZE

pytestmark = [pytest.mark.browser]


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
