"""Frames and labels with the keyboard alone: from the overview into the list, a label fixed, and back."""

from __future__ import annotations

import pytest

from curate.workflows.ingest import ingest
from tests.app.drawn import near
from tests.app.sample_site import FRAMES, draw

pytestmark = pytest.mark.browser


@pytest.fixture
def frames(shared_sample, tmp_path):
    """One more than a page of the list holds."""
    draw(tmp_path / f"frame_{FRAMES:03d}.jpg", FRAMES)
    ingest(shared_sample.project, [tmp_path])
    return sorted(shared_sample.project.store.frames(), key=lambda frame: frame.name)


def focused(page):
    return page.locator(".gallery .card:focus")


def test_a_label_is_fixed_from_the_list_and_back(
    frames, shared_page, shared_server, shared_sample, editor_page, tab_to
) -> None:
    page, store = shared_page, shared_sample.project.store
    editor = editor_page(page, shared_server.url, store)
    page.goto(shared_server.url)
    tab_to(page, "Frames and labels")

    def stands_at(number: int) -> None:
        page.locator(f'.gallery .card[data-key="{frames[number].id}"]:focus').wait_for()

    # The list has the keyboard as soon as it is there; arrows go through it and turn its pages.
    stands_at(0)
    editor.press("ArrowRight", "ArrowRight", "ArrowLeft")
    stands_at(1)
    editor.press("End")
    stands_at(23)
    editor.press("ArrowDown")
    stands_at(24)
    editor.press("PageUp")
    stands_at(23)
    editor.press("Home", "ArrowRight", "Enter")

    # In the editor: a label moved by a pixel, its class changed on the next frame.
    editor.frame = frames[1]
    editor.on(frames[1].id)
    x1, y1, x2, y2 = store.annotation("cheap-1-0").bbox_xyxy
    editor.press("Tab", "Control+ArrowRight")
    assert near(editor.labels()["cheap-1-0"].bbox_xyxy, (x1 + 1, y1, x2 + 1, y2))
    editor.press("f")
    editor.on(frames[2].id)
    editor.frame = frames[2]
    editor.press("Tab", "2")
    assert editor.labels()["cheap-2-0"].label == "bicycle"

    # From the picture to the buttons and back; then to the list, which stands where it was left.
    editor.press("F6")
    page.locator(".panel button:focus").wait_for()
    editor.press("F6")
    page.locator(".stage:focus").wait_for()
    editor.press("Alt+ArrowUp")
    stands_at(2)
    assert "frame=" not in page.url
    editor.press("Enter")
    editor.on(frames[2].id)


def test_tab_goes_on_where_a_label_was_and_brings_the_next_into_view(
    shared_page, shared_server, shared_sample, editor_page
) -> None:
    page = shared_page
    editor = editor_page(page, shared_server.url, shared_sample.project.store)
    editor.open("008.jpg")
    rows = [row.get_attribute("data-label") for row in page.locator(".row[data-label]").all()]
    assert len(rows) == 3
    chosen = page.locator('.row[aria-pressed="true"]')
    editor.press("Tab", "Tab", "x")
    editor.says(r"deleted. Ctrl+Z takes it back.")
    editor.press("Tab")
    assert chosen.get_attribute("data-label") == rows[2]
    editor.press("Control+z", "Escape")
    editor.saved()

    # Far apart: the one that Tab leads to is moved into view, and so is a point of it.
    stage = page.locator(".stage").bounding_box()

    def is_inside(x: float, y: float) -> bool:
        left, top, scale = editor.view()
        return (
            0 < left + x * scale - stage["x"] < stage["width"]
            and 0 < top + y * scale - stage["y"] < stage["height"]
        )

    first, other = (editor.labels()[key].bbox_xyxy for key in ("cheap-8-0", "cheap-8-1"))
    editor.press("Tab")
    while chosen.get_attribute("data-label") != "cheap-8-0":
        editor.press("Tab")
    editor.press("z", "+", "+", "+")
    assert is_inside((first[0] + first[2]) / 2, (first[1] + first[3]) / 2)
    assert not is_inside(*other[:2])
    while chosen.get_attribute("data-label") != "cheap-8-1":
        editor.press("Tab")
    assert is_inside((other[0] + other[2]) / 2, (other[1] + other[3]) / 2)
    editor.press("+", "v")
    editor.says("Side nw")
    assert is_inside(*other[:2])
